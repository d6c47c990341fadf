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
from ledger.stores import schema
from ledger.stores.rows import (
    COUNTERS,
    OWNED,
    count_row,
    event_row,
    fixed_row,
    line_row,
    owned_row,
    result_row,
    state_row,
)
from ledger.stores.sealed import cipher_of

SIZES = (32, 24, 16, 12, 8, 6, 4, 3, 2, 1)
UPDATES_FROM_VALUES = sqlite3.sqlite_version_info >= (3, 33)
"""See https://sqlite.org/lang_update.html#upfrom."""


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
    rows = [
        (*owned_row(c.record, was), *count_row(c.counts), was.id, was.owner, was.epoch, was.status.value)
        for c in changes
        if (was := c.was) is not None
    ]
    if _write(db, _update_owned, rows) != len(changes):
        raise Uneven
    cipher = cipher_of(db)
    _write(db, _put_results, [row for c in changes if (row := result_row(c.record, cipher)) is not None])
    _journal(db, [event_row(c.event, 0, c.counts) for c in changes])


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
def _update_owned(count: int) -> str:
    names = (*OWNED, *COUNTERS, "id", "owner", "epoch", "status_before")
    told = {name: f"v.column{number}" for number, name in enumerate(names, start=1)}
    owned = [f"{c} = coalesce({told[c]}, about)" if c == "about" else f"{c} = {told[c]}" for c in OWNED]
    return f"""UPDATE records SET {", ".join(owned)}, {", ".join(f"{c} = {c} + {told[c]}" for c in COUNTERS)}
        FROM ({_values(len(names), count)}) v WHERE records.id = {told["id"]} AND records.owner = {told["owner"]}
        AND records.epoch = {told["epoch"]} AND records.status = {told["status_before"]}"""


@cache
def _count(count: int) -> str:
    return schema.COUNT.replace("id = ?", f"id IN ({', '.join('?' * count)})")


@cache
def _put_results(count: int) -> str:
    # CROSS, so that the few values are gone through and not the records.
    return f"""INSERT OR REPLACE INTO results (seq, epoch, meta, body)
        SELECT r.seq, v.column1, v.column2, v.column3
        FROM ({_values(4, count)}) v CROSS JOIN records r ON r.id = v.column4"""
