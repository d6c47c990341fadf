"""Sums for the screens, over one connection: kept sums of what is filed, and the journal lines that are not yet.

Kept (`filing`) are the sums of all records, by tool, and by workflow and tool; and those of what happened by tool and
caller, in all, by hours and by five minutes. Whatever they cannot tell is counted from the records or the journal
themselves, which takes longer.
"""

from __future__ import annotations

import sqlite3
from typing import Any

from ledger.ports import GRAIN_SECONDS, Dimension, Query, totals
from ledger.records import EventType, Status
from ledger.stores import reading, schema
from ledger.stores.rows import COUNTED, COUNTERS

NOT_ACTIVITY = f"event NOT IN ('{EventType.CLEARED}', '{EventType.WRITTEN}')"
"""Journal lines that change the sums although no attempt was made."""
HOUR = 3600
SMALL = 1000
"""Operations of a workflow that are looked through rather than all that are open in the ledger."""
_SUMS = ", ".join(f"sum({c})" for c in COUNTED)
_COUNTED = ", ".join(COUNTED)
_OPEN = (Status.RUNNING.value, Status.UNKNOWN.value)


def stats(db: sqlite3.Connection, query: Query) -> dict[str, int]:
    """Totals, see `SyncStore.stats`."""
    source, values = _source(query, None)
    row = db.execute(f"SELECT {_SUMS} FROM ({source})", values).fetchone()
    return totals((*row, *_open(db, query, "''").get("", (0, 0))))


def breakdown(db: sqlite3.Connection, query: Query, by: Dimension, standing: bool) -> dict[str, dict[str, int]]:
    """Totals of each tool, workflow or caller, most attempts first."""
    source, values = _source(query, by)
    column = f"ifnull({by.value}, '')"
    sql = f"SELECT {column}, {_SUMS} FROM ({source}) GROUP BY 1 HAVING sum(actions) <> 0 OR sum(attempts) <> 0"
    limit = -1 if query.limit is None else query.limit
    rows = db.execute(f"{sql} ORDER BY sum(attempts) DESC, 1 LIMIT ?", (*values, limit)).fetchall()
    open_ = _open(db, query, f"ifnull(r.{by.value}, '')") if standing else {}
    return {name: totals((*sums, *open_.get(name, (0, 0)))) for name, *sums in rows}


def activity(db: sqlite3.Connection, query: Query, seconds: int) -> dict[float, dict[str, int]]:
    """What happened in each stretch of time, oldest first."""
    if seconds <= 0 or seconds % GRAIN_SECONDS:
        raise ValueError(f"a stretch is a multiple of {GRAIN_SECONDS} seconds, not {seconds}")
    source, values = _from_records(query) if _only_records_tell(query) else _from_happened(query, seconds)
    sql = f"SELECT start / {seconds}, {_SUMS} FROM ({source}) GROUP BY 1 ORDER BY 1"
    return {float(number * seconds): totals((*sums, 0, 0)) for number, *sums in db.execute(sql, values)}


def _only_records_tell(query: Query) -> bool:
    """Neither the kept sums nor journal lines know what an operation has become, or what its request says."""
    return query.status is not None or query.id_prefix is not None or query.grep is not None


def _source(query: Query, by: Dimension | None) -> tuple[str, list[Any]]:
    """Rows to be summed: which of the kept sums tells what the query asks for."""
    if _only_records_tell(query):
        return _from_records(query)
    timed = query.since is not None or query.until is not None
    if timed or query.caller is not None or by is Dimension.CALLER:
        return _from_happened(query)
    return _from_totals(query, by)


def _from_totals(query: Query, by: Dimension | None) -> tuple[str, list[Any]]:
    where, values = reading.of_events(Query(wf=query.wf, tool=query.tool))
    if query.wf is None and by is not Dimension.WF:
        kept = f"SELECT '' AS wf, tool, {_COUNTED} FROM tools WHERE 1{where}"
    else:
        kept = f"SELECT wf, tool, {_COUNTED} FROM totals WHERE 1{where}"
    recent = f"SELECT wf, tool, {_COUNTED} FROM events WHERE {schema.UNFILED_EVENTS}{where}"
    return f"{kept} UNION ALL {recent}", values * 2


