"""`ledger export`: every record once, in a form that other tools read."""

from __future__ import annotations

import csv
import io
import stat
from pathlib import Path

import pytest

from ledger.records import Record, Result, Status
from ledger.steps import Outcome
from ledger_console import batches
from tests.console.conftest import Agent, Ledger


def test_every_record_once_however_many_pages(agent: Agent, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "PAGE", 3)
    for n in range(10):
        agent.ask(f"a{n}")
    ids = [record["id"] for record in ledger("export").json]
    assert sorted(ids) == sorted(f"a{n}" for n in range(10))
    assert [record["id"] for record in ledger("show", "--json").json] == ids


def test_whole_records_come_back_equal(agent: Agent, ledger: Ledger) -> None:
    agent.ask("a1", Outcome(Status.SUCCESS, result=Result({"status": 200}, b"\x00paid")))
    (line,) = ledger("export", "--whole").lines
    assert Record.from_json(line) == agent.store.get("a1")


def test_a_spreadsheet_gets_no_formula(agent: Agent, ledger: Ledger) -> None:
    agent.ask("a1", tool="=HYPERLINK(1)", caller="a,b\nc")
    (row,) = csv.DictReader(io.StringIO(ledger("export", "--format", "csv").out, newline=""))
    assert (row["tool"], row["caller"], row["status"]) == ("'=HYPERLINK(1)", "a,b\nc", "success")


def test_a_file_is_private_and_never_overwritten(agent: Agent, ledger: Ledger, tmp_path: Path) -> None:
    agent.ask("a1")
    assert ledger("export", "-o", "out.jsonl").out == "Wrote 1 record to out.jsonl.\n"
    assert stat.S_IMODE((tmp_path / "out.jsonl").stat().st_mode) == 0o600
    again = ledger("export", "-o", "out.jsonl")
    assert again.code == 2
    assert "exists already" in again.err


def test_filters_are_those_of_show(agent: Agent, ledger: Ledger) -> None:
    agent.ask("a1", wf="order-1")
    agent.ask("b2", Status.FAILED)
    assert [record["id"] for record in ledger("export", "--status", "failed").json] == ["b2"]
    assert ledger("export", "--until", "2020-01-01").out == ""
