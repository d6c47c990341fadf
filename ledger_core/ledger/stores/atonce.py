"""A change, its result and its journal line as one statement. Decides nothing, and opens nothing.

A row is inserted into a view of this connection, whose trigger writes all three. A statement alone is a transaction of
its own, so there is none to begin and to commit; and a batch gives up the interpreter lock once instead of three times.
"""

from __future__ import annotations

import sqlite3
from typing import Any

from ledger.lifecycle import Change
from ledger.stores import schema
from ledger.stores.rows import (
    COLUMNS,
    COUNTED,
    COUNTERS,
    OWNED,
    count_row,
    fixed_row,
    line_row,
    owned_row,
    result_row,
    state_row,
)
from ledger.stores.sealed import Cipher, cipher_of

_EVENT = ("event_at", "event_name", "event_record", "event_tool", "event_wf", "event_caller", "event_detail")
_COUNTS = tuple(f"add_{c}" for c in COUNTERS)
_RESULT = ("result_epoch", "result_meta", "result_body", "result_record")
_SEEN = ("seen_id", "seen_owner", "seen_epoch", "seen_status")
_CLAIM = (*COLUMNS, *_EVENT)
_FINISH = (*OWNED, *_COUNTS, *_SEEN, *_RESULT, *_EVENT)


def _filled(sql: str, *names: str) -> str:
    """The statement with the values of the view's row in the place of its parameters."""
    head, *rest = sql.split("?")
    return head + "".join(f"new.{name}{part}" for name, part in zip(names, rest, strict=True))


def _journal(actions: int, counts: tuple[str, ...]) -> str:
    """The journal line, if the statement before it changed a row."""
    told = ", ".join([*(f"new.{name}" for name in _EVENT), str(actions), *(f"new.{name}" for name in counts)])
    columns = ", ".join(("at", "event", "record", "tool", "wf", "caller", "detail", *COUNTED))
    return f"INSERT INTO events ({columns}) SELECT {told} WHERE changes() > 0"


_PREPARED = (
    f"CREATE TEMP VIEW claimed AS SELECT {', '.join(f'NULL AS {c}' for c in _CLAIM)}",
    f"""CREATE TEMP TRIGGER claiming INSTEAD OF INSERT ON claimed BEGIN
        {_filled(schema.INSERT, *COLUMNS)};
        {_journal(1, COUNTERS)};
    END""",
    f"CREATE TEMP VIEW finished AS SELECT {', '.join(f'NULL AS {c}' for c in _FINISH)}",
    f"""CREATE TEMP TRIGGER finishing INSTEAD OF INSERT ON finished BEGIN
        {_filled(schema.FINISH, *OWNED, *_COUNTS, *_SEEN)};
        {_journal(0, _COUNTS)};
        {_filled(schema.PUT_RESULT, *_RESULT)} AND changes() > 0 AND new.result_record IS NOT NULL;
    END""",
)
_CLAIMED = f"INSERT INTO claimed VALUES ({', '.join('?' * len(_CLAIM))})"
FINISHED = f"INSERT INTO finished VALUES ({', '.join('?' * len(_FINISH))})"
"""What writes `end_row`."""
_NO_RESULT = (None,) * len(_RESULT)


def prepare(db: sqlite3.Connection) -> None:
    """Make the views of this connection; the file is left as it is."""
    for sql in _PREPARED:
        db.execute(sql)


def claim(db: sqlite3.Connection, change: Change) -> bool:
    """A first claim of a call, which has no content to compare; False if its id is there."""
    r = change.record
    row = (*fixed_row(r), *state_row(r), *count_row(change.counts), *line_row(change.event))
    before = db.total_changes
    db.execute(_CLAIMED, row)
    # What a trigger changes is in no cursor's row count.
    return db.total_changes != before


def finish(db: sqlite3.Connection, change: Change) -> bool:
    """A change by the owner of a claim; False if it is its owner's no more."""
    row = end_row(change, cipher_of(db))
    before = db.total_changes
    db.execute(FINISHED, row)
    return db.total_changes != before


def end_row(change: Change, cipher: Cipher | None) -> tuple[Any, ...]:
    """A change by the owner of a claim, with its result and its journal line."""
    r, was = change.record, change.was
    if was is None:
        raise ValueError("a replacement needs the row it replaces")
    return (
        *owned_row(r, was), *count_row(change.counts), was.id, was.owner, was.epoch, was.status._value_,
        *(result_row(r, cipher) or _NO_RESULT), *line_row(change.event),
    )  # fmt: skip


def rows_of(change: Change) -> int:
    """How many rows the statement changes in all, where its claim is still its owner's."""
    return 2 if change.record.result is None else 3
