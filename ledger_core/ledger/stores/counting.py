"""Sums for the screens, over one connection: kept sums of what is filed, and the journal lines that are not yet.

Three sums are kept (`filing`): of all records by tool, by workflow and tool, and of what happened by time, tool and
caller. Whatever they cannot tell is counted from the records or the journal themselves, which takes longer.
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
_SUMS = ", ".join(f"sum({c})" for c in COUNTED)
_COUNTED = ", ".join(COUNTED)
_OPEN = (Status.RUNNING.value, Status.UNKNOWN.value)


def stats(db: sqlite3.Connection, query: Query) -> dict[str, int]:
    """Totals, see `SyncStore.stats`."""
    source, values = _source(query, None)
    row = db.execute(f"SELECT {_SUMS} FROM ({source})", values).fetchone()
    return totals((*row, *_open(db, query, "''").get("", (0, 0))))


def breakdown(db: sqlite3.Connection, query: Query, by: Dimension) -> dict[str, dict[str, int]]:
    """Totals of each tool, workflow or caller, most attempts first."""
    source, values = _source(query, by)
    column = f"ifnull({by.value}, '')"
    sql = f"SELECT {column}, {_SUMS} FROM ({source}) GROUP BY 1 HAVING sum(actions) <> 0 OR sum(attempts) <> 0"
    limit = -1 if query.limit is None else query.limit
    rows = db.execute(f"{sql} ORDER BY sum(attempts) DESC, 1 LIMIT ?", (*values, limit)).fetchall()
    open_ = _open(db, query, f"ifnull(r.{by.value}, '')")
    return {name: totals((*sums, *open_.get(name, (0, 0)))) for name, *sums in rows}


def activity(db: sqlite3.Connection, query: Query, seconds: int) -> dict[float, dict[str, int]]:
    """What happened in each stretch of time, oldest first."""
    if seconds <= 0 or seconds % GRAIN_SECONDS:
        raise ValueError(f"a stretch is a multiple of {GRAIN_SECONDS} seconds, not {seconds}")
    grains = seconds // GRAIN_SECONDS
    source, values = _from_records(query) if _only_records_tell(query) else _from_activity(query)
    sql = f"SELECT grain / {grains}, {_SUMS} FROM ({source}) GROUP BY 1 ORDER BY 1"
    return {float(start * seconds): totals((*sums, 0, 0)) for start, *sums in db.execute(sql, values)}


def _only_records_tell(query: Query) -> bool:
    """Neither the kept sums nor journal lines know what an operation has become, or what its request says."""
    return query.status is not None or query.id_prefix is not None or query.grep is not None


def _source(query: Query, by: Dimension | None) -> tuple[str, list[Any]]:
    """Rows to be summed: which of the kept sums tells what the query asks for."""
    if _only_records_tell(query):
        return _from_records(query)
    timed = query.since is not None or query.until is not None
    if timed or query.caller is not None or by is Dimension.CALLER:
        return _from_activity(query)
    return _from_totals(query, by)


def _from_totals(query: Query, by: Dimension | None) -> tuple[str, list[Any]]:
    where, values = reading.of_events(Query(wf=query.wf, tool=query.tool))
    if query.wf is None and by is not Dimension.WF:
        kept = f"SELECT '' AS wf, tool, {_COUNTED} FROM tools WHERE 1{where}"
    else:
        kept = f"SELECT wf, tool, {_COUNTED} FROM totals WHERE 1{where}"
    recent = f"SELECT wf, tool, {_COUNTED} FROM events WHERE {schema.UNFILED_EVENTS}{where}"
    return f"{kept} UNION ALL {recent}", values * 2


def _from_activity(query: Query) -> tuple[str, list[Any]]:
    """A workflow's own are read from its journal lines: time by workflow would be as long as the journal."""
    terms, values = reading.of_events(Query(wf=query.wf, tool=query.tool, caller=query.caller))
    # To the same grain, filed or not: a sum must not change because it was filed.
    grain = f"CAST(at / {GRAIN_SECONDS} AS INTEGER)"
    where, times = "", []
    if query.since is not None:
        where, times = " AND {0} >= ?", [int(query.since // GRAIN_SECONDS)]
    if query.until is not None:
        where, times = where + " AND {0} < ?", [*times, int(-(-query.until // GRAIN_SECONDS))]
    columns = f"{grain} AS grain, wf, tool, ifnull(caller, '') AS caller, {_COUNTED}"
    journal = f"SELECT {columns} FROM events WHERE {NOT_ACTIVITY}{terms}{where.format(grain)}"
    if query.wf is not None:
        return journal, [*values, *times]
    kept = f"SELECT grain, '' AS wf, tool, caller, {_COUNTED} FROM activity WHERE 1{terms}{where.format('grain')}"
    return f"{kept} UNION ALL {journal} AND {schema.UNFILED_EVENTS}", [*values, *times] * 2


def _from_records(query: Query) -> tuple[str, list[Any]]:
    where, values = reading.of_records(query)
    counters = ", ".join(COUNTERS)
    grain = f"CAST(created / {GRAIN_SECONDS} AS INTEGER)"
    return f"SELECT {grain} AS grain, wf, tool, caller, 1 AS actions, {counters} FROM records r WHERE 1{where}", values


def _open(db: sqlite3.Connection, query: Query, group: str) -> dict[str, tuple[int, int]]:
    """How many running and how many unknown records there are, by group."""
    where, values = reading.of_records(query)
    found: dict[str, tuple[int, int]] = {}
    for half in ("r.filed = 1", schema.UNFILED_RECORDS):
        sql = f"""SELECT {group}, sum(r.status = 'running'), sum(r.status = 'unknown') FROM records r
            WHERE {half} AND r.status IN {_OPEN} AND r.status <> 'success'{where} GROUP BY 1"""
        for name, running, unknown in db.execute(sql, values):
            before = found.get(name, (0, 0))
            found[name] = (before[0] + running, before[1] + unknown)
    return found
