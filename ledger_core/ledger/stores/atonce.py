"""Changes, their results and their journal lines, any number of them as one statement. Decides nothing, opens nothing.

Rows are inserted into a view of this connection, whose triggers write all of it. A statement alone is a transaction of
its own, so there is none to begin and to commit; and it gives up the interpreter lock once. With many threads at work,
getting that back is most of what their leader waits for.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from ledger.lifecycle import TABLE, Change
from ledger.stores import schema
from ledger.stores.rows import COLUMNS, COUNTED, COUNTERS, OWNED, about_text, count_row, dumps, owned_row, result_row
from ledger.stores.sealed import Cipher, cipher_of

MOST = 64
"""Changes of one statement."""
_SIZES = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, MOST)
"""Few, so that SQLite keeps their texts prepared; what is missing is filled up with rows that write nothing."""
_CLAIM, _END = 1, 2
"""What a row of the view is; any other is nothing."""

_FIRST = next(row for row in TABLE if row.start is None)
_FOLLOWS: Mapping[str, str] = {
    "content_id": "NULL", "payload_id": "NULL", "released": "0",
    "touched": "created", "began": "created", "began_mono": "touched_mono", "began_boot": "touched_boot",
    **dict(zip(COUNTERS, map(str, count_row(_FIRST.counts)), strict=True)),
}  # fmt: skip
"""What of a first claim of a call follows from the rest of it: the fewer values are handed over."""
_COUNTS = tuple(f"add_{c}" for c in COUNTERS)
_SEEN = ("seen_id", "seen_owner", "seen_epoch", "seen_status")
_CLAIMED = (*(c for c in COLUMNS if c not in _FOLLOWS), "event", "detail")
_ENDED = (*OWNED, *_COUNTS, *_SEEN, "meta", "body", "tool", "wf", "caller", "event", "detail")
_WIDTH = max(len(_CLAIMED), len(_ENDED))


def _filled(sql: str, names: Sequence[str], told: Sequence[str], follows: Mapping[str, str]) -> str:
    """The statement with values of the view's row in the place of its parameters. told: the names of all it has."""
    head, *rest = sql.split("?")
    found = [follows.get(name, name) for name in names]
    values = [f"new.v{told.index(name)}" if name in told else name for name in found]
    return head + "".join(value + part for value, part in zip(values, rest, strict=True))


_LINE = f"""INSERT INTO events (at, event, record, tool, wf, caller, detail, {", ".join(COUNTED)})
    SELECT {", ".join("?" * (7 + len(COUNTED)))} WHERE changes() = 0"""
_MISSED = "INSERT OR REPLACE INTO missed SELECT new.number WHERE changes() = 0"
"""Of a change that was refused nothing else is written: of the statements behind it each looks at what changed last."""
_CLAIM_LINE = ("created", "event", "id", "tool", "wf", "caller", "detail", "1", *COUNTERS)
_END_LINE = ("touched", "event", "seen_id", "tool", "wf", "caller", "detail", "0", *_COUNTS)
_RESULT = f"{schema.PUT_RESULT} AND changes() > 0 AND ? IS NOT NULL"
_PREPARED = (
    "CREATE TEMP TABLE missed (number INTEGER PRIMARY KEY)",
    f"CREATE TEMP VIEW written AS SELECT 0 AS what, 0 AS number, {', '.join(f'0 AS v{n}' for n in range(_WIDTH))}",
    f"""CREATE TEMP TRIGGER claiming INSTEAD OF INSERT ON written WHEN new.what = {_CLAIM} BEGIN
        {_filled(schema.INSERT, COLUMNS, _CLAIMED, _FOLLOWS)};
        {_MISSED};
        {_filled(_LINE, _CLAIM_LINE, _CLAIMED, _FOLLOWS)};
    END""",
    f"""CREATE TEMP TRIGGER ending INSTEAD OF INSERT ON written WHEN new.what = {_END} BEGIN
        {_filled(schema.FINISH, (*OWNED, *_COUNTS, *_SEEN), _ENDED, {})};
        {_MISSED};
        {_filled(_LINE, _END_LINE, _ENDED, {})};
        {_filled(_RESULT, ("seen_epoch", "meta", "body", "seen_id", "meta"), _ENDED, {})};
    END""",
)


