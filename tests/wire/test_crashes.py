"""kill -9 of the sidecar at random moments: nothing happens twice, and nothing is guessed."""

from __future__ import annotations

import os
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.upstream import Upstream
from tests.wire.sidecars import Sidecar, running, start

CAMPAIGN = os.environ.get("LEDGER_CAMPAIGN") == "1"
KILLS = 50
HANG_UPS = 400 if CAMPAIGN else 60
BATCH = 4


def test_a_sidecar_killed_after_sending_leaves_an_unknown(tmp_path: Path, upstream: Upstream) -> None:
    first = start(tmp_path / "s", upstream)
    agent = threading.Thread(target=first.try_post, args=("/slow/5000/charges", {"n": 1}))
    agent.start()
    upstream.wait_for(lambda u: u.effects())
    first.kill()
    agent.join()
    with running(tmp_path / "s", upstream) as second:
        assert [r["status"] for r in second.records()] == ["unknown"]
        answer = second.post("/slow/5000/charges", {"n": 1})
    assert (answer.status_code, answer.headers["ledger-outcome"]) == (409, "held")
    assert len(upstream.effects()) == 1


def test_a_sidecar_killed_after_sending_resends_under_the_stored_key(tmp_path: Path, upstream: Upstream) -> None:
    first = start(tmp_path / "s", upstream)
    agent = threading.Thread(target=first.try_post, args=("/keyed/slow/1500/payments", {"n": 1}))
    agent.start()
    upstream.wait_for(lambda u: u.effects())
    first.kill()
    agent.join()
    time.sleep(1.6)
    with running(tmp_path / "s", upstream) as second:
        answer = second.post("/keyed/slow/1500/payments", {"n": 1})
    assert answer.status_code == 200
    assert len(upstream.effects()) == 1
    assert len({line["key"] for line in upstream.lines()}) == 1


@pytest.mark.slow
def test_killed_at_random_moments_nothing_happens_twice(tmp_path: Path, upstream: Upstream) -> None:
    """Each round sends a few operations, kills the sidecar under them, restarts it and retries every one."""
    dice = random.Random(20_24)
    sidecar = start(tmp_path / "s", upstream)
    for kill in range(KILLS):
        path = "/keyed/slow/20/payments" if kill % 2 else "/slow/20/charges"
        bodies = [{"kill": kill, "n": n} for n in range(BATCH)]
        agents = [threading.Thread(target=sidecar.try_post, args=(path, body)) for body in bodies]
        for agent in agents:
            agent.start()
        time.sleep(dice.uniform(0.0, 0.15))
        sidecar.kill()
        for agent in agents:
            agent.join()
        sidecar = start(tmp_path / "s", upstream)
        answers = [sidecar.post(path, body) for body in bodies]
        wanted = {(200, "executed"), (200, "replayed")} | (set() if kill % 2 else {(409, "held")})
        assert {(a.status_code, a.headers["ledger-outcome"]) for a in answers} <= wanted
    records = sidecar.records()
    sidecar.stop()
    assert upstream.doubles("sha256") == {}
    assert len(records) == KILLS * BATCH
    done = sum(r["status"] == "success" for r in records)
    assert done <= len(upstream.effects()) <= len(records)


def test_agents_that_hang_up_at_random_moments_find_one_outcome_each(sidecar: Sidecar, upstream: Upstream) -> None:
    dice = random.Random(10)
    patience = [dice.uniform(0.005, 0.25) for _ in range(HANG_UPS)]

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: sidecar.try_post("/slow/80/charges", {"n": n}, patience[n]), range(HANG_UPS)))
        answers = list(pool.map(lambda n: sidecar.post("/slow/80/charges", {"n": n}), range(HANG_UPS)))
    assert {(a.status_code, a.headers["ledger-outcome"]) for a in answers} <= {(200, "executed"), (200, "replayed")}
    assert "replayed" in {a.headers["ledger-outcome"] for a in answers}, "some of them left after it was sent"
    assert upstream.doubles("sha256") == {}
    assert len(upstream.effects()) == HANG_UPS
    assert {(r["status"], r["runs"]) for r in sidecar.records()} == {("success", 1)}
    assert len(sidecar.records()) == HANG_UPS
