"""Guards in several processes on one file: crashes, forks, the end of an interpreter."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ledger import Guard, SqliteStore
from ledger.keeper import Keeper

AGENT = """
import os, signal, sys, threading, time
from ledger import guard

def charge(order):
    with open(sys.argv[1], "a") as effects:
        effects.write(f"{order}\\n")
    END
    return {"order": order}

guard.policy(charge, replay=True)
"""


def agent(tmp_path: Path, end: str, then: str, first: str = "", **env: str) -> subprocess.CompletedProcess[str]:
    """A process of its own that guards `charge`; its effects go to a file. first: what it does before it imports us."""
    code = first + AGENT.replace("END", end) + then
    return subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "effects")],
        env={"LEDGER_DB": str(tmp_path / "ledger.db"), "LEDGER_QUIET": "1", **env},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )


def effects(tmp_path: Path) -> list[str]:
    return (tmp_path / "effects").read_text().split()


def test_a_second_process_replays(tmp_path: Path) -> None:
    for _ in range(2):
        done = agent(tmp_path, "pass", "print(guard(charge, 7), guard(charge, 7))")
        assert done.stdout == "{'order': 7} {'order': 7}\n", done.stderr
    assert effects(tmp_path) == ["7"]
    store = SqliteStore(tmp_path / "ledger.db")
    record = store.all()[0]
    store.close()
    assert (record.attempts, record.runs, record.replayed) == (4, 1, 3), "counts are flushed at exit"


def test_killed_in_the_middle_it_is_in_flight_until_the_timeout_then_runs_again(tmp_path: Path) -> None:
    assert agent(tmp_path, "os.kill(os.getpid(), 9)", "guard(charge, 7)").returncode == -signal.SIGKILL
    soon = agent(tmp_path, "pass", "guard(charge, 7)")
    assert "InFlight" in soon.stderr.splitlines()[-1]
    assert effects(tmp_path) == ["7"]


def test_killed_in_the_middle_with_a_short_timeout_it_runs_again(tmp_path: Path) -> None:
    short = "guard.policy(charge, timeout=0.1); "
    agent(tmp_path, "os.kill(os.getpid(), 9)", short + "guard(charge, 7)")
    time.sleep(0.2)
    assert agent(tmp_path, "pass", short + "print(guard(charge, 7))").stdout == "{'order': 7}\n"
    assert effects(tmp_path) == ["7", "7"], "what the seed promises for a crash"


@pytest.mark.parametrize("strict", [{"LEDGER_STRICT": "1"}, {}])
def test_strict_or_without_a_timeout_it_is_held_for_ever(tmp_path: Path, strict: dict[str, str]) -> None:
    how = "" if strict else "guard.policy(charge, timeout=None); "
    agent(tmp_path, "os.kill(os.getpid(), 9)", how + "guard(charge, 7)", **strict)
    for _ in range(2):
        held = agent(tmp_path, "pass", how + "guard(charge, 7)", **strict)
        assert "OutcomeUnknown" in held.stderr.splitlines()[-1]
    assert effects(tmp_path) == ["7"]


def test_ctrl_c_is_recorded_as_unknown_before_the_process_ends(tmp_path: Path) -> None:
    done = agent(tmp_path, "signal.raise_signal(signal.SIGINT)", "guard(charge, 7)")
    assert "KeyboardInterrupt" in done.stderr
    assert "OutcomeUnknown" in agent(tmp_path, "pass", "guard(charge, 7)").stderr


def test_two_processes_of_many_threads_run_it_once(tmp_path: Path) -> None:
    then = (
        "told = []\n"
        "threads = [threading.Thread(target=lambda: told.append(guard(charge, 7))) for _ in range(50)]\n"
        "[t.start() for t in threads]; [t.join() for t in threads]\n"
        "print(sum(t == {'order': 7} for t in told))"
    )
    code = AGENT.replace("END", "time.sleep(0.3)") + then
    env = {"LEDGER_DB": str(tmp_path / "ledger.db"), "LEDGER_QUIET": "1"}
    command = [sys.executable, "-c", code, str(tmp_path / "effects")]
    agents = [subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert [a.communicate(timeout=30)[0] for a in agents] == ["50\n", "50\n"]
    assert effects(tmp_path) == ["7"]
    store = SqliteStore(tmp_path / "ledger.db")
    record = store.all()[0]
    store.close()
    assert (record.attempts, record.runs, record.replayed) == (100, 1, 99)


def test_a_forked_child_has_a_ledger_of_its_own_on_the_same_file(tmp_path: Path) -> None:
    then = (
        "print(guard(charge, 1), flush=True)\n"
        "if os.fork() == 0:\n"
        "    print(guard(charge, 1), guard(charge, 2), flush=True)\n"
        "    sys.exit(0)\n"
        "print(os.wait()[1], guard(charge, 2))"
    )
    done = agent(tmp_path, "pass", then, PYTHONWARNINGS="ignore::DeprecationWarning")
    assert done.stdout.splitlines() == ["{'order': 1}", "{'order': 1} {'order': 2}", "0 {'order': 2}"], done.stderr
    assert effects(tmp_path) == ["1", "2"]


def test_an_explicit_store_survives_a_fork_too(tmp_path: Path) -> None:
    then = (
        "from ledger import Guard, SqliteStore\n"
        "guard = Guard(store=SqliteStore(os.environ['LEDGER_DB']))\n"
        "guard(charge, 1)\n"
        "if os.fork() == 0:\n"
        "    print(guard(charge, 1), guard(charge, 2), flush=True)\n"
        "    sys.exit(0)\n"
        "print(os.wait()[1], guard(charge, 2))"
    )
    done = agent(tmp_path, "pass", then, PYTHONWARNINGS="ignore::DeprecationWarning")
    assert done.stdout.splitlines() == ["None {'order': 2}", "0 None"], done.stderr


def test_a_paused_owner_lives_and_is_not_replaced(tmp_path: Path) -> None:
    """SIGSTOP past the timeout is no death: who asks meanwhile gets its result when it goes on."""
    code = AGENT.replace("END", "print('began', flush=True); time.sleep(0.5)") + (
        "guard.policy(charge, timeout=0.2); print(guard(charge, 7))"
    )
    env = {"LEDGER_DB": str(tmp_path / "ledger.db"), "LEDGER_QUIET": "1"}
    command = [sys.executable, "-c", code, str(tmp_path / "effects")]
    paused = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True)
    assert paused.stdout is not None
    paused.stdout.readline()
    os.kill(paused.pid, signal.SIGSTOP)
    threading.Timer(1.5, os.kill, (paused.pid, signal.SIGCONT)).start()
    short = "guard.policy(charge, timeout=0.2); print(guard(charge, 7))"
    assert agent(tmp_path, "pass", short).stdout == "{'order': 7}\n"
    assert paused.communicate(timeout=30)[0] == "{'order': 7}\n"
    assert (tmp_path / "effects").read_text() == "7\n"


def test_a_slow_call_is_never_stolen(tmp_path: Path) -> None:
    """The heartbeat keeps it, however long it takes and however short the others' patience is."""
    store = SqliteStore(tmp_path / "ledger.db")
    guard = Guard(store=store)
    guard._engine.keeper = Keeper(store, beat=0.05)
    ran: list[int] = []

    def slow() -> str:
        ran.append(1)
        time.sleep(0.8)
        return "done"

    guard.policy(slow, replay=True, timeout=0.3)
    with ThreadPoolExecutor(3) as agents:
        assert list(agents.map(lambda _: guard(slow), range(3))) == ["done"] * 3
    assert ran == [1]
    guard.close()
    store.close()


