"""The command line on a large ledger: how long `show` and `stats` take with Python's start, how far `tail` is behind.

What a person asks for is shown on a terminal, what a script asks for in a pipe, and every answer is checked. `tail`
follows a writer in this process that commits at a steady rate; its idle CPU is what the operating system counts while
nobody writes.
"""

from __future__ import annotations

import contextlib
import json
import os
import pty
import subprocess
import sys
import tempfile
import termios
import threading
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import psutil

from bench import million
from bench.measuring import Figure, Plan
from bench.stage import BenchError, Stage
from ledger.records import Record
from ledger.stores.sqlite import SqliteStore

RECORDS = 1_000_000
ASKED = 9
RATE, SECONDS = 500, 10
IDLE_SECONDS = 5.0
TERMINAL = (40, 120)
"""Its lines and columns."""
IN_PIPE = {
    "show --limit 50": ["show", "--limit", "50"],
    "show --json": ["show", "--limit", "50", "--json"],
    "show --status unknown": ["show", "--limit", "50", "--status", "unknown"],
    "show --sort blocked": ["show", "--limit", "50", "--sort", "blocked"],
    "show --sort touched --tool": ["show", "--limit", "50", "--sort", "touched", "--tool", "mail"],
    "stats": ["stats"],
}
ON_TERMINAL = {
    "show, on a terminal": ["show"],
    "show --limit 50, on a terminal": ["show", "--limit", "50"],
    "stats, on a terminal": ["stats"],
}

type Run = Callable[[list[str]], float]
"""Runs Python with these arguments and returns how many seconds it took."""


def run(stage: Stage, plan: Plan) -> list[Figure]:
    """Make a ledger, look at it, follow it."""
    count = plan.scaled(RECORDS)
    with tempfile.TemporaryDirectory(dir=stage.folder, prefix="looking-") as name:
        path = million.ledger(Path(name) / "ledger.db", count)
        figures = [
            _timed(what, arguments, path, count, seconds)
            for commands, seconds in ((ON_TERMINAL, _on_terminal), (IN_PIPE, _in_pipe))
            for what, arguments in commands.items()
        ]
        return [*figures, *_followed(path, plan.scaled(RATE * SECONDS))]


def _timed(what: str, arguments: list[str], path: Path, count: int, seconds: Run) -> Figure:
    """Bare Python takes turns with it, so that a busy machine is seen in both."""
    times: list[tuple[float, float]] = []
    for _ in range(ASKED):
        bare, whole = seconds(["-c", "pass"]), seconds(["-m", "ledger_console", *arguments, "--db", str(path)])
        times.append((bare, whole))
    bare, took = (median(pair[side] for pair in times) * 1000 for side in (0, 1))
    spread = f"{min(t[1] for t in times) * 1000:.0f} to {max(t[1] for t in times) * 1000:.0f} ms"
    how = f"wall time of `ledger {' '.join(arguments)}` with {count:,} records, Python's start included"
    detail = f"median of {ASKED}; {spread}; bare Python {bare:.0f} ms"
    return Figure(f"ledger {what}", "≤ 300 ms", f"{took:.0f} ms", took <= 300, detail, how)


def _in_pipe(arguments: list[str]) -> float:
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, timeout=60, check=False, env=_environment()
    )
    took = time.perf_counter() - began
    if done.returncode or ("-m" in arguments and not done.stdout):
        raise BenchError(f"{arguments!r} ended with {done.returncode}: {done.stderr[-300:]}")
    return took


def _on_terminal(arguments: list[str]) -> float:
    """From the start until the terminal has all of it: the program's end closes it."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, TERMINAL)
    shown = b""
    began = time.perf_counter()
    command = [sys.executable, *arguments]
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs, env=_environment()
    ) as process:
        os.close(theirs)
        # How a terminal says that its other side is closed.
        with contextlib.suppress(OSError), open(ours, "rb", buffering=0) as screen:
            while more := screen.read(65536):
                shown += more
    took = time.perf_counter() - began
    if process.returncode or ("-m" in arguments and b"\x1b[1m" not in shown):
        raise BenchError(f"{arguments!r} ended with {process.returncode}: {shown[-300:]!r}")
    return took


def _environment() -> dict[str, str]:
    """Of a person at a terminal with colours, where what Python compiled is kept, as of an installed package."""
    left_out = {"PYTHONDONTWRITEBYTECODE", "NO_COLOR", "COLUMNS"}
    return {name: value for name, value in os.environ.items() if name not in left_out} | {"TERM": "xterm-256color"}


def _followed(path: Path, events: int) -> list[Figure]:
    command = [sys.executable, "-m", "ledger_console", "tail", str(path), "--json", "-n", "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as tail:
        try:
            store = SqliteStore(path)
            store.claim(Record(id="begin", tool="live"))
            if tail.stdout is None or not tail.stdout.readline():
                raise BenchError("tail printed nothing")
            idle = _idle(tail.pid)
            return [_behind(store, tail, events), idle]
        finally:
            tail.terminate()


def _behind(store: SqliteStore, tail: subprocess.Popen[str], events: int) -> Figure:
    """From before each commit to the line, for a steady writer."""
    began: dict[str, float] = {}

    def write() -> None:
        start = time.perf_counter()
        for number in range(events):
            time.sleep(max(0.0, start + number / RATE - time.perf_counter()))
            began[f"live-{number}"] = time.perf_counter()
            store.claim(Record(id=f"live-{number}", tool="live"))
        store.close()

    writer = threading.Thread(target=write)
    writer.start()
    took: list[float] = []
    for line in tail.stdout or ():
        record = json.loads(line)["record"]
        if record in began:
            took.append((time.perf_counter() - began[record]) * 1000)
        if len(took) == events:
            break
    writer.join()
    if len(took) != events:
        raise BenchError(f"tail told of {len(took)} of {events} events")
    ordered = sorted(took)
    p99 = ordered[int(len(ordered) * 0.99)]
    detail = f"median {median(took):.0f} ms, p99 {p99:.0f} ms, longest {ordered[-1]:.0f} ms of {events:,}"
    how = f"from before a claim's commit to its line, a writer of {RATE} events/s"
    return Figure("ledger tail: behind the commit, p99", "≤ 200 ms", f"{p99:.0f} ms", p99 <= 200, detail, how)


def _idle(pid: int) -> Figure:
    process = psutil.Process(pid)
    before = sum(process.cpu_times()[:2])
    time.sleep(IDLE_SECONDS)
    share = (sum(process.cpu_times()[:2]) - before) / IDLE_SECONDS * 100
    how = f"CPU time of `ledger tail` in {IDLE_SECONDS:g} s in which nobody writes, of one core"
    return Figure("ledger tail: idle", "≤ 5 %", f"{share:.1f} %", share <= 5, "", how)
