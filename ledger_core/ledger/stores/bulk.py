"""Many writes of one kind in one statement, inside the caller's transaction.

Each statement gives up the interpreter lock and has to get it back; with many threads at work that is most of what
their leader waits for. There are few sizes, so that SQLite keeps all of their texts prepared.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from itertools import chain, groupby
from operator import add
from typing import Any

from ledger.lifecycle import ANSWERED
from ledger.records import Event, EventType
from ledger.stores import schema
from ledger.stores.rows import COUNTERS, LINE, count_row, line_row

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
    for kind, alike_lines in groupby(events, lambda e: e.event if e.record in sums else None):
        _write(db, partial(_insert_events, kind), [line_row(event) for event in alike_lines])


def _count_all(db: sqlite3.Connection, counts: tuple[int, ...], ids: Sequence[str]) -> int:
    """Add the same to all of them; how many of them are there."""
    names, values = zip(*[(name, n) for name, n in zip(COUNTERS, counts, strict=True) if n], strict=True)
    return sum(db.execute(_count(names, len(some)), (*values, *some)).rowcount for some in _chunks(ids))


_ANSWERED = {event: count_row(counts) for event, counts in ANSWERED.items()}


def _write(db: sqlite3.Connection, sql: Callable[[int], str], rows: Sequence[Sequence[Any]]) -> None:
    for some in _chunks(rows):
        db.execute(sql(len(some)), list(chain.from_iterable(some)))


def _chunks[T](rows: Sequence[T]) -> Iterator[Sequence[T]]:
    at = 0
    while at < len(rows):
        size = next(size for size in SIZES if size <= len(rows) - at)
        yield rows[at : at + size]
        at += size


# What is not named costs nothing: neither a value that is handed over nor a column that is written.
@cache
def _insert_events(kind: EventType | None, count: int) -> str:
    added = ANSWERED.get(kind, {}) if kind is not None else {}
    row = ", ".join(["?"] * len(LINE) + [str(n) for n in added.values()])
    return f"INSERT INTO events ({', '.join((*LINE, *added))}) VALUES {', '.join([f'({row})'] * count)}"


@cache
def _count(names: tuple[str, ...], count: int) -> str:
    add = ", ".join(f"{name} = {name} + ?" for name in names)
    return f"UPDATE records SET {add} WHERE id IN ({', '.join('?' * count)})"
