"""The memory store, shipped for users' tests. Lost with the process; nothing here is durable."""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping, Sequence

from ledger import clock
from ledger.lifecycle import ANSWERED, Change, Claimant, Guard, first_claim
from ledger.owners import new_token
from ledger.ports import Held, Query, totals
from ledger.records import Event, EventType, Instant, Record, Status
from ledger.stores.rows import COUNTERS

_OPEN = (Status.RUNNING, Status.UNKNOWN)


class MemoryStore:
    """A `SyncStore` in a dict. Safe for threads."""

    def __init__(self) -> None:
        self._records: dict[str, Record] = {}
        self._journal: list[Event] = []
        self._lock = threading.RLock()

    def insert(self, change: Change) -> bool:
        with self._lock:
            if self.look(change.record) is not None:
                return False
            self._write(change.record.but(), change)
            return True

    def replace(self, change: Change) -> bool:
        with self._lock:
            found = self._records.get(change.record.id)
            if found is None or change.was is None or not _holds(change.guard, change.was, found):
                return False
            if change.opens and self._open_twin(change.record) is not None:
                return False
            kept = found.result if change.record.result is None and found.epoch == change.record.epoch else None
            self._write(change.record.but(**_counters(found), result=change.record.result or kept), change)
            return True

    def look(self, record: Record) -> Record | None:
        with self._lock:
            found = self._records.get(record.id)
            found = found or self._open_twin(record)
            return found.but() if found else None

    def append(self, event: Event) -> None:
        with self._lock:
            found = self._records.get(event.record)
            if found is not None:
                _add(found, ANSWERED.get(event.event, {}))
            self._log(event)

    def renew(self, claims: Collection[Held], now: Instant) -> None:
        with self._lock:
            for claim in claims:
                found = self._records.get(claim.record)
                if found and found.status is Status.RUNNING and (found.owner, found.epoch) == claim[1:]:
                    found.touched = now

    def running(self) -> list[Record]:
        with self._lock:
            return [r.but() for r in self._records.values() if r.status is Status.RUNNING]

    def events(self, after: int = 0, limit: int = 1000, query: Query = Query()) -> list[Event]:  # noqa: B008
        with self._lock:
            return [e for e in self._journal[after:] if _wanted(query, e, e.record)][:limit]

    def page(self, query: Query) -> list[Record]:
        with self._lock:
            found = [r.but(result=None) for r in self._records.values() if _wanted(query, r, r.id)]
        return found[::-1][: query.limit]

    def stats(self, query: Query) -> dict[str, int]:
        rows = self.page(query)
        names = ("attempts", "runs", "replayed", "refused", "held", "conflicts", "failed", "unknown")
        open_ = [sum(r.status is s for r in rows) for s in _OPEN]
        return totals([len(rows), *(sum(getattr(r, n) for r in rows) for n in names), *open_])

    def remove(self, ids: Sequence[str], now: Instant) -> int:
        with self._lock:
            gone = [r for i in ids if (r := self._records.get(i)) and r.status is not Status.RUNNING]
            for r in gone:
                del self._records[r.id]
                self._log(Event(EventType.CLEARED, r.id, r.tool, r.wf, now.wall, r.caller))
            return len(gone)

    def flush(self) -> None:
        """Nothing is buffered here."""

    def close(self) -> None:
        """Nothing to let go of."""

    def get(self, id: str) -> Record | None:
        with self._lock:
            found = self._records.get(id)
            return found.but() if found else None

    def claim(self, r: Record) -> bool:
        token = new_token()
        return self.insert(first_claim(r, Claimant(token, token), clock.now()))

    def put(self, r: Record) -> None:
        with self._lock:
            self._records[r.id] = r.but()

    def delete(self, id: str) -> None:
        self.remove([id], clock.now())

    def all(self, wf: str | None = None) -> list[Record]:
        return self.page(Query(wf=wf))

    def clear(self, wf: str | None = None) -> None:
        self.remove([r.id for r in self.all(wf)], clock.now())

    def _open_twin(self, record: Record) -> Record | None:
        for name in ("payload_id", "content_id"):
            wanted = getattr(record, name)
            for r in self._records.values() if wanted is not None else ():
                if getattr(r, name) == wanted and r.status in _OPEN:
                    return r
        return None

    def _write(self, record: Record, change: Change) -> None:
        _add(record, change.counts)
        self._records[record.id] = record
        self._log(change.event)

    def _log(self, e: Event) -> None:
        seq = len(self._journal) + 1
        self._journal.append(Event(e.event, e.record, e.tool, e.wf, e.at, e.caller, e.detail, seq))


def _holds(guard: Guard, was: Record, found: Record) -> bool:
    if (was.owner, was.epoch, was.status) != (found.owner, found.epoch, found.status):
        return False
    return guard is Guard.OWNER or (was.touched.wall, was.released) == (found.touched.wall, found.released)


def _counters(record: Record) -> dict[str, int]:
    return {name: getattr(record, name) for name in COUNTERS}


def _add(record: Record, counts: Mapping[str, int]) -> None:
    for name, delta in counts.items():
        setattr(record, name, getattr(record, name) + delta)


def _wanted(query: Query, row: Record | Event, id: str) -> bool:
    for name in ("wf", "tool", "status", "caller"):
        value = getattr(query, name)
        if value is not None and hasattr(row, name) and getattr(row, name) != value:
            return False
    return query.id_prefix is None or id.startswith(query.id_prefix)
