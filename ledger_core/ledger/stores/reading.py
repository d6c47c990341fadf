"""What every SQLite store reads, over one connection. Never writes."""

from __future__ import annotations

import sqlite3
from typing import Any

from ledger.ports import Query, totals
from ledger.records import Event, Record
from ledger.stores import schema
from ledger.stores.rows import event_from, record_from


def get(db: sqlite3.Connection, id: str) -> Record | None:
    """One record with its result."""
    row = db.execute(schema.GET, (id,)).fetchone()
    return record_from(row) if row else None


def look(db: sqlite3.Connection, record: Record) -> Record | None:
    """The record with this id, else the open one with the same payload, else with the same bytes."""
    found = get(db, record.id)
    for sql, value in ((schema.OPEN_PAYLOAD, record.payload_id), (schema.OPEN_CONTENT, record.content_id)):
        if found is None and value is not None:
            row = db.execute(sql, (value,)).fetchone()
            found = record_from(row) if row else None
    return found


def running(db: sqlite3.Connection) -> list[Record]:
    """Every running record."""
    return [record_from(row) for row in db.execute(schema.RUNNING)]


def events(db: sqlite3.Connection, after: int, limit: int, query: Query) -> list[Event]:
    """Journal lines after a seq, oldest first; of the query, wf, tool, caller and record prefix apply."""
    where, values = _where(query, "", ("wf", "tool", "caller"), "record")
    sql = f"{schema.EVENTS}{where} ORDER BY seq LIMIT ?"
    return [event_from(row) for row in db.execute(sql, (after, *values, limit))]


def page(db: sqlite3.Connection, query: Query) -> list[Record]:
    """Records newest first, without results."""
    where, values = _where(query, "r.", ("wf", "tool", "caller", "status"), "id")
    sql = f"{schema.PAGE} WHERE 1{where} ORDER BY r.seq DESC LIMIT ?"
    limit = -1 if query.limit is None else query.limit
    return [record_from(row) for row in db.execute(sql, (*values, limit))]


def stats(db: sqlite3.Connection, query: Query) -> dict[str, int]:
    """Totals of the records the query names."""
    where, values = _where(query, "r.", ("wf", "tool", "caller", "status"), "id")
    return totals(db.execute(f"{schema.TOTALS} WHERE 1{where}", values).fetchone())


def last_seq(db: sqlite3.Connection) -> int:
    """The journal's newest seq, 0 when empty."""
    return int(db.execute("SELECT coalesce(max(seq), 0) FROM events").fetchone()[0])


def _where(query: Query, table: str, names: tuple[str, ...], id_column: str) -> tuple[str, list[Any]]:
    terms, values = [], []
    for name in names:
        value = getattr(query, name)
        if value is not None:
            terms.append(f" AND {table}{name} = ?")
            values.append(str(value))
    if query.id_prefix is not None:
        # Ids are hexadecimal, so the next string after every one with this prefix ends in a "g".
        terms.append(f" AND {table}{id_column} >= ? AND {table}{id_column} < ?")
        values += [query.id_prefix, f"{query.id_prefix}g"]
    return "".join(terms), values
