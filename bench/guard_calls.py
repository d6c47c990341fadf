"""Guarded calls: Ledger against Ledger-Once, exactly-once, agent-once and what SQLite itself needs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterable
from pathlib import Path
from statistics import median

from bench import million
from bench.measuring import Figure, Plan
from bench.stage import BenchError, Stage

PEERS = ("ledger-once==0.1.5", "exactly-once==0.2.1", "agent-once==0.1.0")
OTHERS = ("exactly-once", "agent-once")
WORKER = Path(__file__).with_name("guard_worker.py")
RECORDS = 1_000_000
HOW = (
    "{calls:,} calls of one Python function that returns a small dict, in a process of its own and on a fresh ledger; "
    "median of 20 slices; the sides in turns, {repetitions} rounds, medians of both sides. No side prints. Peers from "
    "PyPI in an environment made for the run. "
)

SIDES = (
    "ledger-once", "ours-normal", "raw", "ours", "million", "ours-threads", "ours-threads-normal",
    "memory", "memory-once", *OTHERS,
)  # fmt: skip
CEILING = (
    "Only one thread runs Python at a time, so 32 of them get no further than one of them would if it never waited for "
    "a disk. Where that ceiling lies is measured beside it: the same threads at durability normal, which sync nothing. "
)

type Timings = dict[str, list[dict[str, float]]]


def run(stage: Stage, plan: Plan) -> list[Figure]:
    """Measure every side in turns. stage: not needed; nothing here is HTTP."""
    calls, records = plan.scaled(2_000), plan.scaled(RECORDS)
    with tempfile.TemporaryDirectory() as folder:
        peers = _peers(Path(folder))
        full = million.ledger(Path(folder) / "million.db", records)
        told: Timings = {}
        for round_ in range(plan.repetitions):
            for side in SIDES:
                told.setdefault(side, []).append(_measure(side, Path(folder) / f"{side}-{round_}", calls, peers, full))
        syncs = list(_syncs(Path(folder) / "syncs", calls))
    return [*_figures(told, HOW.format(calls=calls, repetitions=plan.repetitions), records), *syncs]


def _measure(side: str, folder: Path, calls: int, peers: Path, full: Path) -> dict[str, float]:
    folder.mkdir()
    worker, python = side, sys.executable
    if side in ("ledger-once", "memory-once", *OTHERS):
        worker, python = side.replace("memory-once", "memory"), str(peers)
    if side == "million":
        worker = "ours"
        shutil.copyfile(full, folder / "ledger.db")
        os.sync()  # or the copy would still be on its way to the disk while the calls are measured
    ran = subprocess.run([python, WORKER, worker, folder, str(calls)], capture_output=True, text=True, check=False)
    if ran.returncode:
        raise BenchError(f"{side}: {ran.stderr.strip().splitlines()[-1:]}")
    told: dict[str, float] = json.loads(ran.stdout.splitlines()[-1])
    shutil.rmtree(folder)
    return told


def _peers(folder: Path) -> Path:
    """An environment of their own: Ledger-Once is imported under our name."""
    home = folder / "peers"
    venv.create(home, with_pip=True)
    python = home / "bin" / "python"
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *PEERS]
    ran = subprocess.run(pip, capture_output=True, text=True, check=False)
    if ran.returncode:
        raise BenchError(f"the peers could not be installed: {ran.stderr.strip().splitlines()[-1:]}")
    return python


def _syncs(folder: Path, calls: int) -> Iterable[Figure]:
    """Counted by strace, which slows the run down but not the counting; left out where it is missing."""
    strace = shutil.which("strace")
    if strace is None:
        return
    folder.mkdir()
    log = folder / "strace"
    command = [strace, "-f", "-qq", "-e", "trace=fdatasync,fsync", "-o", log]
    ran = subprocess.run(
        [*command, sys.executable, WORKER, "ours-threads", folder, str(calls)],
        capture_output=True, text=True, check=True, env=os.environ,
    )  # fmt: skip
    done = json.loads(ran.stdout.splitlines()[-1])["calls"]
    synced = sum(")" in line and "sync(" in line for line in log.read_text().splitlines())
    ratio = synced / done
    how = "fsync and fdatasync of a whole process, counted by strace, over its guarded first calls in 32 threads."
    detail = f"{synced} for {done:.0f} calls"
    yield Figure("guard: fsyncs per call, 32 threads", "≤ 0.25", f"{ratio:.2f}", ratio <= 0.25, detail, how)


def _figures(told: Timings, how: str, records: int) -> Iterable[Figure]:
    def micro(side: str, what: str) -> float:
        return median(t[what] for t in told[side])

    def ratio(name: str, bound: float, ours: tuple[str, str], theirs: tuple[str, str], more: str = "") -> Figure:
        measured = micro(*ours) / micro(*theirs)
        detail = f"Ledger {micro(*ours):.0f} µs; {theirs[0]} {micro(*theirs):.0f} µs{more}"
        return Figure(f"guard: {name}", f"≤ {bound} ×", f"{measured:.2f} ×", measured <= bound, detail, how)

    others = "".join(
        f"; {side} {micro(side, 'first'):.0f} µs, duplicate {micro(side, 'duplicate'):.0f} µs" for side in OTHERS
    )
    yield ratio("first call, durability normal", 0.8, ("ours-normal", "first"), ("ledger-once", "first"), others)
    yield ratio("first call, power-safe", 1.3, ("ours", "first"), ("raw", "two"))
    yield ratio("duplicate", 0.5, ("ours-normal", "duplicate"), ("ledger-once", "duplicate"))
    rate = micro("raw", "one") / micro("ours-threads", "call")
    detail = f"{1e6 / micro('ours-threads', 'call'):,.0f} calls/s; {1e6 / micro('raw', 'one'):,.0f} transactions/s"
    detail += f"; the interpreter lock's ceiling {1e6 / micro('ours-threads-normal', 'call'):,.0f} calls/s"
    name = "guard: 32 threads of power-safe first calls"
    yield Figure(name, "≥ 1.0 ×", f"{rate:.2f} ×", rate >= 1.0, detail, how + CEILING)
    yield ratio(f"first call on {records:,} records", 1.2, ("million", "first"), ("ours", "first"))
    yield ratio(f"duplicate on {records:,} records", 1.2, ("million", "duplicate"), ("ours", "duplicate"))
    yield ratio("in memory, first call", 0.6, ("memory", "first"), ("memory-once", "first"))
    stats = micro("million", "stats") / 1000
    yield Figure(f"guard: stats() on {records:,} records", "≤ 50 ms", f"{stats:.1f} ms", stats <= 50, "", how)
