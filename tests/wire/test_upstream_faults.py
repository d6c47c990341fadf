"""An origin that breaks at every moment: nothing is sent twice, and what nobody knows is said to be unknown."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.wire.raw import HOST, Answer, Origin, ask, recorder, through, wait_until
from tests.wire.sidecars import Sidecar, running_for

RULES = f'rules: [{{name: ruled, match: {{method: POST, url: "https://{HOST}/**"}}, wait: 1s}}]'
MOMENTS = ("early", "before", "in-head", "in-body", "in-chunk", "after-interim")
WAYS = ("reset", "end", "stall", "half-close")


@dataclass(frozen=True)
class World:
    origin: Origin
    sidecar: Sidecar

    def post(self, name: str, size: int = 2) -> Answer:
        body = b"x" * size
        head = f"POST /{size}/{name} HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: {size}\r\n\r\n".encode()
        with through(self.sidecar) as connection:
            return ask(connection, head + body)

    def record(self, path: str) -> dict[str, object]:
        (found,) = [r for r in self.sidecar.records() if r["url"].endswith(path)]
        return found


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder: Path = tmp_path_factory.mktemp("faults")
    with (
        recorder(folder / "origin") as origin,
        running_for(folder / "s", origin, RULES, "--upstream-timeout", "2") as sidecar,
    ):
        yield World(origin, sidecar)


SMALL, SPOOLED = 2, 3_000_000
CASES = [(SMALL, way, when) for way in WAYS for when in MOMENTS]
CASES += [(SPOOLED, way, when) for way in ("reset", "end") for when in MOMENTS] + [(SPOOLED, "stall", "early")]


@pytest.mark.parametrize(("size", "way", "when"), CASES)
def test_a_fault_after_a_byte_may_have_gone_leaves_an_unknown(world: World, size: int, way: str, when: str) -> None:
    name = f"{way}-{when}"
    first = world.post(name, size)
    # An answer that had begun to stream is seen to be broken; every other is told in words.
    broken = first.status == 200 and not first.whole
    assert broken or (first.status, first.value(b"ledger-outcome")) == (504, b"unknown")
    wait_until(lambda: world.record(f"/{size}/{name}")["status"] == "unknown")
    again = world.post(name, size)
    assert (again.status, again.value(b"ledger-outcome")) == (409, b"held")
    arrived = len(world.origin.requests(f"/{size}/{name} ".encode()))
    assert arrived == (0 if when == "early" else 1), "once at most, whatever was retried"


def test_a_name_that_cannot_be_resolved_is_a_failure_and_may_be_repeated(tmp_path: Path) -> None:
    rules = 'rules: [{name: ruled, match: {method: POST, url: "https://nowhere.invalid/**"}}]'
    with recorder(tmp_path / "o") as origin, running_for(tmp_path / "s", origin, rules) as sidecar:
        for attempts in (1, 2):
            with through(sidecar, "nowhere.invalid") as connection:
                head = b"POST /x HTTP/1.1\r\nHost: nowhere.invalid\r\nContent-Length: 0\r\n\r\n"
                answer = ask(connection, head)
            assert (answer.status, answer.value(b"ledger-outcome")) == (502, b"failed")
            assert b"cannot be resolved" in answer.body
            assert [(r["status"], r["attempts"]) for r in sidecar.records()] == [("failed", attempts)]
        assert origin.requests() == []
