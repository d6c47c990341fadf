"""Filing: rows enter the screens' indexes and sums in bulk, after the fact, so that no claim pays for them.

A row is filed once, in the order of its seq; `filed` says up to where. What is not filed yet is read as it is, and
there is little of it as long as somebody files now and then: a keeper's sweep, a closing store, a screen.
"""

from __future__ import annotations

import sqlite3

from ledger.errors import StoreUnavailable
from ledger.stores.counting import NOT_ACTIVITY
from ledger.stores.rows import COUNTED
from ledger.stores.schema import SPANS

BATCH = 2_000
"""Rows of one transaction: a claim may have to wait for it."""

_COUNTED = ", ".join(COUNTED)
_SUMS = ", ".join(f"sum({c})" for c in COUNTED)
_ADD = ", ".join(f"{c} = {c} + excluded.{c}" for c in COUNTED)
_UPTO = "SELECT upto FROM filed WHERE what = ?"
# Of what a disk made a text no number is made: all that is not filed would seem to be.
_TAKEN_BACK = "UPDATE filed SET upto = min(upto, ?) WHERE what = ? AND typeof(upto) = 'integer'"
_SPAN = "seq > ? AND seq <= ?"
_KEPT = (
    f"""INSERT INTO totals SELECT wf, tool, {_SUMS} FROM events WHERE {_SPAN} GROUP BY wf, tool
        ON CONFLICT DO UPDATE SET {_ADD}""",
    f"INSERT INTO tools SELECT tool, {_SUMS} FROM events WHERE {_SPAN} GROUP BY tool ON CONFLICT DO UPDATE SET {_ADD}",
    *(
        f"""INSERT INTO happened
        SELECT {span}, {f"CAST(at / {span} AS INTEGER) * {span}" if span else 0}, tool, ifnull(caller, ''), {_SUMS}
        FROM events WHERE {_SPAN} AND {NOT_ACTIVITY} GROUP BY 2, 3, 4 ON CONFLICT DO UPDATE SET {_ADD}"""
        for span in SPANS
    ),
    f"UPDATE events SET filed = 1 WHERE {_SPAN}",
)


def waiting(db: sqlite3.Connection) -> int:
    """About how many rows are not filed."""
    return sum(_last(db, what) - _upto(db, what) for what in ("records", "events"))


def file_some(db: sqlite3.Connection) -> bool:
    """File one batch, inside the caller's transaction; whether there was one."""
    spans = {what: _span(db, what) for what in ("records", "events")}
    after, to = spans["records"]
    if to > after:
        db.execute(f"UPDATE records SET filed = 1 WHERE {_SPAN}", (after, to))
    after, to = spans["events"]
    if to > after:
        for sql in _KEPT:
            db.execute(sql, (after, to))
    for what, (_, to) in spans.items():
        db.execute("UPDATE filed SET upto = ? WHERE what = ?", (to, what))
    return any(to > after for after, to in spans.values())


def taken_back(db: sqlite3.Connection) -> None:
    """After rows were deleted: SQLite gives the seq of a deleted last row again, and that row is not filed."""
    for what in ("records", "events"):
        db.execute(_TAKEN_BACK, (_last(db, what), what))


def _span(db: sqlite3.Connection, what: str) -> tuple[int, int]:
    after = _upto(db, what)
    return after, max(after, min(_last(db, what), after + BATCH))


def _upto(db: sqlite3.Connection, what: str) -> int:
    for (upto,) in db.execute(_UPTO, (what,)):
        if isinstance(upto, int):
            return upto
    raise StoreUnavailable("where the filing stands is damaged on the disk; check it, and restore a copy")


def _last(db: sqlite3.Connection, what: str) -> int:
    return int(db.execute(f"SELECT coalesce(max(seq), 0) FROM {what}").fetchone()[0])
