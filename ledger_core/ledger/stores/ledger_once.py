"""A `ledger.db` of Ledger-Once: its rows become records, under the ids it gave them. Its own table is left as it is.

Facts of its format are from ledger-once 0.1.5: one table `ledger`, times in ISO 8601, arguments and result in JSON.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from ledger.records import Instant, Record, Result, Status
from ledger.stores import adding

CRASH_TIMEOUT = 300.0
"""After so many seconds Ledger-Once took a running row for one whose process died."""
FROM: Mapping[str, Any] = {"from": "ledger-once"}
"""Said in the journal of each."""
_COLUMNS = {
    *("id", "tool", "args", "wf", "created", "touched", "since", "status"),
    *("attempts", "runs", "blocked", "result", "error"),
}
_UPTO = "ledger_once_upto"
"""The name in `meta` of the last of its rowids that was imported."""


def is_there(db: sqlite3.Connection) -> bool:
    """Whether Ledger-Once keeps its table in this file."""
    return {row[1] for row in db.execute("PRAGMA table_info(ledger)")} >= _COLUMNS


def was_imported(db: sqlite3.Connection) -> bool:
    """Whether there may be records under its ids."""
    return _upto(db) > 0 or adding.has_once_ids(db)


def rows_to_import(db: sqlite3.Connection) -> bool:
    """Whether it has rows that are not records yet: it may have been used again after an upgrade."""
    return is_there(db) and _last(db) > _upto(db)


def import_rows(db: sqlite3.Connection) -> None:
    """Make records of its rows, inside the caller's transaction. A record that is there already stays."""
    if not rows_to_import(db):
        return
    last = _last(db)
    for record in _records(db, _upto(db), last):
        adding.add(db, record, FROM)
    db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (_UPTO, str(last)))


def records(db: sqlite3.Connection) -> Iterator[Record]:
    """All of its rows as records, oldest first, for a ledger in another file. Raises ValueError for a broken row."""
    return _records(db, 0, _last(db))


def count(db: sqlite3.Connection) -> int:
    """How many rows it has."""
    return int(db.execute("SELECT count(*) FROM ledger").fetchone()[0])


def _records(db: sqlite3.Connection, after: int, last: int) -> Iterator[Record]:
    cursor = db.execute("SELECT * FROM ledger WHERE rowid > ? AND rowid <= ? ORDER BY rowid", (after, last))
    names = [column[0] for column in cursor.description]
    for values in cursor:
        yield _record(dict(zip(names, values, strict=True)))


def _record(row: Mapping[str, Any]) -> Record:
    status = Status(row["status"] or "running")
    runs, blocked = row["runs"] or 0, row["blocked"] or 0
    running = int(status is Status.RUNNING)
    attempts = max(row["attempts"] or 0, runs + blocked + running)
    touched = _instant(row["since"] if running and row["since"] else row["touched"])
    return Record(
        id=row["id"],
        tool=str(row["tool"]).rpartition(".")[2],
        wf=row["wf"],
        caller=row.get("caller"),
        version=adding.ONCE_VERSION,
        status=status,
        epoch=1,
        generation=1,
        # Nobody can tell whether the process of a running row lives, so its timeout decides, as it did there.
        timeout=CRASH_TIMEOUT,
        spent=max(runs, 1) if status is Status.SUCCESS else 0,
        created=_instant(row["created"]),
        touched=touched,
        began=touched,
        attempts=attempts,
        runs=runs,
        failed=attempts - runs - blocked - running,
        refused=blocked,
        error=row["error"],
        about={"function": row["tool"], "args": _json(row["args"]) or {}},
        result=_result(row["result"]) if status is Status.SUCCESS else None,
    )


def _instant(text: str) -> Instant:
    at = datetime.fromisoformat(text)
    return Instant((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp())


def _result(text: str | None) -> Result:
    """It kept nothing of None, so a success without a result returned None."""
    # Here, because it loads what every type of a result needs: few ledgers ever were one of Ledger-Once.
    from ledger import codec

    return codec.encode(None if text is None else _json(text))


def _json(text: str | None) -> Any:
    return None if text is None else json.loads(text)


def _last(db: sqlite3.Connection) -> int:
    return int(db.execute("SELECT coalesce(max(rowid), 0) FROM ledger").fetchone()[0])


def _upto(db: sqlite3.Connection) -> int:
    has_meta = db.execute("SELECT 1 FROM sqlite_master WHERE name = 'meta'").fetchone()
    row = db.execute("SELECT value FROM meta WHERE name = ?", (_UPTO,)).fetchone() if has_meta else None
    return int(row[0]) if row else 0
