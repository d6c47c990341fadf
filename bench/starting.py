"""How long one waits before anything happens: `ledger run` around nothing, and `import ledger`."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from bench.measuring import Figure, Plan
from bench.stage import BenchError, Stage

RUN = (
    "Wall time of `ledger run -- true` with the default rules on a fresh ledger: sidecar up, command run, drained. "
    "The first run, in which Python compiles what it imports, is not counted, as an installed package is compiled."
)
IMPORT = "Median wall time of `python -c 'import ledger'` less that of `python -c pass`, {n} of each, taking turns."


def run(stage: Stage, plan: Plan) -> list[Figure]:
    """Time both."""
    return [_run(stage, plan), _import(stage, plan)]


def _run(stage: Stage, plan: Plan) -> Figure:
    times = []
    for _ in range(1 + plan.repetitions):
        with tempfile.TemporaryDirectory(dir=stage.folder) as folder:
            command = [sys.executable, "-m", "ledger_console", "run", "--db", f"{folder}/ledger.db", "--", "true"]
            times.append(_seconds(command, Path(folder)))
    times = times[1:]
    took = median(times)
    detail = f"{min(times):.2f} to {max(times):.2f} s"
    return Figure("ledger run -- true", "≤ 1.50 s", f"{took:.2f} s", took <= 1.5, detail, RUN)


def _import(stage: Stage, plan: Plan) -> Figure:
    times: list[tuple[float, float]] = []
    for _ in range(plan.repetitions * 8):
        bare, whole = (_seconds([sys.executable, "-c", code], stage.folder) for code in ("pass", "import ledger"))
        times.append((bare, whole))
    bare, whole = (median(pair[side] for pair in times) * 1000 for side in (0, 1))
    added = whole - bare
    detail = f"bare {bare:.0f} ms, with ledger {whole:.0f} ms"
    how = IMPORT.format(n=len(times))
    return Figure("import ledger", "≤ 40 ms over bare Python", f"{added:.0f} ms", added <= 40, detail, how)


def _seconds(command: list[str], folder: Path) -> float:
    unset = ("PYTHONDONTWRITEBYTECODE",)
    env = {
        k: v
        for k, v in os.environ.items()
        if k not in unset and not k.startswith("LEDGER_") and not k.lower().endswith("_proxy")
    }
    started = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, env=env, timeout=60, check=False)
    elapsed = time.perf_counter() - started
    if done.returncode:
        raise BenchError(f"{command!r} ended with {done.returncode}: {done.stderr.strip()[-300:]}")
    return elapsed
