"""Whole records from elsewhere into a SQLite ledger. What is there stays as it is, whatever it is."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Any

from ledger.records import Event, EventType, Record
from ledger.stores import schema
from ledger.stores.rows import COUNTERS, counter_row, event_row, fixed_row, result_row, state_row
from ledger.stores.sealed import cipher_of

ONCE_VERSION = 0
"""`Record.version` of the ids that Ledger-Once made; our normaliser's count from 1."""
_HAS_ONCE_IDS = "ledger_once_ids"
"""The name in `meta` that tells a guard to look for them, too."""


def add(db: sqlite3.Connection, record: Record, why: Mapping[str, Any]) -> bool:
    """Insert a record with its result and its counts, inside the caller's transaction; False if its id is there.

    why: for the journal.
    """
    row = (*fixed_row(record), *state_row(record), *counter_row(record))
    if not db.execute(schema.INSERT, row).rowcount:
        return False
    kept = result_row(record, cipher_of(db))
    if kept is not None:
        db.execute(schema.PUT_RESULT, kept)
    told = Event(EventType.WRITTEN, record.id, record.tool, record.wf, record.touched.wall, record.caller, why)
    counts: dict[str, int] = dict(zip(COUNTERS, counter_row(record), strict=True))
    db.execute(schema.PUT_EVENT, event_row(told, 1, counts))
    if record.version == ONCE_VERSION:
        db.execute("INSERT OR IGNORE INTO meta VALUES (?, '1')", (_HAS_ONCE_IDS,))
    return True


def has_once_ids(db: sqlite3.Connection) -> bool:
    """Whether records with ids of Ledger-Once were added."""
    return db.execute("SELECT 1 FROM meta WHERE name = ?", (_HAS_ONCE_IDS,)).fetchone() is not None
