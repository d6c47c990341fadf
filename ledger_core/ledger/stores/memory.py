"""The memory store, shipped for users' tests. Lost with the process; nothing here is durable."""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping, Sequence

from ledger import clock, forks
from ledger.lifecycle import ANSWERED, Change, Claimant, first_claim
from ledger.owners import new_token
from ledger.ports import CLOSED, ENDED, NO_REASON, Dimension, Held, Query
from ledger.records import Event, EventType, Instant, Record, Status
from ledger.stores import changing, listing, within
from ledger.stores.listing import Journal
from ledger.stores.rows import COUNTERS

_OPEN = (Status.RUNNING, Status.UNKNOWN)
_NOTHING = dict.fromkeys(COUNTERS, 0)


class MemoryStore:
    """A `SyncStore` in a dict. Safe for threads."""

    def __init__(self) -> None:
        self._rows: dict[str, _Row] = {}
        self._lock = forks.free_in_child(threading.RLock())
        self._alone = _Alone(self._lock)
        self._journal = Journal(self._lock)

    def insert(self, change: Change) -> bool:
        record, counts = change.record, change.counts
        with self._alone:
            if record.id in self._rows or self._open_twin(record) is not None:
                return False
            self._rows[record.id] = _Row(record, counts)
            self._journal.add(change.event, 1, counts)
            return True

    def replace(self, change: Change) -> bool:
        record, counts = change.record, change.counts
        with self._alone:
            row = self._rows.get(record.id)
            # The row is mostly the very one that was seen.
            if row is None or (row.record is not change.was and not changing.holds(change, row.record)):
                return False
            if change.opens and self._open_twin(record) is not None:
                return False
            row.record = record if record.result is not None else changing.moved(change, row.record)
            row.counted.append(counts)
            self._journal.add(change.event, 0, counts)
            return True

    def look(self, record: Record) -> Record | None:
        with self._lock:
            found = self._rows.get(record.id) or self._open_twin(record)
            return found.whole() if found else None

    def append(self, event: Event) -> None:
        with self._lock:
            found = self._rows.get(event.record)
            counts = ANSWERED.get(event.event, {}) if found is not None else {}
            if found is not None:
                found.counted.append(counts)
            self._journal.add(event, 0, counts)

    def renew(self, claims: Collection[Held], now: Instant) -> None:
        with self._alone:
            for claim in claims:
                row = self._rows.get(claim.record)
                if row and row.record.status is Status.RUNNING and (row.record.owner, row.record.epoch) == claim[1:]:
                    row.record = row.record.but(touched=now)

    def running(self) -> list[Record]:
        with self._lock:
            return [row.whole() for row in self._rows.values() if row.record.status is Status.RUNNING]

    def events(self, after: int = 0, limit: int = 1000, query: Query = Query()) -> list[Event]:  # noqa: B008
        return self._journal.events(after, limit, query)

    def timeline(self, id: str) -> list[Event]:
        return [line.event for line in self._journal.lines() if line.event.record == id]

    def page(self, query: Query) -> list[Record]:
        with self._lock:
            return listing.page(self._whole(), query)

    def stats(self, query: Query) -> dict[str, int]:
        with self._lock:
            return listing.stats(self._whole(), self._journal.lines(), query)

    def breakdown(self, query: Query, by: Dimension, standing: bool = True) -> dict[str, dict[str, int]]:
        with self._lock:
            return listing.breakdown(self._whole(), self._journal.lines(), query, by, standing)

    def activity(self, query: Query, seconds: int) -> dict[float, dict[str, int]]:
        with self._lock:
            return listing.activity(self._whole(), self._journal.lines(), query, seconds)

    def remove(
        self, ids: Sequence[str], now: Instant, among: Collection[Status] = CLOSED, why: Mapping[str, str] = NO_REASON
    ) -> int:
        with self._alone:
            gone = [row.whole() for i in ids if (row := self._rows.get(i)) and row.record.status in among]
            for r in gone:
                del self._rows[r.id]
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
            found = self._rows.get(id)
            return found.whole() if found else None

    def claim(self, r: Record) -> bool:
        token = new_token()
        return self.insert(first_claim(r, Claimant(token, token), clock.now()))

    def put(self, r: Record) -> None:
        with self._alone:
            before = self._rows.get(r.id)
            was, now = before.counts() if before else {}, changing.counters(r)
            added = {name: count - was.get(name, 0) for name, count in now.items()}
            self._rows[r.id] = _Row(r.but(), now)
            written = Event(EventType.WRITTEN, r.id, r.tool, r.wf, r.touched.wall, r.caller)
            self._journal.add(written, 0 if before else 1, added)

    def delete(self, id: str) -> None:
        self.remove([id], clock.now(), ENDED)

    def all(self, wf: str | None = None) -> list[Record]:
        return self.page(Query(wf=wf))

    def clear(self, wf: str | None = None) -> None:
        self.remove([r.id for r in self.all(wf)], clock.now(), ENDED)

    def _whole(self) -> list[Record]:
        # A list first: a signal handler may put another row there while these are gone through.
        return [row.whole() for row in list(self._rows.values())]

    def _open_twin(self, record: Record) -> _Row | None:
        for name in ("payload_id", "content_id"):
            wanted = getattr(record, name)
            for row in self._rows.values() if wanted is not None else ():
                if getattr(row.record, name) == wanted and row.record.status in _OPEN:
                    return row
        return None


class _Alone:
    """Holds the lock for a change, which looks and then writes: nothing may come between, be it of the same thread."""

    __slots__ = ("_amid", "_lock")

    def __init__(self, lock: threading.RLock) -> None:
        self._lock, self._amid = lock, False

    def __enter__(self) -> None:
        self._lock.acquire()
        if self._amid:
            self._lock.release()
            raise within.refused()
        self._amid = True

    def __exit__(self, *_: object) -> None:
        self._amid = False
        self._lock.release()


class _Row:
    """A record as it was written last, and what every write added to its counters. As in SQL, the record's own
    counters are those that its writer had seen."""

    __slots__ = ("counted", "record")

    def __init__(self, record: Record, counts: Mapping[str, int]) -> None:
        self.record = record
        self.counted: list[Mapping[str, int]] = [counts]

    def counts(self) -> Mapping[str, int]:
        """The counters: what was added, summed up when somebody reads it, and kept as one."""
        if len(self.counted) > 1:
            sums = dict(self.counted[0])
            for counts in self.counted[1:]:
                for name, delta in counts.items():
                    sums[name] = sums.get(name, 0) + delta
            self.counted = [sums]
        return self.counted[0]

    def whole(self) -> Record:
        """A copy of its own for who reads."""
        return self.record.having({**_NOTHING, **self.counts()})