def prepare(db: sqlite3.Connection) -> None:
    """Make the view of this connection; the file is left as it is."""
    for sql in _PREPARED:
        db.execute(sql)


def write_one(db: sqlite3.Connection, change: Change) -> bool:
    """As `write`, for one change alone."""
    row = _claim(change, 0) if change.was is None else _end(change, 0, cipher_of(db))
    before = db.total_changes
    db.execute(_ONE, row)
    return held_one(db, before)


def held_one(db: sqlite3.Connection, before: int) -> bool:
    """Whether one change alone was made, once it is written: one that is refused changes a row, in `missed`."""
    # A trigger's changes are in no cursor's row count. Not "more than one": SQLite's own count starts again below zero.
    return db.total_changes - before not in (0, 1)


def write(db: sqlite3.Connection, changes: Sequence[Change], before: int) -> list[bool]:
    """First claims of calls, which have no content to compare, and changes by owners of claims; which of them hold.

    All are written, or none if it raises. changes: MOST at most. before: the connection's `total_changes`.
    """
    sql, missing = _statement(len(changes))
    cipher, number = cipher_of(db), before * MOST
    values: list[Any] = []
    for at, change in enumerate(changes, number):
        values += _claim(change, at) if change.was is None else _end(change, at, cipher)
    db.execute(sql, values + missing)
    if db.total_changes - before == sum([2 if c.record.result is None or c.was is None else 3 for c in changes]):
        return [True] * len(changes)
    told = held(db, len(changes), before)
    # Of earlier ones only: see `held`.
    db.execute("DELETE FROM missed WHERE number < ?", (number,))
    return told


def held(db: sqlite3.Connection, count: int, before: int) -> list[bool]:
    """Which of so many changes were made, once they are written. Asks what is written, and changes nothing: whoever
    was broken off amid the answer can ask again."""
    number = before * MOST
    missed = {at for (at,) in db.execute("SELECT number FROM missed WHERE number >= ?", (number,))}
    return [at not in missed for at in range(number, number + count)]


def _claim(change: Change, number: int) -> tuple[Any, ...]:
    """As `lifecycle.first_claim` makes it: all of one moment."""
    r, event = change.record, change.event
    touched = r.touched
    return (
        _CLAIM, number, r.id, r.kind._value_, r.tool, r.rule, r.wf, r.version, r.created.wall,
        r.caller, r.payload, r.status._value_, r.owner, r.epoch, r.generation, r.lease, r.timeout, r.window, r.spent,
        r.resent, r.upstream_key, touched.mono, touched.boot, r.error, r.note, about_text(r.about),
        event.event._value_, dumps(event.detail), *_CLAIM_PAD,
    )  # fmt: skip


def _end(change: Change, number: int, cipher: Cipher | None) -> tuple[Any, ...]:
    r, was, event = change.record, change.was, change.event
    if was is None:
        raise ValueError("a replacement needs the row it replaces")
    _, meta, body, _ = result_row(r, cipher) or _NO_RESULT
    return (
        _END, number, *owned_row(r, was), *count_row(change.counts), was.id, was.owner, was.epoch, was.status._value_,
        meta, body, event.tool, event.wf, event.caller, event.event._value_, dumps(event.detail), *_END_PAD,
    )  # fmt: skip


_NO_RESULT = (None,) * 4
_CLAIM_PAD, _END_PAD = ((None,) * (_WIDTH - len(names)) for names in (_CLAIMED, _ENDED))


@cache
def _statement(count: int) -> tuple[str, list[None]]:
    """What writes so many rows, and the values of those that are missing."""
    size = next(size for size in _SIZES if size >= count)
    row = f"({', '.join('?' * (2 + _WIDTH))})"
    return f"INSERT INTO written VALUES {', '.join([row] * size)}", [None] * ((2 + _WIDTH) * (size - count))


_ONE, _ = _statement(1)