def _from_happened(query: Query, seconds: int = 0) -> tuple[str, list[Any]]:
    """A workflow's own are read from its journal lines: time by workflow would be as long as the journal.

    seconds: the stretches that it will be grouped by, so that none of the spans is longer; 0 for one whole.
    """
    terms, values = reading.of_events(Query(wf=query.wf, tool=query.tool, caller=query.caller))
    since = None if query.since is None else int(query.since // GRAIN_SECONDS) * GRAIN_SECONDS
    until = None if query.until is None else int(-(-query.until // GRAIN_SECONDS)) * GRAIN_SECONDS
    # To the same grain, filed or not: a sum must not change because it was filed.
    start = f"CAST(at / {GRAIN_SECONDS} AS INTEGER) * {GRAIN_SECONDS}"
    columns = f"{start} AS start, wf, tool, ifnull(caller, '') AS caller, {_COUNTED}"
    journal = f"SELECT {columns} FROM events WHERE {NOT_ACTIVITY}{terms}{_between(start, since, until)}"
    if query.wf is not None:
        return journal, values
    parts = [
        f"SELECT start, '' AS wf, tool, caller, {_COUNTED} FROM happened "
        f"WHERE span = {span}{terms}{_between('start', first, end)}"
        for span, first, end in _spans(since, until, seconds)
    ]
    parts.append(f"{journal} AND {schema.UNFILED_EVENTS}")
    return " UNION ALL ".join(parts), values * len(parts)


def _spans(since: int | None, until: int | None, seconds: int) -> list[tuple[int, int | None, int | None]]:
    """Which of the kept spans add up to that time: (span, from, up to). Whole hours inside, minutes at the edges."""
    if seconds % HOUR:
        return [(GRAIN_SECONDS, since, until)]
    if since is None and until is None:
        return [(HOUR, None, None)] if seconds else [(0, None, None)]
    first = None if since is None else -(-since // HOUR) * HOUR
    end = None if until is None else until // HOUR * HOUR
    if first is not None and end is not None and first >= end:
        return [(GRAIN_SECONDS, since, until)]
    edges = [(GRAIN_SECONDS, since, first)] * (first is not None) + [(GRAIN_SECONDS, end, until)] * (end is not None)
    return [(HOUR, first, end), *edges]


def _between(column: str, since: int | None, until: int | None) -> str:
    return (f" AND {column} >= {since}" if since is not None else "") + (
        f" AND {column} < {until}" if until is not None else ""
    )


def _from_records(query: Query) -> tuple[str, list[Any]]:
    where, values = reading.of_records(query)
    start = f"CAST(created / {GRAIN_SECONDS} AS INTEGER) * {GRAIN_SECONDS}"
    columns = f"{start} AS start, wf, tool, caller, 1 AS actions, {', '.join(COUNTERS)}"
    halves = [
        f"SELECT {columns} FROM records r WHERE {half}{where}" for half in ("r.filed = 1", schema.UNFILED_RECORDS)
    ]
    return " UNION ALL ".join(halves), values * 2


def _open(db: sqlite3.Connection, query: Query, group: str) -> dict[str, tuple[int, int]]:
    """How many running records there are and how many unknown ones that wait, by group."""
    where, values = reading.of_records(query)
    found: dict[str, tuple[int, int]] = {}
    # Named, because few are open: any other index would read far more, but for a workflow with fewer still.
    index = "records_filed_wf" if _small(db, query.wf) else "records_filed_status"
    is_open = f"r.status IN {_OPEN} AND r.status <> 'success'"
    released = f"r.status = '{Status.UNKNOWN.value}' AND r.released = 1"
    for sign, table, half in (
        (1, f"r INDEXED BY {index}", f"r.filed = 1 AND {is_open}"),
        (1, "r", f"{schema.UNFILED_RECORDS} AND {is_open}"),
        (-1, "r INDEXED BY records_filed_released", f"r.filed = 1 AND {released}"),
        (-1, "r", f"{schema.UNFILED_RECORDS} AND {released}"),
    ):
        sql = f"""SELECT {group}, sum(r.status = 'running'), sum(r.status = 'unknown') FROM records {table}
            WHERE {half}{where} GROUP BY 1"""
        for name, running, unknown in db.execute(sql, values):
            before = found.get(name, (0, 0))
            found[name] = (before[0] + sign * running, before[1] + sign * unknown)
    return found


def _small(db: sqlite3.Connection, wf: str | None) -> bool:
    if wf is None:
        return False
    held = db.execute("SELECT coalesce(sum(actions), 0) FROM totals WHERE wf = ?", (wf,)).fetchone()[0]
    return bool(held <= SMALL)
