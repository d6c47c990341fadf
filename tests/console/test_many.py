"""Commands that look through all records hold few of them in memory, and none is left out at the edge of a page."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ledger.ports import Query
from ledger.records import Instant, Record, Status
from ledger.stores.sqlite import SqliteStore
from ledger_console import actions, batches, unknown
from tests.console.conftest import Agent, Ledger
from tests.console.running import PATIENCE, running

COUNT = 53
AT_ONCE = 7


@pytest.fixture
def read(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """Records of one instant, as an import may leave them, filed; tells how many were read at once."""
    when = Instant(1_700_000_000.0, 1.0, "another boot")
    for number in range(COUNT):
        for status in (Status.SUCCESS, Status.UNKNOWN):
            record = Record(id=f"{status}{number:03}", tool="t", status=status, created=when, touched=when)
            agent.store.put(record)
    agent.store.file()
    most = 0

    def page(self: SqliteStore, query: Query) -> list[Record]:
        nonlocal most
        found = real(self, query)
        most = max(most, len(found))
        return found

    real = SqliteStore.page
    monkeypatch.setattr(SqliteStore, "page", page)
    monkeypatch.setattr(actions, "AT_ONCE", AT_ONCE)
    monkeypatch.setattr(batches, "PAGE", AT_ONCE)
    monkeypatch.setattr(unknown, "SCREENFUL", AT_ONCE)
    return lambda: most


@pytest.mark.parametrize(
    ("command", "said", "left"),
    [
        ("clear --yes", f"Removed {COUNT} success.", COUNT),
        ("clear --yes --force", f"Removed {COUNT} success, {COUNT} unknown.", 0),
        ("purge --older-than 1d --yes", f"Removed {COUNT} records.", COUNT),
    ],
)
def test_all_that_are_meant_are_removed(
    agent: Agent, ledger: Ledger, read: Callable[[], int], command: str, said: str, left: int
) -> None:
    assert said in ledger(*command.split()).out
    assert read() == AT_ONCE
    assert agent.store.stats(Query())["actions"] == left


def test_all_that_wait_are_listed(ledger: Ledger, read: Callable[[], int]) -> None:
    listed = [record["id"] for record in ledger("unknown", "--json").json]
    assert listed == [f"unknown{number:03}" for number in range(COUNT)]
    told = ledger("unknown")
    assert told.out.count("it happened:") == COUNT
    assert f"{COUNT} wait." in told.err
    assert read() == AT_ONCE


def test_some_that_wait_are_listed(ledger: Ledger, read: Callable[[], int]) -> None:
    told = ledger("unknown", "--limit", "2")
    assert told.out.count("it happened:") == 2
    assert "Only the 2 oldest are listed; --limit 0 lists all." in told.err
    assert f"{COUNT} wait." in ledger("unknown", "--limit", str(COUNT)).err
    assert read() == AT_ONCE


@pytest.mark.usefixtures("read")
def test_a_terminal_gets_a_screenful_of_them() -> None:
    with running("unknown", terminal=True) as it:
        assert it.sees("Only the 50 oldest are listed")
        assert it.process.wait(PATIENCE) == 0
