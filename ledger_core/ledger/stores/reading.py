"""What every SQLite store reads of records and journal, over one connection. Sums are in `counting`. Never writes."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from ledger.ports import Query, place_of
from ledger.records import Event, Record, Status
from ledger.stores import schema
from ledger.stores.rows import event_from, record_from
from ledger.stores.sealed import cipher_of

_LAST = 2**63 - 1


@contextlib.contextmanager
def snapshot(db: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """Several reads of one moment."""
    db.execute("BEGIN")
    try:
        yield db
    finally:
        db.execute("COMMIT")


def get(db: sqlite3.Connection, id: str) -> Record | None:
    """One record with its result. Raises ResultSealed."""
    row = db.execute(schema.GET, (id,)).fetchone()
    return record_from(row, cipher_of(db)) if row else None


def look(db: sqlite3.Connection, record: Record) -> Record | None:
    """The record with this id, else the open one with the same payload, else with the same bytes.

    Raises ResultSealed.
    """
    found = get(db, record.id)
    for sql, value in ((schema.OPEN_PAYLOAD, record.payload_id), (schema.OPEN_CONTENT, record.content_id)):
        if found is None and value is not None:
            row = db.execute(sql, (value,)).fetchone()
            found = record_from(row, cipher_of(db)) if row else None
    return found


def running(db: sqlite3.Connection) -> list[Record]:
    """Every running record."""
    return page(db, Query(status=Status.RUNNING))


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


def page(db: sqlite3.Connection, query: Query, edge: tuple[float, int] | None = None) -> list[Record]:
    """Records newest first, or the oldest, without results. edge: (created, seq) of the last one that is looked at."""
    where, values = of_records(query)
    where += _after(query, values)
    if edge is not None:
        where += f" AND (r.created, r.seq) {'<=' if query.oldest else '>='} (?, ?)"
        values += edge
    limit = -1 if query.limit is None else query.limit
    # Both halves are sorted, so this is a merge; the newest, not yet filed half is short.
    parts = [
        f"SELECT * FROM ({schema.RECORDS.replace(' FROM', ', r.seq AS seq FROM')} "
        f"WHERE {half}{where} {_order(query, 'r.')} LIMIT ?)"
        for half in ("r.filed = 1", schema.UNFILED_RECORDS)
    ]
    sql = f"{' UNION ALL '.join(parts)} {_order(query)} LIMIT ?"
    return [record_from(row[:-1]) for row in db.execute(sql, (*values, limit, *values, limit, limit))]


def scan(db: sqlite3.Connection, query: Query, width: int) -> tuple[list[Record], str | None]:
    """The page among the next `width` records that fit all but the text, and the cursor that goes on behind these.

    A text is looked for in the records themselves, so that it takes as long as there are many; None: these were all.
    """
    plain = replace(query, grep=None)
    where, values = of_records(plain)
    where += _after(plain, values)
    parts = [
        f"SELECT * FROM (SELECT r.created AS created, r.seq AS seq FROM records r WHERE {half}{where} "
        f"{_order(query, 'r.')} LIMIT ?)"
        for half in ("r.filed = 1", schema.UNFILED_RECORDS)
    ]
    sql = f"{' UNION ALL '.join(parts)} {_order(query)} LIMIT 1 OFFSET ?"
    edge = db.execute(sql, (*values, width, *values, width, width - 1)).fetchone()
    if edge is None:
        return page(db, query), None
    id = db.execute("SELECT id FROM records WHERE seq = ?", (edge[1],)).fetchone()[0]
    return page(db, query, edge), f"{edge[0]!r}:{id}"


def _after(query: Query, values: list[Any]) -> str:
    """The cursor as an SQL term. A record that was removed meanwhile: on from its time."""
    if query.before is None:
        return ""
    created, id = place_of(query.before)
    sign, gone = (">", _LAST) if query.oldest else ("<", 0)
    values += [created, id, gone]
    return f" AND (r.created, r.seq) {sign} (?, coalesce((SELECT seq FROM records WHERE id = ?), ?))"


def _order(query: Query, table: str = "") -> str:
    way = "ASC" if query.oldest else "DESC"
    return f"ORDER BY {table}created {way}, {table}seq {way}"


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
