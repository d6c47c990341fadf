"""Pages of records in any order, over one connection, each from a cursor on. Never writes.

An order is made of stretches, one behind the other, each of which an index of `schema` holds. Rows that are not filed
yet are few, and are sorted.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import batched
from typing import Any

from ledger.ports import Place, Query, Sort, cursor_at, place_of
from ledger.records import Record, Status
from ledger.stores import schema
from ledger.stores.reading import of_records
from ledger.stores.rows import record_from

FEW = 20_000
"""Records that are sorted rather than looked for along an order's index: some tens of milliseconds."""
FILTERS = {
    "wf": "records_filed_wf",
    "status": "records_filed_status",
    "caller": "records_filed_caller",
    "tool": "records_filed_tool",
}
"""The index of each filter, by what is most often the narrowest; each keeps the order of time."""
READ = 500
"""Records that are looked at between two looks whether the page is full."""
_BLOCKED = schema.BLOCKED
_ALL = schema.RECORDS.partition(" FROM")[0].removeprefix("SELECT ")


@dataclass(frozen=True, slots=True)
class _Stretch:
    """Part of an order. where: what is in it; key: what it goes by, then by seq.

    along: the index to read all of it in order; None where the index of each filter keeps the order.
    status: what all in it have.
    """

    where: str = "1"
    key: str = "created"
    along: str | None = None
    status: Status | None = None


@dataclass(frozen=True, slots=True)
class _Way:
    """The index that a stretch is read along, and those of the filters that it holds: the others are looked at.

    index: "" for the one that SQLite chooses. few: not in the stretch's order, and so few that they are sorted.
    """

    index: str
    held: Query
    few: bool = False


def _of_status(status: Status) -> _Stretch:
    # Said twice, see `reading`: the second lets SQLite use the index of what is not a success.
    where = f"status = '{status}'{'' if status is Status.SUCCESS else " AND status <> 'success'"}"
    return _Stretch(where, status=status)


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
        found += _records(db, replace(query, limit=left), at, _way(db, query, at))
    return found


def scan(db: sqlite3.Connection, query: Query, width: int) -> tuple[list[Record], str | None]:
    """The page among the next `width` records of an index, and the cursor that goes on behind these.

    A text, and all filters but the index's own, are looked for in the records themselves, so that it takes as long as
    there are many; None: these were all.
    A cursor may name the beginning of an order's next stretch: what was looked at then were fewer.
    """
    starts = _starts(query)
    if not starts:
        return [], None
    at, *later = starts
    way = _way(db, query, at)
    behind = cursor_at(later[0], query.sort) if later else None
    if way.few:
        return _records(db, query, at, way), behind
    walked = _walked(db, query, at, way, width)
    if len(walked) == width:
        key, seq = walked[-1]
        id = db.execute("SELECT id FROM records WHERE seq = ?", (seq,)).fetchone()[0]
        behind = cursor_at(Place(at.rank, key, id), query.sort)
    return _among(db, query, [seq for _, seq in walked]), behind


def _starts(query: Query) -> list[Place]:
    """Where each stretch that a page may need is begun: the first where the page before ended."""
    stretches = ORDERS[query.sort]
    ranks = range(len(stretches))
    starts = [Place(rank, -math.inf if query.oldest else math.inf, "") for rank in ranks]
    if query.before is not None:
        last = place_of(query.before, query.sort)
        if last.rank not in ranks:
            raise ValueError(f"{query.before!r} is no cursor of the order by {query.sort}")
        starts[last.rank] = last
        ranks = ranks[last.rank :] if query.oldest else ranks[: last.rank + 1]
    wanted = [at for at in starts[ranks.start : ranks.stop] if _may_hold(stretches[at.rank], query)]
    return wanted if query.oldest else wanted[::-1]


def _may_hold(stretch: _Stretch, query: Query) -> bool:
    return query.status is None or stretch.status in (None, query.status)


