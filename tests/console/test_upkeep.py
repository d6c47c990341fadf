"""`ledger backup`, `purge`, `vacuum`: on a ledger that is in use."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from ledger import clock
from ledger.records import Instant, Record, Result, Status
from ledger.steps import Outcome
from ledger.stores.sqlite import SqliteStore
from tests.console.conftest import Agent, Ledger


def test_a_backup_is_a_ledger_and_private(agent: Agent, ledger: Ledger, tmp_path: Path) -> None:
    agent.ask("a1", Outcome(Status.SUCCESS, result=Result({"status": 200}, b"paid")))
    agent.starts("b2")
    secret = agent.store.secret()
    assert ledger("backup", "copy.db").code == 0
    assert stat.S_IMODE((tmp_path / "copy.db").stat().st_mode) == 0o600
    copy = SqliteStore(tmp_path / "copy.db")
    assert copy.get("a1") == agent.store.get("a1")
    assert copy.secret() == secret
    copy.close()
    assert sorted(path.name for path in tmp_path.glob("copy*")) == ["copy.db"]


def test_a_backup_overwrites_nothing(agent: Agent, ledger: Ledger, tmp_path: Path) -> None:
    (tmp_path / "copy.db").write_text("mine")
    said = ledger("backup", "copy.db")
    assert said.code == 2
    assert "exists already" in said.err
    assert (tmp_path / "copy.db").read_text() == "mine"


def test_a_backup_to_nowhere_is_one_line(agent: Agent, ledger: Ledger) -> None:
    said = ledger("backup", "no/such/place/copy.db")
    assert said == (2, "", "ledger: there is no folder no/such/place; make it, or give another FILE\n")


def _aged(agent: Agent, id: str, days: float, status: Status = Status.SUCCESS, touched: float | None = None) -> None:
    now = clock.now()
    created, last = (Instant(now.wall - d * 86_400, 0.0, "other boot") for d in (days, touched or days))
    agent.store.put(Record(id=id, tool="old", status=status, created=created, touched=last, attempts=1))


def test_purge_takes_what_ended_long_ago_and_nothing_else(agent: Agent, ledger: Ledger) -> None:
    _aged(agent, "old", 100)
    _aged(agent, "old-but-used", 100, touched=1)
    _aged(agent, "old-unknown", 100, Status.UNKNOWN)
    agent.ask("new")
    said = ledger("purge", "--older-than", "90d", "--yes")
    assert said.out.startswith("Removed 1 record.")
    assert sorted(r.id for r in agent.store.all()) == ["new", "old-but-used", "old-unknown"]


def test_purge_asks_and_says_when_nobody_can_answer(
    agent: Agent, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: False)
    _aged(agent, "old", 100)
    assert ledger("purge", "--older-than", "90d").code == 2
    assert agent.store.get("old") is not None


def test_vacuum_gives_space_back(agent: Agent, ledger: Ledger) -> None:
    for n in range(50):
        agent.ask(f"a{n}", Outcome(Status.SUCCESS, result=Result({}, bytes(20_000))))
    assert ledger("clear", "--yes").code == 0
    said = ledger("vacuum").out.replace(",", "").split()
    before, after = int(said[1]), int(said[4])
    assert after < before / 10
    agent.ask("and on")
    assert agent.store.get("and on") is not None


def test_nothing_is_made_where_there_is_no_ledger(ledger: Ledger, tmp_path: Path) -> None:
    for words in (["backup", "copy.db"], ["vacuum"], ["purge", "--older-than", "1d"], ["export"], ["unknown"]):
        assert ledger(*words).code == 1
    assert list(tmp_path.iterdir()) == []
