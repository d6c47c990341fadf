"""Two processes, many threads, one file, one operation: one effect. And owners that die in the middle."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ledger.ports import Query
from ledger.records import Status
from ledger.stores.sqlite import SqliteStore

WORKER = """
import os, sys, threading, time
from collections import Counter
from ledger import clock, owners
from ledger.calls import Call
from ledger.drivers import run
from ledger.keeper import Keeper
from ledger.lifecycle import Claimant
from ledger.policy import Policy
from ledger.records import Record, Result, Status
from ledger.steps import Attempt, Outcome, begin
from ledger.stores.sqlite import SqliteStore

db, effects, timeout, threads, how = sys.argv[1:6]
timeout = float(timeout) if timeout else None
store = SqliteStore(db)
keeper = Keeper(store, beat=0.1)
answers = Counter()

def effect(record):
    with open(effects, "a") as file:
        file.write(f"{os.getpid()}\\n")
    if how == "hang":
        print("executing", flush=True)
        time.sleep(60)
    time.sleep(0.1)
    return Outcome(Status.SUCCESS, result=Result({}, b"done"))

def attempt():
    policy = Policy(replay=True, wait=20, timeout=timeout)
    draft = Record(id="a1", tool="charge", timeout=timeout)
    mine = Attempt(draft, policy, Claimant(owners.new_token(), os.urandom(8).hex()), clock.now())
    reply = run(begin(mine, clock.now()), Call(store, keeper, effect))
    assert reply.answer != "replayed" or reply.record.result.body == b"done"
    answers[reply.answer.value] += 1

def storm():
    barrier.wait()
    attempt()

barrier = threading.Barrier(int(threads))
workers = [threading.Thread(target=storm) for _ in range(int(threads))]
[w.start() for w in workers]
[w.join() for w in workers]
keeper.close()
store.close()
print(*(f"{name}={n}" for name, n in sorted(answers.items())), flush=True)
"""

OPENER = """
import sys, time
from ledger.stores.sqlite import SqliteStore

folder, start = sys.argv[1], float(sys.argv[2])
for round in range(20):
    while time.time() < start + round * 0.05:
        pass
    store = SqliteStore(f"{folder}/{round}.db")
    print(store.secret().hex())
    store.close()
"""


class Bench:
    """Processes on one ledger, and the effects they had."""

    def __init__(self, folder: Path) -> None:
        self.db, self.effects_file = folder / "ledger.db", folder / "effects"

    def start(self, threads: int = 1, timeout: float | None = None, how: str = "") -> subprocess.Popen[str]:
        told = [str(self.db), str(self.effects_file), str(timeout or ""), str(threads), how]
        return subprocess.Popen([sys.executable, "-c", WORKER, *told], stdout=subprocess.PIPE, text=True)

    def answers(self, *processes: subprocess.Popen[str]) -> dict[str, int]:
        total: dict[str, int] = {}
        for process in processes:
            told = process.communicate(timeout=60)[0]
            assert process.returncode == 0
            for name, _, n in (word.partition("=") for word in told.split()):
                total[name] = total.get(name, 0) + int(n)
        return total

    def kill_while_executing(self, timeout: float | None = None) -> None:
        victim = self.start(timeout=timeout, how="hang")
        assert victim.stdout is not None
        assert victim.stdout.readline() == "executing\n"
        victim.kill()
        assert victim.wait() == -signal.SIGKILL
        victim.stdout.close()

    def effects(self) -> int:
        return len(self.effects_file.read_text().split())


def test_processes_that_make_one_ledger_at_the_same_moment_wait_for_each_other(tmp_path: Path) -> None:
    told = [sys.executable, "-c", OPENER, str(tmp_path), str(time.time() + 1)]
    openers = [subprocess.Popen(told, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    secrets = [opener.communicate(timeout=60)[0].split() for opener in openers]
    assert [opener.returncode for opener in openers] == [0] * 4
    assert secrets == [secrets[0]] * 4
    assert len(set(secrets[0])) == 20


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_one_effect_for_two_processes_of_fifty_threads(bench: Bench) -> None:
    told = bench.answers(bench.start(threads=50), bench.start(threads=50))
    assert bench.effects() == 1
    assert told == {"executed": 1, "replayed": 99}
    store = SqliteStore(bench.db)
    record = store.get("a1")
    assert record is not None
    assert (record.attempts, record.runs, record.replayed, record.status) == (100, 1, 99, Status.SUCCESS)
    store.close()


def test_four_processes_open_a_new_ledger_at_the_same_moment(bench: Bench) -> None:
    told = bench.answers(*(bench.start(threads=5) for _ in range(4)))
    assert (bench.effects(), told) == (1, {"executed": 1, "replayed": 19})


def test_an_owner_killed_while_executing_leaves_an_unknown_that_is_never_run_again(bench: Bench) -> None:
    bench.kill_while_executing()
    began = time.monotonic()
    assert bench.answers(bench.start(threads=20)) == {"held": 20}
    assert bench.answers(bench.start(threads=1)) == {"held": 1}
    assert time.monotonic() - began < 15, "a dead process is known at once, not when its lease is over"
    assert bench.effects() == 1
    store = SqliteStore(bench.db)
    totals = store.stats(Query())
    assert (totals["attempts"], totals["unknown"], totals["held"]) == (22, 1, 21)
    assert [e.event.value for e in store.events()][:2] == ["claimed", "expired"]
    store.close()


def test_with_a_timeout_exactly_one_of_many_takes_over(bench: Bench) -> None:
    bench.kill_while_executing(timeout=0.3)
    time.sleep(0.4)
    told = bench.answers(bench.start(threads=20, timeout=0.3), bench.start(threads=20, timeout=0.3))
    assert bench.effects() == 2, "the crashed one, and one more"
    assert told == {"executed": 1, "replayed": 39}


def test_before_the_timeout_nobody_takes_over(bench: Bench) -> None:
    bench.kill_while_executing(timeout=300)
    assert bench.answers(bench.start(threads=5, timeout=300)) == {"in-flight": 5}
    assert bench.effects() == 1


def test_a_paused_owner_lives_and_its_claim_is_not_taken(bench: Bench) -> None:
    paused = bench.start(timeout=0.3)
    while not bench.effects_file.exists() and paused.poll() is None:
        time.sleep(0.005)
    os.kill(paused.pid, signal.SIGSTOP)
    contender = bench.start(timeout=0.3)
    time.sleep(1.5)
    assert len(bench.effects_file.read_text().splitlines()) == 1
    os.kill(paused.pid, signal.SIGCONT)
    assert bench.answers(paused) == {"executed": 1}
    assert bench.answers(contender) == {"replayed": 1}
    assert len(bench.effects_file.read_text().splitlines()) == 1
    store = SqliteStore(bench.db)
    record = store.get("a1")
    assert record is not None
    assert (record.status, record.epoch, record.runs) == (Status.SUCCESS, 1, 1)
    store.close()
