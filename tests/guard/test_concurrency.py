"""Many contenders for one operation: threads, processes, and what a dead process left."""

from __future__ import annotations

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ledger import Guard, SqliteStore, clock
from ledger.records import Instant, Status

AGENT = """
import sys, threading
from ledger import guard

def charge(order):
    with open(sys.argv[1], "a") as effects:
        effects.write(f"{order}\\n")
    return {"order": order}

guard.policy(charge, replay=REPLAY)
print("ready", flush=True)
sys.stdin.readline()
told = []
def work():
    for order in range(5):
        told.append(guard(charge, order))
threads = [threading.Thread(target=work) for _ in range(8)]
[t.start() for t in threads]; [t.join() for t in threads]
print(sum(t is not None for t in told))
"""


def agents(tmp_path: Path, replay: bool, processes: int = 8) -> tuple[list[int], list[str]]:
    """How many calls of each process got a result, and every effect: 8 processes × 8 threads × 5 operations."""
    env = {"LEDGER_DB": str(tmp_path / "ledger.db"), "LEDGER_QUIET": "1"}
    command = [sys.executable, "-c", AGENT.replace("REPLAY", str(replay)), str(tmp_path / "effects")]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    started = [subprocess.Popen(command, env=env, text=True, **pipes) for _ in range(processes)]
    for agent in started:
        assert agent.stdout is not None
        assert agent.stdout.readline() == "ready\n"
    for agent in started:
        assert agent.stdin is not None
        agent.stdin.write("go\n")
        agent.stdin.flush()
    told = [int(agent.communicate(timeout=120)[0]) for agent in started]
    return told, sorted((tmp_path / "effects").read_text().split())


def balance(path: Path) -> dict[str, int]:
    store = SqliteStore(path)
    guard = Guard(store=store)
    told = dict(guard.stats())
    guard.close()
    store.close()
    return told


def test_eight_processes_replaying(tmp_path: Path) -> None:
    told, effects = agents(tmp_path, replay=True)
    assert effects == ["0", "1", "2", "3", "4"]
    assert told == [40] * 8, "everybody got the one result"
    counted = balance(tmp_path / "ledger.db")
    assert counted == {"actions": 5, "attempts": 320, "executed": 5, "blocked": 315, "failed": 0, "replayed": 315}


def test_eight_processes_blocked(tmp_path: Path) -> None:
    told, effects = agents(tmp_path, replay=False)
    assert effects == ["0", "1", "2", "3", "4"]
    assert sum(told) == 5, "one result in all"
    counted = balance(tmp_path / "ledger.db")
    assert counted == {"actions": 5, "attempts": 320, "executed": 5, "blocked": 315, "failed": 0}


def test_sixty_four_threads(guard: Guard) -> None:
    effects: list[int] = []
    gate = threading.Barrier(64)

    def charge(order: int) -> str:
        effects.append(order)
        return "done"

    def agent(_: int) -> object:
        gate.wait()
        return guard(charge, 1)

    guard.quiet().policy(charge, replay=True)
    with ThreadPoolExecutor(64) as pool:
        assert list(pool.map(agent, range(64))) == ["done"] * 64
    assert effects == [1]
    assert guard.stats() == {"actions": 1, "attempts": 64, "executed": 1, "blocked": 63, "failed": 0, "replayed": 63}


def test_of_any_number_of_contenders_one_takes_over_what_a_dead_process_left(guard: Guard) -> None:
    from tests.guard.test_calls import _dead_owner

    effects: list[int] = []
    gate = threading.Barrier(32)

    def charge(order: int) -> str:
        effects.append(order)
        return "done"

    guard.quiet()(charge, 1)
    store = guard._engine.store
    long_ago = Instant(clock.now().wall - 301, clock.now().mono - 301, clock.now().boot)
    [row] = store.all()
    store.put(row.but(status=Status.RUNNING, owner=_dead_owner(), touched=long_ago, spent=0, runs=0))
    effects.clear()

    def agent(_: int) -> object:
        gate.wait()
        return guard(charge, 1)

    guard.policy(charge, replay=True)
    with ThreadPoolExecutor(32) as pool:
        assert list(pool.map(agent, range(32))) == ["done"] * 32
    assert effects == [1]


def test_threads_in_different_workflows_never_share_one(guard: Guard) -> None:
    gate = threading.Barrier(16)

    def serve(order: int) -> None:
        with guard.workflow(f"order-{order}").as_caller(f"agent-{order}"):
            gate.wait()
            for n in range(5):
                guard(len, "x" * n)

    guard.quiet()
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(serve, range(16)))
    rows = guard.history()
    assert len(rows) == 16 * 5
    assert all(row["caller"] == row["wf"].replace("order", "agent") for row in rows)