def test_who_asked_to_be_called_at_exit_before_ledger_did_still_can_call(tmp_path: Path) -> None:
    """Python calls them in the reverse order: by then this ledger was closed once."""
    first = "import atexit; atexit.register(lambda: print(guard(charge, 1), guard(charge, 2), guard(charge, 2)))\n"
    done = agent(tmp_path, "pass", "guard(charge, 1)", first)
    assert (done.stdout, done.stderr) == ("{'order': 1} {'order': 2} {'order': 2}\n", "")
    assert effects(tmp_path) == ["1", "2"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_child_that_outlives_its_parent_is_seen_by_who_comes_after(tmp_path: Path) -> None:
    """A daemon that detaches: when the parent leaves, the child's ledger must not be taken away from under it."""
    done = agent(
        tmp_path,
        "pass",
        "guard(charge, 1)\n"
        "parent = os.getpid()\n"
        "if os.fork() == 0:\n"
        "    guard(charge, 2)\n"
        "    while os.getppid() == parent: time.sleep(0.01)\n"
        "    print(guard(charge, 3), guard(charge, 3), flush=True)\n"
        "    guard.close()\n"
        "    os._exit(0)\n"
        "while guard.stats()['executed'] < 2: time.sleep(0.01)\n",
    )
    assert done.stdout == "{'order': 3} {'order': 3}\n", done.stderr
    later = agent(tmp_path, "pass", "print([guard(charge, n) for n in (1, 2, 3)])")
    assert later.stdout == "[{'order': 1}, {'order': 2}, {'order': 3}]\n", later.stderr
    assert effects(tmp_path) == ["1", "2", "3"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_what_a_child_leaves_is_not_taken_from_its_parent(tmp_path: Path) -> None:
    """A child closes what it inherited: the last one to close takes the log away, and it is not the last."""
    done = agent(
        tmp_path,
        "pass",
        "guard(charge, 0)\n"
        "log = os.environ['LEDGER_DB'] + '-wal'\n"
        "before, sizes = os.stat(log).st_ino, [os.stat(log).st_size]\n"
        "for n in range(1, 6):\n"
        "    child = os.fork()\n"
        "    if child == 0: os._exit(0)\n"
        "    os.waitpid(child, 0)\n"
        "    guard(charge, n)\n"
        "    sizes.append(os.stat(log).st_size)\n"
        "print(os.stat(log).st_ino == before, sizes == sorted(set(sizes)), flush=True)\n"
        "os._exit(0)\n",
    )
    assert done.stdout == "True True\n", done.stderr
    later = agent(tmp_path, "pass", "print([guard(charge, n)['order'] for n in range(6)])")
    assert later.stdout == "[0, 1, 2, 3, 4, 5]\n", later.stderr
    assert effects(tmp_path) == [str(n) for n in range(6)]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_fork_amid_the_calls_of_other_threads(tmp_path: Path) -> None:
    """Wherever they are, the children can use the ledger, and nothing they inherited stands in their way."""
    done = agent(
        tmp_path,
        "pass",
        "import itertools, warnings\n"
        "warnings.simplefilter('ignore')\n"
        "over = threading.Event()\n"
        "def work(n):\n"
        "    for i in itertools.count():\n"
        "        if over.is_set(): return\n"
        "        guard(len, 'x', key=f'{n}-{i}')\n"
        "threads = [threading.Thread(target=work, args=(n,)) for n in range(3)]\n"
        "for thread in threads: thread.start()\n"
        "children = []\n"
        "for n in range(8):\n"
        "    child = os.fork()\n"
        "    if child == 0:\n"
        "        right = guard(charge, n) == guard(charge, n) == {'order': n}\n"
        "        os._exit(0 if right else 1)\n"
        "    children.append(child)\n"
        "ends = [os.waitpid(child, 0)[1] for child in children]\n"
        "over.set()\n"
        "for thread in threads: thread.join()\n"
        "print(ends)\n",
    )
    assert done.stdout == f"{[0] * 8}\n", done.stderr
    assert sorted(effects(tmp_path)) == [str(n) for n in range(8)]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_threads_that_fork_at_one_time_go_one_after_the_other(tmp_path: Path) -> None:
    """Or the end of one fork would let go of what the other still holds."""
    code = (
        "import os, threading, time, warnings\n"
        "from ledger import SqliteStore, forks\n"
        "warnings.simplefilter('ignore')\n"
        "class Witness:\n"
        "    told = []\n"
        "    def hold(self): self.told.append('hold'); time.sleep(0.05)\n"
        "    def go_on(self): self.told.append('go on')\n"
        "    def leave(self): pass\n"
        "witness, ready = Witness(), threading.Barrier(2)\n"
        "forks.tell(witness)\n"
        "store = SqliteStore(os.environ['LEDGER_DB'])\n"
        "def work():\n"
        "    ready.wait()\n"
        "    for _ in range(3):\n"
        "        child = os.fork()\n"
        "        if child == 0: os._exit(0)\n"
        "        os.waitpid(child, 0)\n"
        "threads = [threading.Thread(target=work) for _ in range(2)]\n"
        "for thread in threads: thread.start()\n"
        "for thread in threads: thread.join()\n"
        "print(witness.told == ['hold', 'go on'] * 6, store.all())\n"
    )
    env = {"LEDGER_DB": str(tmp_path / "ledger.db")}
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False, timeout=30
    )
    assert done.stdout == "True []\n", done.stderr
