"""The memory store, shipped for users' tests. Lost with the process; nothing here is durable."""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping, Sequence

from ledger import clock
from ledger.lifecycle import ANSWERED, Change, Claimant, first_claim
from ledger.owners import new_token
from ledger.ports import CLOSED, ENDED, NO_REASON, Dimension, Held, Query
from ledger.records import Event, EventType, Instant, Record, Status
from ledger.stores import changing, listing
from ledger.stores.listing import Journal

_OPEN = (Status.RUNNING, Status.UNKNOWN)


class MemoryStore:
    """A `SyncStore` in a dict. Safe for threads."""

    def __init__(self) -> None:
        self._records: dict[str, Record] = {}
        self._journal = Journal()
        self._lock = threading.RLock()

    def insert(self, change: Change) -> bool:
        with self._lock:
            if change.record.id in self._records or self._open_twin(change.record) is not None:
                return False
            self._records[change.record.id] = changing.counted(change.record, change.counts)
            self._journal.add(change.event, 1, change.counts)
            return True

    def replace(self, change: Change) -> bool:
        with self._lock:
            found = self._records.get(change.record.id)
            if found is None or not changing.holds(change, found):
                return False
            if change.opens and self._open_twin(change.record) is not None:
                return False
            self._records[found.id] = changing.changed(change, found)
            self._journal.add(change.event, 0, change.counts)
            return True

    def look(self, record: Record) -> Record | None:
        with self._lock:
            found = self._records.get(record.id)
            found = found or self._open_twin(record)
            return found.but() if found else None

    def append(self, event: Event) -> None:
        with self._lock:
            found = self._records.get(event.record)
            counts = ANSWERED.get(event.event, {}) if found is not None else {}
            if found is not None:
                self._records[found.id] = changing.counted(found, counts)
            self._journal.add(event, 0, counts)

    def renew(self, claims: Collection[Held], now: Instant) -> None:
        with self._lock:
            for claim in claims:
                found = self._records.get(claim.record)
                if found and found.status is Status.RUNNING and (found.owner, found.epoch) == claim[1:]:
                    self._records[found.id] = found.but(touched=now)

    def running(self) -> list[Record]:
        with self._lock:
            return [r.but() for r in self._records.values() if r.status is Status.RUNNING]

    def events(self, after: int = 0, limit: int = 1000, query: Query = Query()) -> list[Event]:  # noqa: B008
        return self._journal.events(after, limit, query)

    def timeline(self, id: str) -> list[Event]:
        return [line.event for line in self._journal.lines() if line.event.record == id]

    def page(self, query: Query) -> list[Record]:
        with self._lock:
            return listing.page(self._records.values(), query)

    def stats(self, query: Query) -> dict[str, int]:
        with self._lock:
            return listing.stats(self._records.values(), self._journal.lines(), query)

    def breakdown(self, query: Query, by: Dimension) -> dict[str, dict[str, int]]:
        with self._lock:
            return listing.breakdown(self._records.values(), self._journal.lines(), query, by)

    def activity(self, query: Query, seconds: int) -> dict[float, dict[str, int]]:
        with self._lock:
            return listing.activity(self._records.values(), self._journal.lines(), query, seconds)

    def remove(
        self, ids: Sequence[str], now: Instant, among: Collection[Status] = CLOSED, why: Mapping[str, str] = NO_REASON
    ) -> int:
        with self._lock:
            gone = [r for i in ids if (r := self._records.get(i)) and r.status in among]
            for r in gone:
                del self._records[r.id]
                taken = {name: -count for name, count in changing.counters(r).items()}
                self._journal.add(Event(EventType.CLEARED, r.id, r.tool, r.wf, now.wall, r.caller, why), -1, taken)
            return len(gone)

    def tidy(self, now: Instant) -> None:
        """Nothing is purged here."""

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
            before = self._records.get(r.id)
            was = changing.counters(before) if before else {}
            added = {name: count - was.get(name, 0) for name, count in changing.counters(r).items()}
            self._records[r.id] = r.but()
            written = Event(EventType.WRITTEN, r.id, r.tool, r.wf, r.touched.wall, r.caller)
            self._journal.add(written, 0 if before else 1, added)

    def delete(self, id: str) -> None:
        self.remove([id], clock.now(), ENDED)

    def all(self, wf: str | None = None) -> list[Record]:
        return self.page(Query(wf=wf))

    def clear(self, wf: str | None = None) -> None:
        self.remove([r.id for r in self.all(wf)], clock.now(), ENDED)

    def _open_twin(self, record: Record) -> Record | None:
        for name in ("payload_id", "content_id"):
            wanted = getattr(record, name)
            for r in self._records.values() if wanted is not None else ():
                if getattr(r, name) == wanted and r.status in _OPEN:
                    return r
        return None