def _way(db: sqlite3.Connection, query: Query, at: Place) -> _Way:
    """Along the index of the filter that the fewest records fit: SQLite cannot know which that is.

    Where even these are too many to be sorted, a page of them is soon found along the order's own index.
    """
    stretch = ORDERS[query.sort][at.rank]
    if query.id_prefix is not None:
        return _Way("", query, few=True)
    when = Query(since=query.since, until=query.until)
    given = {name: getattr(query, name) for name in FILTERS} | ({"status": stretch.status} if stretch.status else {})
    held = [
        _Way(index, replace(when, **{name: given[name]}))
        for name, index in FILTERS.items()
        if given[name] not in (None, Status.SUCCESS)
    ] or [_Way("records_filed", when)]
    if stretch.along and held[0].held == Query():
        return _Way(stretch.along, Query())
    if len(held) == 1 and not stretch.along:
        return held[0]
    count, narrowest = min(((_count(db, way), way) for way in held), key=lambda counted: counted[0])
    if stretch.along is None:
        return narrowest
    return replace(narrowest, few=True) if count <= FEW else _Way(stretch.along, Query())


def _count(db: sqlite3.Connection, way: _Way) -> int:
    """How many records fit what an index holds; `FEW` and one for more."""
    terms, values = of_records(way.held)
    sql = f"SELECT 1 FROM records r INDEXED BY {way.index} WHERE r.filed = 1{terms} LIMIT {FEW + 1}"
    return int(db.execute(f"SELECT count(*) FROM ({sql})", values).fetchone()[0])


def _records(db: sqlite3.Connection, query: Query, at: Place, way: _Way) -> list[Record]:
    """Of one stretch."""
    terms, values = of_records(query)
    limit = -1 if query.limit is None else query.limit
    sql, given = _walk(query, at, way, _ALL, terms)
    per_half = [*values, *given, limit]
    return [record_from(row[:-2]) for row in db.execute(f"{sql} LIMIT ?", (*per_half, *per_half, limit))]


def _walked(db: sqlite3.Connection, query: Query, at: Place, way: _Way, width: int) -> list[tuple[float, int]]:
    """The (key, seq) of the next `width` records of the index, whatever else they are.

    Reads no record, but for the rest of an order that no index of its own holds.
    """
    terms, values = of_records(way.held)
    sql, given = _walk(query, at, way, "r.seq AS at", terms)
    per_half = [*values, *given, width]
    return [(key, seq) for _, key, seq in db.execute(f"{sql} LIMIT ?", (*per_half, *per_half, width))]


def _among(db: sqlite3.Connection, query: Query, seqs: Sequence[int]) -> list[Record]:
    """Those of these records that fit the query, in their order: not more are read than fill the page."""
    terms, values = of_records(query)
    found: list[Record] = []
    for some in batched(seqs, READ):
        marks = ", ".join("?" * len(some))
        sql = f"SELECT {_ALL}, r.seq FROM records r WHERE r.seq IN ({marks}){terms}"
        by_seq = {row[-1]: row[:-1] for row in db.execute(sql, (*some, *values))}
        found += [record_from(by_seq[seq]) for seq in some if seq in by_seq]
        if query.limit is not None and len(found) >= query.limit:
            return found[: query.limit]
    return found


def _walk(query: Query, at: Place, way: _Way, columns: str, terms: str) -> tuple[str, list[Any]]:
    """The rows of a stretch behind a place, in order, with their key and seq; and the values that stand for the place.

    Each half has its own limit. Both are sorted, so this is a merge; the newest, not yet filed half is short.
    """
    stretch = ORDERS[query.sort][at.rank]
    direction, sign, gone = ("ASC", ">", 2**63 - 1) if query.oldest else ("DESC", "<", 0)
    key, behind, given = stretch.key, "", []
    if at.id:
        # A record that was removed meanwhile: on from its place. The key is said twice, because SQLite takes no row
        # value for the bound of an index on an expression.
        behind = (
            f" AND {key} {sign}= ? AND ({key}, r.seq) {sign} (?, coalesce((SELECT seq FROM records WHERE id = ?), ?))"
        )
        given = [at.key, at.key, at.id, gone]
    halves = [
        f"SELECT * FROM (SELECT {columns}, {key} AS key, r.seq AS seq FROM records r {how} "
        f"WHERE {half} AND {stretch.where}{terms}{behind} ORDER BY {key} {direction}, r.seq {direction} LIMIT ?)"
        for half, how in (("r.filed = 1", way.index and f"INDEXED BY {way.index}"), (schema.UNFILED_RECORDS, ""))
    ]
    return f"{' UNION ALL '.join(halves)} ORDER BY key {direction}, seq {direction}", given
