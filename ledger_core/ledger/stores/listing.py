"""Pages and sums over records and journal lines that are in memory; the same answers as `reading` and `counting`."""

from __future__ import annotations

import re
import threading
from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import islice

from ledger.ports import GRAIN_SECONDS, Dimension, Query, place, place_of, totals
from ledger.records import Event, EventType, Record, Status
from ledger.stores.rows import COUNTED, COUNTERS, dumps

_NOT_ACTIVITY = (EventType.CLEARED, EventType.WRITTEN)
_OPEN = (Status.RUNNING, Status.UNKNOWN)


@dataclass(frozen=True, slots=True)
class Line:
    """A journal line and what it adds to the sums."""

    event: Event
    actions: int
    counts: Mapping[str, int]

    def sums(self) -> list[int]:
        """In the order of `COUNTED`."""
        return [self.actions, *(self.counts.get(name, 0) for name in COUNTERS)]


class Journal:
    """Journal lines in memory, the newest `limit` of them. Safe for threads."""

    def __init__(self, lock: threading.RLock, limit: int | None = None) -> None:
        """lock: held by whoever adds."""
        self._lines: deque[tuple[int, Event, int, Mapping[str, int]]] = deque(maxlen=limit)
        self._seq = 0
        self._lock = lock

    def add(self, event: Event, actions: int, counts: Mapping[str, int]) -> None:
        """Write a line; it gets the next seq."""
        self._seq = seq = self._seq + 1
        self._lines.append((seq, event, actions, counts))

    def lines(self) -> list[Line]:
        """All that are kept, oldest first."""
        with self._lock:
            lines = list(self._lines)
        return [Line(replace(event, seq=seq), actions, counts) for seq, event, actions, counts in lines]

    def events(self, after: int, limit: int, query: Query) -> list[Event]:
        """As `SyncStore.events`."""
        found = (e.event for e in self.lines() if e.event.seq > after and wanted(query, e.event))
        return list(islice(found, limit))


def page(records: Iterable[Record], query: Query) -> list[Record]:
    """Records in the query's order, without results. records: in the order in which they came."""
    found = sorted((r for r in records if wanted(query, r)), key=lambda r: place(r, query.sort)[:2])
    found = found if query.oldest else found[::-1]
    if query.before is not None:
        found = found[_behind(found, query, query.before) :]
    return [r.but(result=None) for r in found[: query.limit]]


def _behind(found: list[Record], query: Query, before: str) -> int:
    """Where the page goes on. A record that was removed or moved meanwhile: behind its place."""
    *at, id = place_of(before, query.sort)
    places = [list(place(r, query.sort)[:2]) for r in found]
    for number, (r, here) in enumerate(zip(found, places, strict=True)):
        if r.id == id and here == at:
            return number + 1
    past = [number for number, here in enumerate(places) if (here > at if query.oldest else here < at)]
    return past[0] if past else len(found)


def stats(records: Iterable[Record], lines: Iterable[Line], query: Query) -> dict[str, int]:
    """Totals, see `SyncStore.stats`."""
    rows = list(records)
    sums = _grouped(rows, lines, query, None).get("", [0] * len(COUNTED))
    return totals((*sums, *_open(rows, query, None).get("", (0, 0))))


def breakdown(
    records: Iterable[Record], lines: Iterable[Line], query: Query, by: Dimension, standing: bool
) -> dict[str, dict[str, int]]:
    """Totals of each tool, workflow or caller, most attempts first."""
    rows = list(records)
    grouped, open_ = _grouped(rows, lines, query, by), _open(rows, query, by) if standing else {}
    most = sorted(grouped.items(), key=lambda item: (-item[1][1], item[0]))
    told = [(name, totals((*sums, *open_.get(name, (0, 0))))) for name, sums in most if sums[0] or sums[1]]
    return dict(told[: query.limit])


def activity(
    records: Iterable[Record], lines: Iterable[Line], query: Query, seconds: int
) -> dict[float, dict[str, int]]:
    """What happened in each stretch of time, oldest first."""
    if seconds <= 0 or seconds % GRAIN_SECONDS:
        raise ValueError(f"a stretch is a multiple of {GRAIN_SECONDS} seconds, not {seconds}")
    stretches: dict[float, list[int]] = {}
    if _only_records_tell(query):
        for r in records:
            if wanted(query, r):
                _add(stretches, r.created.wall // seconds * seconds, _sums_of(r))
    else:
        for line in _happened(lines, query):
            _add(stretches, line.event.at // seconds * seconds, line.sums())
    return {start: totals((*sums, 0, 0)) for start, sums in sorted(stretches.items())}


def wanted(query: Query, row: Record | Event) -> bool:
    """Whether the query asks for this record or journal line, its cursor and limit aside."""
    for name in ("wf", "tool", "status", "caller"):
        value = getattr(query, name)
        if value is not None and hasattr(row, name) and getattr(row, name) != value:
            return False
    id, at = (row.id, row.created.wall) if isinstance(row, Record) else (row.record, row.at)
    if query.id_prefix is not None and not id.startswith(query.id_prefix):
        return False
    if (query.since is not None and at < query.since) or (query.until is not None and at >= query.until):
        return False
    return query.grep is None or re.search(re.escape(query.grep), _text(row), re.IGNORECASE | re.ASCII) is not None


def _text(row: Record | Event) -> str:
    if isinstance(row, Event):
        return "\n".join((row.record, row.tool, row.wf, row.caller or "", dumps(dict(row.detail))))
    return "\n".join((row.id, row.tool, row.wf, row.caller or "", row.error or "", row.note or "", dumps(row.about)))


def _only_records_tell(query: Query) -> bool:
    return query.status is not None or query.id_prefix is not None or query.grep is not None


def _grouped(records: list[Record], lines: Iterable[Line], query: Query, by: Dimension | None) -> dict[str, list[int]]:
    timed = query.since is not None or query.until is not None or query.caller is not None or by is Dimension.CALLER
    found: dict[str, list[int]] = {}
    if timed and not _only_records_tell(query):
        for line in _happened(lines, query):
            _add(found, _group(line.event, by), line.sums())
    else:
        for r in records:
            if wanted(query, r):
                _add(found, _group(r, by), _sums_of(r))
    return found


def _happened(lines: Iterable[Line], query: Query) -> Iterable[Line]:
    """Lines of attempts, at the grain of the stores that keep sums."""
    since = None if query.since is None else query.since // GRAIN_SECONDS * GRAIN_SECONDS
    until = None if query.until is None else -(-query.until // GRAIN_SECONDS) * GRAIN_SECONDS
    coarse = Query(wf=query.wf, tool=query.tool, caller=query.caller, since=since, until=until)
    return (line for line in lines if line.event.event not in _NOT_ACTIVITY and wanted(coarse, line.event))


def _open(records: list[Record], query: Query, by: Dimension | None) -> dict[str, tuple[int, int]]:
    found: Counter[tuple[str, Status]] = Counter()
    for r in records:
        if r.status in _OPEN and wanted(query, r):
            found[_group(r, by), r.status] += not (r.status is Status.UNKNOWN and r.released)
    return {name: (found[name, _OPEN[0]], found[name, _OPEN[1]]) for name, _ in found}


def _group(row: Record | Event, by: Dimension | None) -> str:
    return (getattr(row, by.value) or "") if by else ""


def _sums_of(record: Record) -> list[int]:
    return [1, *(getattr(record, name) for name in COUNTERS)]


def _add[K](to: dict[K, list[int]], key: K, sums: list[int]) -> None:
    before = to.get(key)
    to[key] = sums if before is None else [a + b for a, b in zip(before, sums, strict=True)]
