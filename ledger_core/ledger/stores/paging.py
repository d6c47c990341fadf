"""Pages of records in any order, over one connection, each from a cursor on. Never writes.

An order is made of stretches, one behind the other, each of which an index of `schema` holds. Rows that are not filed
yet are few, and are sorted.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from ledger.ports import Place, Query, Sort, cursor_at, place_of
from ledger.records import Record, Status
from ledger.stores import schema
from ledger.stores.reading import of_records
from ledger.stores.rows import record_from

FEW = 20_000
"""Records that are sorted rather than looked for along an order's index: some tens of milliseconds."""
_BLOCKED = schema.BLOCKED


@dataclass(frozen=True, slots=True)
class _Stretch:
    """Part of an order. where: what is in it; key: what it goes by, then by seq.

    along: the index to read all of it in order; None where the index of each filter keeps the order.
    """

    where: str = "1"
    key: str = "created"
    along: str | None = None


def _of_status(status: Status) -> _Stretch:
    # Said twice, see `reading`: the second lets SQLite use the index of what is not a success.
    return _Stretch(f"status = '{status}'{'' if status is Status.SUCCESS else " AND status <> 'success'"}")


ORDERS: dict[Sort, tuple[_Stretch, ...]] = {
    Sort.CREATED: (_Stretch(),),
    Sort.TOUCHED: (_Stretch(key="touched", along="records_filed_touched"),),
    Sort.ATTEMPTS: (_Stretch("attempts <= 1"), _Stretch("attempts > 1", "attempts", "records_filed_attempts")),
    Sort.BLOCKED: (_Stretch(f"{_BLOCKED} = 0"), _Stretch(f"{_BLOCKED} > 0", _BLOCKED, "records_filed_blocked")),
    Sort.STATUS: tuple(map(_of_status, (Status.SUCCESS, Status.FAILED, Status.RUNNING, Status.UNKNOWN))),
}
"""Each order's stretches by their rank, see `ports.place`."""


def running(db: sqlite3.Connection) -> list[Record]:
    """Every running record."""
    return page(db, Query(status=Status.RUNNING))


def page(db: sqlite3.Connection, query: Query) -> list[Record]:
    """Records in the query's order, without results."""
    found: list[Record] = []
    for at in _starts(query):
        left = None if query.limit is None else query.limit - len(found)
        if left == 0:
            break
        found += _records(db, replace(query, limit=left), at)
    return found


def scan(db: sqlite3.Connection, query: Query, width: int) -> tuple[list[Record], str | None]:
    """The page among the next `width` records that fit all but the text, and the cursor that goes on behind these.

    A text is looked for in the records themselves, so that it takes as long as there are many; None: these were all.
    A cursor may name the beginning of an order's next stretch: what was looked at then were fewer.
    """
    at, *later = _starts(query)
    edge = _edge(db, query, at, width)
    if edge is None:
        return _records(db, query, at), cursor_at(later[0], query.sort) if later else None
    id = db.execute("SELECT id FROM records WHERE seq = ?", (edge[1],)).fetchone()[0]
    return _records(db, query, at, edge), cursor_at(Place(at.rank, edge[0], id), query.sort)


def _starts(query: Query) -> list[Place]:
    """Where each stretch that a page may need is begun: the first where the page before ended."""
    ranks = range(len(ORDERS[query.sort]))
    ordered = list(ranks if query.oldest else reversed(ranks))
    fresh = [Place(rank, -math.inf if query.oldest else math.inf, "") for rank in ordered]
    if query.before is None:
        return fresh
    last = place_of(query.before, query.sort)
    if last.rank not in ordered:
        raise ValueError(f"{query.before!r} is no cursor of the order by {query.sort}")
    return [last, *fresh[ordered.index(last.rank) + 1 :]]


def _records(db: sqlite3.Connection, query: Query, at: Place, edge: tuple[float, int] | None = None) -> list[Record]:
    """Of one stretch. edge: (key, seq) of the last one that is looked at."""
    terms, values = of_records(query)
    limit = -1 if query.limit is None else query.limit
    key, far = ORDERS[query.sort][at.rank].key, ""
    if edge is not None:
        far = f" AND ({key}, r.seq) {'<=' if query.oldest else '>='} (?, ?)"
    sql, given = _walk(db, query, at, schema.RECORDS.partition(" FROM")[0].removeprefix("SELECT "), f"{terms}{far}")
    per_half = [*values, *(edge or ()), *given, limit]
    return [record_from(row[:-2]) for row in db.execute(f"{sql} LIMIT ?", (*per_half, *per_half, limit))]


def _edge(db: sqlite3.Connection, query: Query, at: Place, width: int) -> tuple[float, int] | None:
    """The (key, seq) of the last of the next `width` records, whatever their text; None if the stretch has fewer."""
    terms, values = of_records(replace(query, grep=None))
    sql, given = _walk(db, query, at, "r.seq AS at", terms)
    per_half = [*values, *given, width]
    row: Sequence[Any] | None = db.execute(f"{sql} LIMIT 1 OFFSET ?", (*per_half, *per_half, width - 1)).fetchone()
    return None if row is None else (row[-2], row[-1])


def _walk(db: sqlite3.Connection, query: Query, at: Place, columns: str, terms: str) -> tuple[str, list[Any]]:
    """The rows of a stretch behind a place, in order, with their key and seq; and the values that stand for the place.

    Each half has its own limit. Both are sorted, so this is a merge; the newest, not yet filed half is short.
    """
    stretch = ORDERS[query.sort][at.rank]
    way, sign, gone = ("ASC", ">", 2**63 - 1) if query.oldest else ("DESC", "<", 0)
    index, where, key = "", stretch.where, stretch.key
    if stretch.along and _many(db, query):
        index = f"INDEXED BY {stretch.along}"
    elif stretch.along:
        # A plus keeps SQLite from the order's index: another one finds the few that fit.
        where, key = f"+{where}", f"+({key})"
    behind, given = "", []
    if at.id:
        # A record that was removed meanwhile: on from its place.
        behind = f" AND ({key}, r.seq) {sign} (?, coalesce((SELECT seq FROM records WHERE id = ?), ?))"
        given = [at.key, at.id, gone]
    halves = [
        f"SELECT * FROM (SELECT {columns}, {key} AS key, r.seq AS seq FROM records r {how} "
        f"WHERE {half} AND {where}{terms}{behind} ORDER BY {key} {way}, r.seq {way} LIMIT ?)"
        for half, how in (("r.filed = 1", index), (schema.UNFILED_RECORDS, ""))
    ]
    return f"{' UNION ALL '.join(halves)} ORDER BY key {way}, seq {way}", given


def _many(db: sqlite3.Connection, query: Query) -> bool:
    """Whether so many fit the filters that a page of them is soon found along the order; or there is no filter."""
    terms, values = of_records(replace(query, grep=None))
    if not terms:
        return True
    sql = f"SELECT count(*) FROM (SELECT 1 FROM records r WHERE r.filed = 1{terms} LIMIT {FEW + 1})"
    return bool(db.execute(sql, values).fetchone()[0] > FEW)
