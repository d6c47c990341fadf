"""How a page is read: along the index of the filter that the fewest records fit, from its cursor on, in short reads."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ledger.ports import Query, Sort, cursor
from ledger.records import Instant, Record, Status
from ledger.stores import files, paging
from ledger.stores.sqlite import SqliteStore

COUNT = 80
STATUSES = {0: Status.UNKNOWN, 3: Status.FAILED, 4: Status.RUNNING}
FILTERS: list[dict[str, Any]] = [
    {},
    {"tool": "mail"},
    {"tool": "mail", "caller": "b"},
    {"tool": "refund", "caller": "a"},
    {"wf": "w3", "tool": "mail"},
    {"status": Status.UNKNOWN, "caller": "a"},
    {"status": Status.UNKNOWN, "tool": "none"},
    {"status": Status.SUCCESS, "tool": "mail"},
    {"since": 1010.0, "until": 1050.0},
    {"since": 1010.0, "caller": "b", "grep": "7"},
]


def made(number: int) -> Record:
    """Of most kinds many, of some few."""
    at = Instant(1000.0 + number // 2, 1.0, "boot")
    return Record(
        id=f"{number:04x}",
        tool="refund" if number % 20 == 7 else "mail",
        wf=f"w{number // 4}",
        caller="b" if number % 7 == 0 else "a",
        status=STATUSES.get(number % 11, Status.SUCCESS),
        created=at,
        touched=replace(at, wall=2000.0 - number * 7 % 30),
        attempts=1 + number % 3,
        replayed=number % 3,
    )


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    """What came last is not filed yet."""
    kept = SqliteStore(tmp_path / "ledger.db")
    records = [made(number) for number in range(COUNT)]
    kept.add(records[:-5])
    kept.file()
    kept.add(records[-5:])
    yield kept
    kept.close()


@pytest.fixture
def asked(store: SqliteStore) -> Iterator[tuple[sqlite3.Connection, list[str]]]:
    """A connection that reads, and every statement it is given."""
    db, statements = files.open_reader(store.path), list[str]()
    db.set_trace_callback(statements.append)
    yield db, statements
    db.close()


def plan(asked: tuple[sqlite3.Connection, list[str]], query: Query) -> str:
    """How SQLite reads what is filed, for the last part of a page."""
    db, statements = asked
    statements.clear()
    paging.page(db, query)
    read = next(sql for sql in reversed(statements) if "UNION ALL" in sql)
    lines = [row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {read}")]
    return next(line for line in lines if " r " in line and "PRIMARY KEY" not in line)


@pytest.mark.parametrize("oldest", [False, True])
@pytest.mark.parametrize("sort", [sort for sort in Sort if sort is not Sort.STATUS])
@pytest.mark.parametrize(
    ("filters", "index"),
    [
        ({"wf": "w3", "tool": "mail"}, "records_filed_wf"),
        ({"tool": "refund", "caller": "a"}, "records_filed_tool"),
        ({"tool": "mail", "caller": "b"}, "records_filed_caller"),
        ({"status": Status.UNKNOWN, "tool": "mail", "caller": "a"}, "records_filed_status"),
        ({"status": Status.SUCCESS, "tool": "refund"}, "records_filed_tool"),
    ],
)
def test_of_several_filters_the_narrowest_ones_index_is_read(
    asked: tuple[sqlite3.Connection, list[str]], sort: Sort, oldest: bool, filters: dict[str, Any], index: str
) -> None:
    """By status each status is a filter, too: of it the narrowest may be the status."""
    told = plan(asked, Query(sort=sort, oldest=oldest, **filters))
    assert re.search(rf"SEARCH r USING (COVERING )?INDEX {index} ", told)


@pytest.mark.parametrize("oldest", [False, True])
@pytest.mark.parametrize("sort", Sort)
def test_a_deep_page_begins_at_its_cursor(
    store: SqliteStore, asked: tuple[sqlite3.Connection, list[str]], sort: Sort, oldest: bool
) -> None:
    """Not at the beginning of the order, counting up to where the page before ended."""
    query = Query(limit=3, sort=sort, oldest=oldest)
    for _ in range(6):
        query = replace(query, before=cursor(store.page(query)[-1], sort))
    bound = ">" if oldest else "<"
    assert re.search(rf"{bound}\?\)$", plan(asked, query))


@pytest.mark.parametrize("few", [0, 20_000])
@pytest.mark.parametrize("width", [1, 7, 200])
@pytest.mark.parametrize("oldest", [False, True])
@pytest.mark.parametrize("sort", Sort)
def test_short_reads_find_what_one_long_one_does(
    store: SqliteStore, sort: Sort, oldest: bool, width: int, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paging, "FEW", few)
    monkeypatch.setattr(paging, "READ", 2)
    for filters in FILTERS:
        query = Query(sort=sort, oldest=oldest, **filters)
        seen, edge = store.scan(query, width)
        while edge is not None:
            more, edge = store.scan(replace(query, before=edge), width)
            seen += more
        assert seen == store.page(query), filters


def test_a_short_read_reads_no_more_records_than_fill_its_page(
    asked: tuple[sqlite3.Connection, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paging, "READ", 5)
    db, statements = asked
    found, _ = paging.scan(db, Query(limit=3, tool="mail", caller="a"), 40)
    assert len(found) == 3
    assert len([sql for sql in statements if "r.seq IN (" in sql]) == 1
