"""An unknown that the provider's own key resolves: asked again under the first key, while the provider remembers it."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.upstream import Upstream
from tests.wire.raw import require_recorded
from tests.wire.sidecars import RULES, running, start


def test_once_the_provider_has_forgotten_the_key_it_is_held(tmp_path: Path, upstream: Upstream) -> None:
    with running(tmp_path / "s", upstream, RULES.replace("retention: 24h", "retention: 1s")) as sidecar:
        first = sidecar.post("/keyed/lose-response/1/payments")
        time.sleep(1.1)
        later = sidecar.post("/keyed/lose-response/1/payments")
    assert [a.headers["ledger-outcome"] for a in (first, later)] == ["unknown", "held"]
    assert len(upstream.lines()) == 1


def test_two_sidecars_that_recover_at_once_find_one_outcome(tmp_path: Path, upstream: Upstream) -> None:
    path = "/keyed/lose-response/1/payments"
    with running(tmp_path / "s", upstream) as one, running(tmp_path / "s", upstream) as two:
        assert one.post(path).headers["ledger-outcome"] == "unknown"
        with ThreadPoolExecutor(20) as pool:
            asked = [pool.submit((one, two)[n % 2].post, path) for n in range(20)]
            answers = [future.result() for future in asked]
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    assert len(upstream.effects()) == 1
    assert len({line["key"] for line in upstream.lines()}) == 1


def test_a_recovery_that_is_killed_itself_is_recovered(tmp_path: Path, upstream: Upstream) -> None:
    path = "/keyed/hang/2/payments"
    for sends in (1, 2):
        sidecar = start(tmp_path / "s", upstream)
        agent = threading.Thread(target=sidecar.try_post, args=(path,))
        agent.start()
        upstream.wait_for(lambda u, sends=sends: len(u.lines()) == sends)
        sidecar.kill()
        agent.join()
    with running(tmp_path / "s", upstream) as third:
        answer = third.post(path)
        (record,) = third.records()
    assert (answer.status_code, answer.headers["ledger-outcome"]) == (200, "executed")
    assert (record["status"], record["runs"], record["unknown"], record["generation"]) == ("success", 1, 0, 1)
    assert len(upstream.effects()) == 1
    assert len({line["key"] for line in upstream.lines()}) == 1


@pytest.mark.parametrize("named", ["Idempotency-Key", "close, idempotency-key"])
def test_a_key_that_its_agent_keeps_from_the_provider_is_no_key_to_send_again_by(
    tmp_path: Path, upstream: Upstream, named: str
) -> None:
    """What a Connection field names goes no further than to the sidecar (RFC 9110 section 7.6.1)."""
    path = "/keyed/lose-response/1/payments"
    with running(tmp_path / "s", upstream) as sidecar:
        told = [sidecar.post(path, Idempotency_Key="order-7", Connection=named) for _ in range(3)]
        require_recorded(sidecar, path, ("success", 3, 1))
    assert [answer.headers["ledger-outcome"] for answer in told] == ["unknown", "executed", "replayed"]
    assert (len(upstream.effects()), len({line["key"] for line in upstream.lines()} - {None})) == (1, 1)
