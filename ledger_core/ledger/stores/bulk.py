"""Many writes of one kind in one statement, inside the caller's transaction.

Each statement gives up the interpreter lock and has to get it back; with many threads at work that is most of what
their leader waits for. There are few sizes, so that SQLite keeps all of their texts prepared.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from functools import cache
from operator import add
from typing import Any

from ledger.lifecycle import ANSWERED, Change
from ledger.records import Event
from ledger.stores import atonce, schema
from ledger.stores.rows import (
    count_row,
    event_row,
    fixed_row,
    line_row,
    state_row,
)
from ledger.stores.sealed import cipher_of

SIZES = (32, 24, 16, 12, 8, 6, 4, 3, 2, 1)


class Uneven(Exception):
    """Not all could be written, and which could not is not known: roll back, and write one by one."""


def claim(db: sqlite3.Connection, changes: Sequence[Change]) -> list[bool]:
    """First claims of calls, which have no content to compare; which of them were inserted."""
    rows = [(*fixed_row(c.record), *state_row(c.record), *count_row(c.counts)) for c in changes]
    if _write(db, _insert, rows) == len(rows):
        done = [True] * len(rows)
    else:
        # Owners' tokens are unique, so a row has ours only where our insert was the one that went in.
        done = [db.execute(schema.OWNED_BY, (c.record.id, c.record.owner)).fetchone() is not None for c in changes]
    _journal(db, [event_row(c.event, 1, c.counts) for c, won in zip(changes, done, strict=True) if won])
    return done


def finish(db: sqlite3.Connection, changes: Sequence[Change]) -> None:
    """Changes by the owners of claims. Raises Uneven where one of them is its owner's no more."""
    cipher, before = cipher_of(db), db.total_changes
    _write(db, _finished, [atonce.end_row(change, cipher) for change in changes])
    if db.total_changes - before != sum(map(atonce.rows_of, changes)):
        raise Uneven


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


def _write(db: sqlite3.Connection, sql: Any, rows: Sequence[Sequence[Any]]) -> int:
    """How many rows of the table were changed."""
    changed = 0
    for some in _chunks(rows):
        changed += db.execute(sql(len(some)), [value for row in some for value in row]).rowcount
    return changed


def _chunks[T](rows: Sequence[T]) -> Iterator[Sequence[T]]:
    at = 0
    while at < len(rows):
        size = next(size for size in SIZES if size <= len(rows) - at)
        yield rows[at : at + size]
        at += size


def _values(width: int, count: int) -> str:
    return f"VALUES {', '.join([f'({", ".join("?" * width)})'] * count)}"


@cache
def _insert(count: int) -> str:
    return schema.INSERT.replace(f"VALUES ({schema.VALUES})", _values(schema.VALUES.count("?"), count))


@cache
def _insert_events(count: int) -> str:
    head, _, row = schema.PUT_EVENT.partition("VALUES ")
    return f"{head}{_values(row.count('?'), count)}"


@cache
def _finished(count: int) -> str:
    head, _, row = atonce.FINISHED.partition("VALUES ")
    return f"{head}{_values(row.count('?'), count)}"


@cache
def _count(count: int) -> str:
    return schema.COUNT.replace("id = ?", f"id IN ({', '.join('?' * count)})")
