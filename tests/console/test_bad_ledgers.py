"""Every command that reads, on every ledger that is not as it should be: one line, no traceback, nothing changed."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from ledger.records import Record, Result, Status
from ledger.steps import Outcome
from ledger.stores import files, sqlite_view
from tests.console.conftest import Agent, Ledger
from tests.console.running import running
from tests.privileges import without_roots_privileges

READERS = ("show", "show a1", "tail --no-follow", "stats", "stats --by tool", "unknown", "export", "export --whole")
_PURGE = "purge --older-than 2999-01-01 --yes"
WRITERS = ("resolve b2 --done", "retry a1", "clear --yes", _PURGE, "vacuum", "import it.jsonl")
HOSTILE = "\x1b[2J\x1b]0;title\x07\r\x00\u202egnp.exe\u2028\x9b31m\u652f\u6255"
BODY = b"\x1b[31m" + b"x" * 10_000_000


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _foreign(path: Path) -> None:
    path.unlink()
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE cats (name)")
    db.close()


def _corrupt(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:4096] + b"\xff" * (len(content) - 4096))


def _newer(path: Path) -> None:
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 999")
    db.close()


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:5000])


BROKEN = {
    "missing": (Path.unlink, "there is no ledger at"),
    "empty": (_empty, "is empty: nothing was recorded there yet"),
    "text": (lambda path: path.write_text("not a database, " * 100), "is not a readable ledger"),
    "foreign": (_foreign, "is a database, but not a ledger"),
    "corrupt": (_corrupt, "is not a readable ledger"),
    "cut": (_cut, "is not a readable ledger"),
    "newer": (_newer, "was written by a newer Ledger (schema 999)"),
}


@pytest.fixture
def filled(agent: Agent) -> Path:
    """Some records, one unknown, and nobody has it open."""
    agent.ask("a1", times=3)
    agent.ask("b2", Status.UNKNOWN)
    for number in range(20):
        agent.ask(f"{number:032x}")
    agent.close()
    return agent.path


@pytest.mark.parametrize("kind", BROKEN)
@pytest.mark.parametrize("command", [*READERS, *WRITERS[:-1], "backup copy.db"])
def test_a_ledger_that_cannot_be_read(filled: Path, ledger: Ledger, command: str, kind: str) -> None:
    spoil, why = BROKEN[kind]
    spoil(filled)
    before = filled.read_bytes() if filled.exists() else None
    said = ledger(*command.split())
    assert (said.code, said.out, said.err.count("\n")) == (1, "", 1)
    assert why in said.err
    assert "ledger.db" in said.err
    assert (filled.read_bytes() if filled.exists() else None) == before


@pytest.mark.parametrize("command", READERS)
def test_a_ledger_that_another_process_writes_is_read(filled: Path, ledger: Ledger, command: str) -> None:
    usual = ledger(*command.split())
    with contextlib.closing(sqlite3.connect(filled, isolation_level=None)) as writer:
        writer.execute("BEGIN EXCLUSIVE")
        assert ledger(*command.split()) == usual
    assert usual.code == 0


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("command", WRITERS)
def test_a_ledger_that_another_process_locks_is_waited_for_and_left_alone(
    filled: Path, ledger: Ledger, command: str, whole: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """whole: as somebody who lets nobody read either."""
    monkeypatch.setattr(files, "BUSY_SECONDS", 0.1)
    ledger("export", "--whole", "-o", "it.jsonl")
    before = ledger("export", "--whole").out
    with contextlib.closing(sqlite3.connect(filled, isolation_level=None)) as holder:
        if whole:
            holder.execute("PRAGMA locking_mode = EXCLUSIVE")
        holder.execute("BEGIN EXCLUSIVE")
        said = ledger(*command.split())
    asked = [line for line in said.err.splitlines() if not line.startswith(("Kept: ", "This removes "))]
    assert (said.code, said.out, len(asked)) == (1, "", 1), said
    assert "ledger.db is locked by another process" in asked[0]
    assert "try again when that has ended" in asked[0]
    assert ledger("export", "--whole").out == before


@pytest.mark.parametrize("command", READERS)
def test_a_ledger_that_nobody_else_may_even_read(
    filled: Path, ledger: Ledger, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "BUSY_SECONDS", 0.1)
    monkeypatch.setattr(sqlite_view, "PATIENCE", 0.1)
    with contextlib.closing(sqlite3.connect(filled, isolation_level=None)) as holder:
        holder.execute("PRAGMA locking_mode = EXCLUSIVE")
        holder.execute("BEGIN EXCLUSIVE")
        said = ledger(*command.split())
    assert (said.code, said.out, said.err.count("\n")) == (1, "", 1), said
    assert "ledger.db is locked by another process" in said.err


@pytest.mark.parametrize("columns", ["20", "80"])
@pytest.mark.parametrize("command", [*READERS[:6], "show --json", "export"])
def test_hostile_records_on_a_terminal(agent: Agent, command: str, columns: str) -> None:
    draft = {"tool": HOSTILE, "wf": HOSTILE, "caller": HOSTILE, "note": HOSTILE, "about": {"url": HOSTILE}}
    agent.ask("a1", Outcome(Status.SUCCESS, result=Result({"headers": [[HOSTILE, HOSTILE]]}, BODY)), **draft)
    agent.ask("b2", Outcome(Status.UNKNOWN, error=HOSTILE), times=2, **draft)
    with running(*command.split(), terminal=True, COLUMNS=columns) as shown:
        shown.sees("no such text: read until it ends")
        assert shown.process.wait(20) == 0
    for harm in ("\x1b[2J", "\x1b]0;", "\x07", "\x00", "\u202e", "\u2028", "\x9b"):
        assert harm not in shown.seen
    assert "Traceback" not in shown.seen
    assert len(shown.seen) < 200_000


@pytest.mark.parametrize("command", READERS)
def test_a_reader_that_leaves_early(filled: Path, command: str) -> None:
    shell = f"unset PYTHONUNBUFFERED; set -o pipefail; {sys.executable} -m ledger_console {command} 2>&1 | head -c 1"
    done = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, len(done.stdout), done.stderr) == (0, 1, "")


@pytest.mark.parametrize(("command", "code"), [*((command, 0) for command in READERS), ("show zz", 1), ("shwo", 2)])
def test_nobody_reads_what_is_said_beside(filled: Path, command: str, code: int) -> None:
    gone, stderr = os.pipe()
    os.close(gone)
    # Unbuffered, nothing would be left for the interpreter's end.
    env = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    words = [sys.executable, "-m", "ledger_console", *command.split()]
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=stderr, env=env, timeout=60, check=False)
    os.close(stderr)
    assert done.returncode == code


def _where_only_reading_is_allowed(folder: Path, command: str) -> subprocess.CompletedProcess[str]:
    """The command as somebody who may write neither the ledger nor its folder, which is as before afterwards."""
    before = sorted((path.name, path.read_bytes()) for path in folder.iterdir())
    (folder / "ledger.db").chmod(0o444)
    folder.chmod(0o555)
    try:
        words = [sys.executable, "-m", "ledger_console", *command.split()]
        done = subprocess.run(
            words, capture_output=True, text=True, timeout=60, check=False, preexec_fn=without_roots_privileges
        )
    finally:
        folder.chmod(0o755)
    assert sorted((path.name, path.read_bytes()) for path in folder.iterdir()) == before
    return done


@pytest.mark.parametrize("command", READERS)
def test_a_ledger_that_may_only_be_read_is_read(filled: Path, command: str) -> None:
    read = _where_only_reading_is_allowed(filled.parent, command)
    assert (read.returncode, bool(read.stdout)) == (0, True), read.stderr
    assert "Traceback" not in read.stderr


@pytest.mark.parametrize("command", WRITERS)
def test_a_ledger_that_may_only_be_read_is_not_written(filled: Path, command: str) -> None:
    (filled.parent / "it.jsonl").touch()
    said = _where_only_reading_is_allowed(filled.parent, command)
    assert (said.returncode, said.stdout, said.stderr.count("\n")) == (1, "", 1), said.stderr
    assert "ledger.db may only be read from here" in said.stderr


def test_a_ledger_that_may_only_be_read_is_copied(
    filled: Path, ledger: Ledger, tmp_path_factory: pytest.TempPathFactory
) -> None:
    copy = tmp_path_factory.mktemp("elsewhere") / "copy.db"
    said = _where_only_reading_is_allowed(filled.parent, f"backup {copy}")
    assert said.returncode == 0, said.stderr
    assert ledger("export", "--whole", "--db", copy).out == ledger("export", "--whole").out != ""


def test_a_ten_megabyte_answer_survives_export_and_import(agent: Agent, ledger: Ledger) -> None:
    agent.ask("a1", Outcome(Status.SUCCESS, result=Result({"status": 200}, BODY)))
    assert ledger("export", "--whole", "-o", "out.jsonl").code == 0
    assert ledger("import", "out.jsonl", "--db", "new.db").code == 0
    other = Agent(agent.path.with_name("new.db"))
    kept: Record | None = other.store.get("a1")
    assert kept == agent.store.get("a1")
    other.close()
