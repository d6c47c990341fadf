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


def test_a_folder_above_a_link_is_the_one_that_the_system_takes_it_for(tmp_path: Path) -> None:
    """As every other program opens the path: read as text, it would name another ledger."""
    (tmp_path / "real" / "data").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "real" / "data")
    guard, sent = Guard().quiet(), list[str]()
    for path in (tmp_path / "real" / "ledger.db", tmp_path / "link" / ".." / "ledger.db"):
        guard.persist(path)
        guard(sent.append, "ada", key="welcome")
    guard.close()
    assert sent == ["ada"]


@pytest.mark.parametrize("call", ["guard(str, 1)", "guard.persist('other.db')", "SqliteStore('other.db')"])
def test_a_folder_that_is_gone_is_told(tmp_path: Path, call: str) -> None:
    code = f"""
import os
from ledger import LedgerError, SqliteStore, guard
os.rmdir(os.getcwd())
try:
    {call}
except LedgerError as error:
    print(error)
"""
    (tmp_path / "gone").mkdir()
    (tmp_path / "agent.py").write_text(code)
    environment = {name: value for name, value in os.environ.items() if name != "LEDGER_DB"}
    done = subprocess.run(
        [sys.executable, str(tmp_path / "agent.py")],
        cwd=tmp_path / "gone", env=environment, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert "db cannot be used: the working folder is not there any more; give a full path" in done.stdout, done.stderr
