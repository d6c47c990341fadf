"""The clock jumps by an hour, by a day, forth and back: nothing happens twice, nothing ends too early."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.upstream import Upstream, running_upstream
from tests.wire.sidecars import Sidecar, running

JUMPS = ("+1h", "-1h", "+1d", "-1d")
LIBRARY = "/usr/$LIB/faketime/libfaketime.so.1"
RULES = """
rules:
  - name: charges
    match: {method: POST, url: "https://api.stripe.com/**/charges"}
    window: 2h
    wait: 20s
"""


@dataclass(frozen=True)
class Clock:
    """The wall clock of a process; the steady ones go on as they are, as on a real machine."""

    file: Path

    @property
    def env(self) -> dict[str, str]:
        told = {"FAKETIME_TIMESTAMP_FILE": str(self.file), "FAKETIME_NO_CACHE": "1", "LD_PRELOAD": LIBRARY}
        return told | {"FAKETIME_DONT_FAKE_MONOTONIC": "1", "DONT_FAKE_MONOTONIC": "1"}

    def jump(self, by: str) -> None:
        """To so far from the true time."""
        fresh = self.file.with_suffix(".new")
        fresh.write_text(by + "\n")
        fresh.replace(self.file)


@dataclass(frozen=True)
class World:
    upstream: Upstream
    sidecar: Sidecar
    clock: Clock

    def post(self, path: str, case: str) -> str:
        """The outcome that an agent is told."""
        return str(self.sidecar.post(path, {"case": case}).headers["ledger-outcome"])

    def effects(self, case: str) -> int:
        digest = hashlib.sha256(json.dumps({"case": case}, separators=(",", ":")).encode()).hexdigest()
        return len(self.upstream.effects(sha256=digest))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    if shutil.which("faketime") is None:
        reason = "faketime is not installed"
        (pytest.fail if os.environ.get("LEDGER_REQUIRE_REAL") == "1" else pytest.skip)(reason)
    folder = tmp_path_factory.mktemp("clocks")
    clock = Clock(folder / "clock")
    clock.jump("+0")
    with running_upstream(folder / "u") as upstream, running(folder / "s", upstream, RULES, **clock.env) as sidecar:
        yield World(upstream, sidecar, clock)


@pytest.fixture(autouse=True)
def at_first_the_true_time(world: World) -> None:
    world.clock.jump("+0")


def test_the_clock_of_the_sidecar_really_jumps(world: World) -> None:
    """Or the rest of this file would prove nothing."""
    world.clock.jump("+1d")
    world.post("/ok/charges", "tomorrow")
    created = world.sidecar.records()[-1]["created"]
    assert created[:10] == time.strftime("%Y-%m-%d", time.gmtime(time.time() + 86_400))


@pytest.mark.parametrize("jump", JUMPS)
def test_a_jump_in_the_middle_of_an_exchange_changes_nothing(world: World, jump: str) -> None:
    told: list[str] = []
    ask = lambda: told.append(world.post("/slow/1500/charges", jump))  # noqa: E731
    agents = [threading.Thread(target=ask) for _ in range(3)]
    for agent in agents:
        agent.start()
    world.upstream.wait_for(lambda _: world.effects(jump))
    world.clock.jump(jump)
    ask()
    for agent in agents:
        agent.join()
    assert sorted(told) == ["executed", "replayed", "replayed", "replayed"]
    assert world.effects(jump) == 1


@pytest.mark.parametrize("jump", JUMPS)
def test_what_is_known_stays_known_after_a_jump(world: World, jump: str) -> None:
    """A window of two hours is not over because the clock was set."""
    case = f"known {jump}"
    paths = ("/ok/charges", "/lose-response/9/charges")
    assert [world.post(path, case) for path in paths] == ["executed", "unknown"]
    world.clock.jump(jump)
    assert [world.post(path, case) for path in paths] == ["replayed", "held"]
    world.clock.jump("+0")
    assert [world.post(path, case) for path in paths] == ["replayed", "held"]
    assert world.effects(case) == 2


@pytest.mark.parametrize("jump", ["+1d", "-1d"])
def test_a_sidecar_with_another_clock_takes_no_claim_of_the_living(tmp_path: Path, world: World, jump: str) -> None:
    case, other, told = f"other {jump}", Clock(tmp_path / "clock"), list[str]()
    other.jump("+0")
    with running(tmp_path / "s", world.upstream, RULES, "--db", world.sidecar.db, **other.env) as second:
        other.jump(jump)
        agent = threading.Thread(target=lambda: told.append(world.post("/slow/1500/charges", case)))
        agent.start()
        world.upstream.wait_for(lambda _: world.effects(case))
        duplicate = second.post("/slow/1500/charges", {"case": case})
        agent.join()
    assert [*told, duplicate.headers["ledger-outcome"]] == ["executed", "replayed"]
    assert world.effects(case) == 1
