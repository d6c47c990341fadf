"""The demo, whole: what `make demo` promises is what its last table says."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

pytest.importorskip("localstripe", reason="localstripe, the stateful fake of Stripe, is not installed")

SCRIPT = Path(__file__).parents[2] / "examples" / "demo.py"


@pytest.mark.slow
def test_five_requests_charge_five_times_without_ledger_and_once_with_it(tmp_path: Path) -> None:
    demo = subprocess.run(
        [sys.executable, str(SCRIPT)], capture_output=True, text=True, timeout=150, cwd=tmp_path, check=False
    )
    assert demo.returncode == 0, demo.stdout + demo.stderr
    row = r"{} Ledger\s+(\d+) times\s+\d+\s+(\d+)"
    without, with_ = (re.search(row.format(half), demo.stdout) for half in ("without", "with"))
    assert without is not None
    assert with_ is not None
    assert (int(with_[1]), int(with_[2])) == (5, 1)
    assert int(without[2]) > 1
    assert re.search(r"success\s+stripe/create", demo.stdout), "ledger show is part of it"
    assert list(tmp_path.iterdir()) == [], "nothing is written where it was started"


def test_a_demo_that_is_stopped_leaves_no_process_behind() -> None:
    with subprocess.Popen([sys.executable, str(SCRIPT)], stdout=subprocess.PIPE, text=True) as demo:
        assert demo.stdout is not None
        while "agent asks" not in demo.stdout.readline():
            assert demo.poll() is None
        children = psutil.Process(demo.pid).children(recursive=True)
        demo.send_signal(signal.SIGTERM)
        demo.stdout.read()
        assert demo.wait(15) == 143
    deadline = time.monotonic() + 5
    while any(child.is_running() for child in children):
        assert time.monotonic() < deadline, f"left behind: {[child for child in children if child.is_running()]}"
        time.sleep(0.05)
    assert len(children) >= 3, "the agent, the tunnel, the fake"
