"""Retention: what a ledger forgets by itself, a bounded number of rows at a time, round and round.

- A result is kept as long as it may answer: for the window of its success.
- A record is kept for 90 days, and for its window; a success without a window answers for ever, and stays for ever.
- Running and unknown records are never forgotten: their effect may have happened.
- A journal line is kept for 90 days, and as long as its record.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from ledger.records import Instant, Record, Status
from ledger.stores import schema
from ledger.stores.rows import COLUMNS, record_from

KEPT_SECONDS = 90 * 86_400.0
EXAMINED = 500
"""Rows that one call looks at: a claim may have to wait for it."""

_RECORDS = f"{schema.RECORDS.replace(' FROM', ', r.seq FROM')} WHERE r.seq > ? ORDER BY r.seq LIMIT {EXAMINED}"
_LAST_LINE = f"SELECT max(seq) FROM (SELECT seq FROM events WHERE seq > ? ORDER BY seq LIMIT {EXAMINED})"
_DELETE_LINES = """DELETE FROM events WHERE seq > ? AND seq <= ? AND filed = 1 AND at < ?
    AND NOT EXISTS (SELECT 1 FROM records WHERE id = events.record)"""


def due(db: sqlite3.Connection, now: Instant) -> list[str]:
    """The next records whose time is over; results whose window is over are deleted on the way."""
    rows = db.execute(_RECORDS, (_from(db, "purged records"),)).fetchall()
    _go_on(db, "purged records", rows[-1][-1] if len(rows) == EXAMINED else 0)
    found = [(record_from(row[: len(COLUMNS)]), row[-1]) for row in rows]
    db.executemany(
        "DELETE FROM results WHERE seq = ?", [(seq,) for record, seq in found if _answers_no_more(record, now)]
    )
    return [record.id for record, _ in found if _is_over(record, now)]


def forget_lines(db: sqlite3.Connection, now: Instant) -> None:
    """Delete the next journal lines whose time is over."""
    after = _from(db, "purged events")
    last = db.execute(_LAST_LINE, (after,)).fetchone()[0]
    if last is not None:
        db.execute(_DELETE_LINES, (after, last, now.wall - KEPT_SECONDS))
    _go_on(db, "purged events", last or 0)


def _answers_no_more(record: Record, now: Instant) -> bool:
    return record.status is Status.SUCCESS and record.window is not None and now.since(record.touched) > record.window


def _is_over(record: Record, now: Instant) -> bool:
    """By the smaller of both clocks: a clock that jumps ahead forgets nothing of this boot."""
    if now.since(record.touched) <= KEPT_SECONDS:
        return False
    return record.status is Status.FAILED or _answers_no_more(record, now)


def _from(db: sqlite3.Connection, what: str) -> int:
    row: Sequence[int] | None = db.execute("SELECT upto FROM filed WHERE what = ?", (what,)).fetchone()
    return row[0] if row else 0


def _go_on(db: sqlite3.Connection, what: str, upto: int) -> None:
    """Where the next call begins; 0 is the beginning again."""
    db.execute("INSERT OR REPLACE INTO filed (what, upto) VALUES (?, ?)", (what, upto))
