"""A text is looked for in many records: nothing is missed at an edge, and who waits is told how far it came."""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger.records import Record
from ledger.stores.sqlite import SqliteStore
from ledger_console import batches
from tests.console.conftest import Ledger
from tests.console.running import PATIENCE, running

COUNT = 210


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """Two hundred and ten records, every tenth with the text."""
    store = SqliteStore(tmp_path / "ledger.db")
    for number in range(COUNT):
        store.claim(Record(id=f"{number:04x}", tool="charge" if number % 10 else "refund of Ann"))
    store.close()
    return tmp_path / "ledger.db"


@pytest.mark.parametrize("width", [1, 7, 10, 1000])
@pytest.mark.parametrize("page", [1, 3, 1000])
@pytest.mark.usefixtures("many")
def test_however_few_are_read_at_a_time(ledger: Ledger, monkeypatch: pytest.MonkeyPatch, width: int, page: int) -> None:
    for name, value in (("WIDTH", width), ("FOUND", page), ("PAGE", page)):
        monkeypatch.setattr(batches, name, value)

    def ids(*words: str) -> list[int]:
        return [int(record["id"], 16) for record in ledger("show", "--json", *words).json]

    assert ids("--grep", "ann") == list(range(200, -1, -10))
    assert ids("--grep", "ann", "--oldest") == list(range(0, 201, 10))
    assert ids("--grep", "ann", "--limit", "4") == [200, 190, 180, 170]
    assert ids("--grep", "ann", "--limit", "21") == list(range(200, -1, -10))
    assert ids("--grep", "nobody") == []
    assert ids() == list(range(COUNT - 1, -1, -1))
    assert ids("--limit", "5") == [209, 208, 207, 206, 205]
    exported = ledger("export", "--grep", "ann").json
    assert [int(record["id"], 16) for record in exported] == list(range(200, -1, -10))


@pytest.mark.usefixtures("many")
def test_a_list_that_comes_in_parts_has_one_header(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "PAGE", 30)
    said = ledger("show").lines
    assert len(said) == COUNT + 1
    assert [line for line in said if line.startswith("RECORD")] == said[:1]


@pytest.mark.usefixtures("many")
def test_a_terminal_without_colours_gets_a_screenful_too() -> None:
    with running("show", terminal=True, NO_COLOR="1") as show:
        assert show.sees("--before")
        assert show.process.wait(PATIENCE) == 0
    assert "Only the newest 200 are shown" in show.seen
    assert "\x1b" not in show.seen
