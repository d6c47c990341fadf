"""A program that changes its working folder keeps its ledger: `./ledger.db` is where it was when it was opened."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ledger import Guard

AGENT = """
import os, sys
from ledger import guard

def charge(order):
    print("charged", order, flush=True)

os.chdir("first")
guard(charge, 1)
os.chdir("../second")
"""


@pytest.mark.parametrize(
    "then",
    [
        "guard(charge, 1); guard(charge, 2)",
        "guard.close(); guard(charge, 1); guard(charge, 2)",
        "pid = os.fork()\nif pid == 0: guard(charge, 1); os._exit(0)\nos.waitpid(pid, 0); guard(charge, 2)",
        "import atexit; atexit.register(guard, charge, 1); guard(charge, 2)",
    ],
)
def test_what_ran_before_does_not_run_again(tmp_path: Path, then: str) -> None:
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
    environment = {name: value for name, value in os.environ.items() if name != "LEDGER_DB"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", AGENT + then],
        cwd=tmp_path, env=environment | {"LEDGER_QUIET": "1"}, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("charged 1\ncharged 2\n", "")
    assert not list((tmp_path / "second").iterdir())


def test_another_name_is_another_ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    guard, sent = Guard().quiet(), list[str]()
    for name in ("one.db", "two.db", "one.db"):
        monkeypatch.setenv("LEDGER_DB", str(tmp_path / name))
        guard(sent.append, "ada", key="welcome")
        guard.close()
    assert sent == ["ada", "ada"]
