"""Many writes of one kind in one statement, inside the caller's transaction.

Each statement gives up the interpreter lock and has to get it back; with many threads at work that is most of what
their leader waits for. There are few sizes, so that SQLite keeps all of their texts prepared.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from itertools import chain
from operator import add
from typing import Any

from ledger.lifecycle import ANSWERED
from ledger.records import Event
from ledger.stores import schema
from ledger.stores.rows import count_row, line_row

SIZES = (32, 24, 16, 12, 8, 6, 4, 3, 2, 1)


def answered(db: sqlite3.Connection, events: Sequence[Event]) -> None:
    """Journal attempts that executed nothing, and count them. What was removed meanwhile counts nowhere, so that the
    sums stay those of the records."""
    sums: dict[str, tuple[int, ...]] = {}
    for event in events:
        counts = _ANSWERED.get(event.event)
        if counts is not None:
            before = sums.get(event.record)
            sums[event.record] = counts if before is None else tuple(map(add, before, counts))
    alike: dict[tuple[int, ...], list[str]] = {}
    for id, counts in sums.items():
        alike.setdefault(counts, []).append(id)
    if sum(_count_all(db, counts, ids) for counts, ids in alike.items()) < len(sums):
        sums = {id: counts for id, counts in sums.items() if db.execute(schema.IS_THERE, (id,)).fetchone()}
    counted = [_ANSWERED.get(e.event, _NOTHING) if e.record in sums else _NOTHING for e in events]
    _journal(db, [(*line_row(e), 0, *counts) for e, counts in zip(events, counted, strict=True)])


def _count_all(db: sqlite3.Connection, counts: tuple[int, ...], ids: Sequence[str]) -> int:
    """Add the same to all of them; how many of them are there."""
    return sum(db.execute(_count(len(some)), (*counts, *some)).rowcount for some in _chunks(ids))


_ANSWERED = {event: count_row(counts) for event, counts in ANSWERED.items()}
_NOTHING = count_row({})


def _journal(db: sqlite3.Connection, rows: Sequence[Sequence[Any]]) -> None:
    _write(db, _insert_events, rows)


def _write(db: sqlite3.Connection, sql: Callable[[int], str], rows: Sequence[Sequence[Any]]) -> None:
    for some in _chunks(rows):
        db.execute(sql(len(some)), list(chain.from_iterable(some)))


def _chunks[T](rows: Sequence[T]) -> Iterator[Sequence[T]]:
    at = 0
    while at < len(rows):
        size = next(size for size in SIZES if size <= len(rows) - at)
        yield rows[at : at + size]
        at += size


def _of_many(sql: str, count: int) -> str:
    """The statement that inserts one row, for so many."""
    head, values, row = sql.partition("VALUES ")
    return f"{head}{values}{', '.join([row] * count)}"


@cache
def _insert_events(count: int) -> str:
    return _of_many(schema.PUT_EVENT, count)


@cache
def _count(count: int) -> str:
    return schema.COUNT.replace("id = ?", f"id IN ({', '.join('?' * count)})")
