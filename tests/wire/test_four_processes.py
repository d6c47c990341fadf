"""Duplicates that arrive at once at several sidecars on one ledger: one effect a round, and nobody is turned away.

`--workers` is several processes too, but of one parent and one port: tests/wire/test_workers.py.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.upstream import Upstream
from tests.wire.sidecars import Sidecar, running

PROCESSES, CLIENTS = 4, 200
ROUNDS = 5 if os.environ.get("LEDGER_CAMPAIGN") == "1" else 1
RULES = """
version: 1
rules:
  - name: charges
    match: {method: POST, url: "https://api.stripe.com/**/charges"}
    wait: 60s
"""


@pytest.fixture
def four(tmp_path: Path, upstream: Upstream) -> Iterator[list[Sidecar]]:
    with contextlib.ExitStack() as stack, ThreadPoolExecutor(PROCESSES) as starting:
        begun = [
            starting.submit(stack.enter_context, running(tmp_path / "s", upstream, RULES)) for _ in range(PROCESSES)
        ]
        yield [one.result() for one in begun]


def test_two_hundred_clients_of_four_processes_share_one_effect_a_round(
    four: list[Sidecar], upstream: Upstream
) -> None:
    gate = threading.Barrier(CLIENTS)

    def ask(client: httpx.Client) -> list[httpx.Response]:
        answers = []
        for number in range(ROUNDS):
            client.get("https://api.stripe.com/ok/warm")
            gate.wait(120)
            headers = {"Idempotency-Key": f"round-{number}"}
            answers.append(client.post("https://api.stripe.com/slow/200/charges", json={"n": 1}, headers=headers))
        return answers

    sidecars = itertools.islice(itertools.cycle(four), CLIENTS)
    with ThreadPoolExecutor(CLIENTS) as pool:
        rounds = list(zip(*pool.map(ask, [sidecar.client(120) for sidecar in sidecars]), strict=True))
    for answers in rounds:
        outcomes = Counter((answer.status_code, answer.headers["Ledger-Outcome"]) for answer in answers)
        assert outcomes == {(200, "executed"): 1, (200, "replayed"): CLIENTS - 1}
        assert len({answer.content for answer in answers}) == 1
    assert len(upstream.effects()) == ROUNDS
    assert Counter(line["key"] for line in upstream.lines(path="/slow/200/charges")).most_common(1)[0][1] == 1
    records = four[0].records()
    assert [(r["status"], r["attempts"], r["runs"], r["blocked"]) for r in records] == [
        ("success", CLIENTS, 1, CLIENTS - 1)
    ] * ROUNDS
    assert said(four) == ""


def said(sidecars: list[Sidecar]) -> str:
    """What they say of trouble on stderr, all of them: a locked database would be there."""
    told: list[str] = []
    for sidecar in sidecars:
        for client in sidecar.clients:
            client.close()
        sidecar.process.terminate()
        told += sidecar.process.communicate(timeout=60)[1].splitlines()
    return "\n".join(line for line in told if "locked" in line or "Traceback" in line or "ERROR" in line)
