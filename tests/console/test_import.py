"""`ledger import`: records from elsewhere come once, and nothing that is there is touched."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ledger import Guard, SqliteStore
from ledger.ports import Query
from ledger.records import Result, Status
from ledger.steps import Outcome
from ledger_console import importing
from tests.console.conftest import Agent, Ledger
from tests.guard import test_upgrade

shop = test_upgrade.shop
PAID = Outcome(Status.SUCCESS, result=Result({"status": 200}, b"\x00paid"))


@pytest.fixture
def exported(agent: Agent, ledger: Ledger, tmp_path: Path) -> Path:
    """One record of each status, written by `export --whole`."""
    agent.ask("paid", PAID, times=3)
    agent.ask("open", Status.UNKNOWN)
    agent.ask("refused", Status.FAILED)
    agent.starts("busy")
    assert ledger("export", "--whole", "-o", "out.jsonl").code == 0
    return tmp_path / "out.jsonl"


def _stats(ledger: Ledger, db: str) -> Any:
    (told,) = ledger("stats", "--json", "--db", db).json
    return told


def test_everything_comes_over_once(agent: Agent, ledger: Ledger, exported: Path) -> None:
    assert ledger("import", exported, "--db", "new.db").out.endswith(
        "4 records came from " + f"{exported}; 0 were there.\n"
    )
    assert ledger("import", exported, "--db", "new.db").out == f"0 records came from {exported}; 4 were there.\n"
    other = Agent(agent.path.with_name("new.db"))
    assert other.store.get("paid") == agent.store.get("paid")
    assert other.ask("paid", Status.FAILED).record.result == PAID.result
    assert other.store.stats(Query())["replayed"] == 3
    other.close()


def test_counts_add_up_and_what_was_running_is_unknown(ledger: Ledger, exported: Path) -> None:
    ledger("import", exported, "--db", "new.db")
    told = _stats(ledger, "new.db")
    ended = sum(told[name] for name in ("executed", "failed", "unknown", "blocked", "running"))
    assert (told["actions"], told["attempts"], told["running"], told["unresolved"]) == (4, ended, 0, 2)
    (busy,) = ledger("show", "busy", "--db", "new.db", "--json").json
    assert (busy["status"], busy["error"]) == ("unknown", "it was running when it was exported")


def test_a_claim_that_runs_is_never_overwritten(agent: Agent, ledger: Ledger, exported: Path) -> None:
    other = Agent(agent.path.with_name("new.db"))
    other.starts("paid", wf="mine")
    before = other.store.get("paid")
    assert ledger("import", exported, "--db", "new.db").out.startswith("3 records came")
    assert other.store.get("paid") == before
    other.close()


def test_two_imports_at_once_bring_every_record_once(agent: Agent, tmp_path: Path, ledger: Ledger) -> None:
    for n in range(300):
        agent.ask(f"{n:032x}")
    ledger("export", "--whole", "-o", "out.jsonl")
    command = [sys.executable, "-m", "ledger_console", "import", "out.jsonl", "--db", "new.db"]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = [process.communicate(timeout=60)[0] for process in both]
    assert sum(int(line.split()[0]) for line in said) == 300
    assert _stats(ledger, "new.db")["actions"] == 300


@pytest.mark.parametrize(
    "spoiled",
    [
        {"attempts": "7"}, {"attempts": -1}, {"status": "odd"}, {"wf": None}, {"about": []}, {"id": ""},
        {"touched": ["soon", 0, ""]}, {"touched": [1e999, 0, ""]}, {"note": "\ud800"}, {"released": 1},
        {"result": ["x", None]}, {"surprise": 1}, {"result": [{}, "%%"]},
    ],
)  # fmt: skip
def test_a_bad_line_is_one_line_with_its_number(ledger: Ledger, exported: Path, spoiled: dict[str, Any]) -> None:
    lines = exported.read_text().splitlines()
    good = lines[2]
    lines[2] = json.dumps({**json.loads(good), **spoiled})
    exported.write_text("\n".join(lines))
    said = ledger("import", exported, "--db", "new.db")
    assert (said.code, said.err.count("\n")) == (1, 1)
    assert f"line 3 of {exported}" in said.err
    assert _stats(ledger, "new.db")["actions"] == 2
    lines[2] = good
    exported.write_text("\n".join(lines))
    assert ledger("import", exported, "--db", "new.db").out.startswith("2 records came")


@pytest.mark.parametrize("text", [b"not json\n", b"\xff\xfe\n", b"[]\n", b"7\n", b'{"id": "a"}\n', b"[" * 100_000])
def test_a_wrong_file_makes_no_ledger(ledger: Ledger, tmp_path: Path, text: bytes) -> None:
    (tmp_path / "wrong").write_bytes(text)
    said = ledger("import", "wrong", "--db", "new.db")
    assert (said.code, said.out, said.err.count("\n")) == (1, "", 1)
    assert "line 1 of wrong" in said.err
    assert not (tmp_path / "new.db").exists()


def test_an_export_that_is_not_whole_is_told_apart(agent: Agent, ledger: Ledger) -> None:
    agent.ask("a1")
    assert ledger("export", "-o", "part.jsonl").code == 0
    said = ledger("import", "part.jsonl", "--db", "new.db")
    why = "line 1 of part.jsonl is no whole record (its values are not those of one)"
    assert said == (1, "", f"ledger: {why}; nothing was imported; give what `ledger export --whole` wrote\n")


def test_many_batches(agent: Agent, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importing, "AT_ONCE", 3)
    for n in range(10):
        agent.ask(f"a{n}")
    ledger("export", "--whole", "-o", "out.jsonl")
    assert ledger("import", "out.jsonl", "--db", "new.db").out.startswith("10 records came")


def test_from_a_pipe(ledger: Ledger, exported: Path) -> None:
    shell = f"cat {exported} | {sys.executable} -m ledger_console import /dev/stdin --db new.db"
    subprocess.run(["bash", "-c", shell], check=True, capture_output=True, timeout=60)
    assert _stats(ledger, "new.db")["actions"] == 4


class TestLedgerOnce:
    """A `ledger.db` that Ledger-Once wrote."""

    @pytest.fixture
    def old(self, tmp_path: Path) -> Path:
        test_upgrade.restore(tmp_path / "old.db")
        return tmp_path / "old.db"

    def test_its_rows_come_and_its_file_stays(self, ledger: Ledger, old: Path) -> None:
        db = sqlite3.connect(old)
        before = list(db.execute("SELECT * FROM ledger"))
        said = ledger("import", old, "--db", "new.db")
        assert said.out == f"{len(before)} records came from {old}; 0 were there.\n"
        assert ledger("import", old, "--db", "new.db").out == f"0 records came from {old}; {len(before)} were there.\n"
        assert list(db.execute("SELECT * FROM ledger")) == before
        assert db.execute("SELECT count(*) FROM sqlite_master WHERE name = 'records'").fetchone() == (0,)
        db.close()

    @pytest.mark.parametrize("by_export", [False, True])
    def test_what_ran_there_does_not_run_again_here(
        self, ledger: Ledger, old: Path, by_export: bool, tmp_path: Path, shop: Any
    ) -> None:
        if by_export:
            shutil.copy(old, "copy.db")
            ledger("export", "--whole", "-o", "out.jsonl", "--db", "copy.db")
        assert ledger("import", "out.jsonl" if by_export else old, "--db", "new.db").code == 0
        store = SqliteStore(tmp_path / "new.db")
        guard = Guard(store).quiet()
        assert guard(shop.charge, "A-7", amount=99.99) is None
        assert shop.ran == []
        guard.close()
        store.close()

    def test_what_cannot_be_meant_is_said(self, agent: Agent, ledger: Ledger, old: Path) -> None:
        agent.ask("a1")
        shutil.copy(old, "ledger2.db")
        for file, db, said in (
            ("ledger2.db", "ledger2.db", "is the ledger itself"),
            ("ledger.db", "new.db", "is a ledger already"),
            ("nowhere", "new.db", "No such file"),
            (".", "new.db", "Is a directory"),
        ):
            answer = ledger("import", file, "--db", db)
            assert (answer.code > 0, answer.out, answer.err.count("\n")) == (True, "", 1)
            assert said in answer.err
