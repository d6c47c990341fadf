"""What every SQLite store reads of records and journal, over one connection. Pages are in `paging`, sums in `counting`.

Never writes.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from typing import Any

from ledger.ports import Query
from ledger.records import Event, Record, Status
from ledger.stores import schema
from ledger.stores.rows import event_from, record_from
from ledger.stores.sealed import cipher_of


@contextlib.contextmanager
def snapshot(db: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """Several reads of one moment."""
    db.execute("BEGIN")
    try:
        yield db
    finally:
        db.execute("COMMIT")


def get(db: sqlite3.Connection, id: str) -> Record | None:
    """One record. Its result is read when it is asked for: see `Record.of_fields`."""
    return _found(db, schema.GET, id)


def look(db: sqlite3.Connection, record: Record) -> Record | None:
    """The record with this id, else the open one with the same payload, else with the same bytes.

    Its result is read when it is asked for: see `Record.of_fields`.
    """
    found = _found(db, schema.GET_SHORT, record.id) if record.content_id is None else None
    if found is None:
        found = get(db, record.id)
    if found is None and record.payload_id is not None:
        found = _found(db, schema.OPEN_PAYLOAD, record.payload_id)
    if found is None and record.content_id is not None:
        found = _found(db, schema.OPEN_CONTENT, record.content_id)
    return found


def _found(db: sqlite3.Connection, sql: str, value: str) -> Record | None:
    row = db.execute(sql, (value,)).fetchone()
    return record_from(row, cipher_of(db)) if row else None


def events(db: sqlite3.Connection, after: int, limit: int, query: Query) -> list[Event]:
    """Journal lines after a seq, oldest first; `status`, `limit` and `before` of the query do not apply."""
    where, values = of_events(query)
    sql = f"{schema.EVENTS} WHERE seq > ?{where} ORDER BY seq LIMIT ?"
    return [event_from(row) for row in db.execute(sql, (after, *values, limit))]


def timeline(db: sqlite3.Connection, id: str) -> list[Event]:
    """The journal of one record, oldest first."""
    sql = f"""{schema.EVENTS} WHERE filed = 1 AND record = ?
        UNION ALL {schema.EVENTS} WHERE {schema.UNFILED_EVENTS} AND record = ? ORDER BY seq"""
    return [event_from(row) for row in db.execute(sql, (id, id))]


def last_seq(db: sqlite3.Connection) -> int:
    """The journal's newest seq, 0 when empty."""
    return int(db.execute("SELECT coalesce(max(seq), 0) FROM events").fetchone()[0])


def of_records(query: Query) -> tuple[str, list[Any]]:
    """The query as SQL terms on `records r`, each with a leading AND, and their values; not the cursor."""
    terms, values = _where(query, "r.", ("wf", "tool", "caller", "status"), "id", "created")
    if query.grep is not None:
        terms += _anywhere("r.", ("about", "error", "note", "id", "tool", "wf", "caller"), query.grep, values)
    return terms, values


def of_events(query: Query) -> tuple[str, list[Any]]:
    """The query as SQL terms on `events`, each with a leading AND, and their values."""
    terms, values = _where(query, "", ("wf", "tool", "caller"), "record", "at")
    if query.grep is not None:
        terms += _anywhere("", ("detail", "record", "tool", "wf", "caller"), query.grep, values)
    return terms, values


def _where(query: Query, table: str, names: tuple[str, ...], id_column: str, time_column: str) -> tuple[str, list[Any]]:
    terms: list[str] = []
    values: list[Any] = []
    for name in names:
        value = getattr(query, name)
        if value is not None:
            terms.append(f" AND {table}{name} = ?")
            values.append(str(value))
    if query.status is not None and query.status is not Status.SUCCESS and "status" in names:
        # Said twice: the second lets SQLite see that the index of what is not a success holds all of them.
        terms.append(f" AND {table}status <> 'success'")
    if query.id_prefix is not None:
        # Ids are hexadecimal, so the next string after every one with this prefix ends in a "g".
        terms.append(f" AND {table}{id_column} >= ? AND {table}{id_column} < ?")
        values += [query.id_prefix, f"{query.id_prefix}g"]
    for sign, moment in ((">=", query.since), ("<", query.until)):
        if moment is not None:
            terms.append(f" AND {table}{time_column} {sign} ?")
            values.append(moment)
    return "".join(terms), values


def _anywhere(table: str, columns: tuple[str, ...], text: str, values: list[Any]) -> str:
    values += [_like(text)] * len(columns)
    return f" AND ({' OR '.join(f"{table}{c} LIKE ? ESCAPE '\\'" for c in columns)})"


def _like(text: str) -> str:
    for special in ("\\", "%", "_"):
        text = text.replace(special, f"\\{special}")
    return f"%{text}%"
