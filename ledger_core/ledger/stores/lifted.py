"""A user's own six-method store as a `SyncStore`. Its only atomic call is `claim`; everything here stands on that.

A record is written as a chain of rows: `id`, `id~2`, `id~3` ... Whoever claims the next row has changed the record,
and nobody else can change it from there: `claim` is the compare-and-swap. The last row is what the record is. Rows
of the chain are hidden from every list, and `id` itself is kept as a copy of the last, for the owner of the store.

What six methods cannot do, this store does not pretend to:
- counters are exact within one process; two that count the same duplicate at once may lose one;
- the journal, and the sums over time and by caller, are of this process and end with it;
- operations are told apart by their id alone, so it takes guarded calls and no HTTP operations;
- nothing is purged, and every list reads all of it.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields
from typing import Any

from ledger import clock
from ledger.errors import StoreUnavailable
from ledger.lifecycle import ANSWERED, Change, Claimant, first_claim
from ledger.owners import new_token
from ledger.ports import CLOSED, ENDED, NO_REASON, Dimension, Held, Query
from ledger.records import Event, EventType, Instant, Record, Status
from ledger.stores import changing, listing
from ledger.stores.bare import Bare, Shape
from ledger.stores.listing import Journal

JOURNAL_LINES = 10_000
"""Journal lines kept in memory."""
_LINK = "~"
_PROBE = "0"
"""How the number of a row begins that is no link of a chain."""


class LiftedStore:
    """A `SyncStore` over six methods. Safe for threads and processes as far as the user's `claim` is."""

    imported = True
    """It may hold records that Ledger-Once wrote, under the ids that it gave them."""

    def __init__(self, store: Any, shape: Shape) -> None:
        """store: has get, claim, put, delete, all and clear, each a function or a coroutine function.

        Raises TypeError, naming the methods that are not there.
        """
        self._bare = Bare(store, shape)
        self._lock, self._telling = threading.RLock(), threading.RLock()
        self._journal = Journal(self._telling, JOURNAL_LINES)
        self._proved = False

    def insert(self, change: Change) -> bool:
        r = change.record
        if r.content_id is not None or r.payload_id is not None:
            raise StoreUnavailable(f"{self._bare.name} has six methods, and HTTP operations need a store of Ledger's")
        record = changing.counted(r, change.counts)
        self._prove(record)
        if not self._bare.claim(record):
            return False
        self._tell(change.event, 1, change.counts)
        return True

    def replace(self, change: Change) -> bool:
        with self._lock:
            found, link = self._last(change.record.id)
            if found is None or not changing.holds(change, found):
                return False
            record = changing.changed(change, found)
            if not self._bare.claim(_row(record, link + 1)):
                return False
            if not self._still(change, link):
                return False
            self._bare.put(record)
            self._tell(change.event, 0, change.counts)
            return True

    def look(self, record: Record) -> Record | None:
        return self._last(record.id)[0] if record.id else None

    def append(self, event: Event) -> None:
        with self._lock:
            found, link = self._last(event.record)
            counts = ANSWERED.get(event.event, {}) if found else {}
            if found is not None and counts:
                self._write(changing.counted(found, counts), link)
            self._tell(event, 0, counts)

    def renew(self, claims: Collection[Held], now: Instant) -> None:
        with self._lock:
            for claim in claims:
                found, link = self._last(claim.record)
                if found and found.status is Status.RUNNING and (found.owner, found.epoch) == claim[1:]:
                    self._write(found.but(touched=now), link)

    def running(self) -> list[Record]:
        return self.page(Query(status=Status.RUNNING))

    def events(self, after: int = 0, limit: int = 1000, query: Query = Query()) -> list[Event]:  # noqa: B008
        return self._journal.events(after, limit, query)

    def timeline(self, id: str) -> list[Event]:
        return [line.event for line in self._journal.lines() if line.event.record == id]

    def page(self, query: Query) -> list[Record]:
        return listing.page(self._all(query.wf), query)

    def stats(self, query: Query) -> dict[str, int]:
        return listing.stats(self._all(query.wf), self._journal.lines(), query)

    def breakdown(self, query: Query, by: Dimension, standing: bool = True) -> dict[str, dict[str, int]]:
        return listing.breakdown(self._all(query.wf), self._journal.lines(), query, by, standing)

    def activity(self, query: Query, seconds: int) -> dict[float, dict[str, int]]:
        return listing.activity(self._all(query.wf), self._journal.lines(), query, seconds)

    def remove(
        self, ids: Sequence[str], now: Instant, among: Collection[Status] = CLOSED, why: Mapping[str, str] = NO_REASON
    ) -> int:
        removed = 0
        for id in ids:
            with self._lock:
                found, link = self._last(id)
                if found is None or found.status not in among:
                    continue
                # The last first: a row that is left over by a crash must not look like a newer one.
                for number in range(link, 0, -1):
                    self._bare.delete(_name(id, number))
                taken = {name: -count for name, count in changing.counters(found).items()}
                cleared = Event(EventType.CLEARED, id, found.tool, found.wf, now.wall, found.caller, why)
                self._tell(cleared, -1, taken)
                removed += 1
        return removed

    def _tell(self, event: Event, actions: int, counts: Mapping[str, int]) -> None:
        # Not under the other lock, which is held while the user's own store works: a claim waits for nobody.
        with self._telling:
            self._journal.add(event, actions, counts)

    def tidy(self, now: Instant) -> None:
        """Nothing is purged here."""

    def flush(self) -> None:
        """Nothing is buffered here."""

    def close(self) -> None:
        """The user's store is the user's to close."""
        self._bare.close()

    def reopened(self) -> LiftedStore:
        """A store for a forked child: locks and threads of the parent are not there."""
        return type(self)(self._bare.store, self._bare.shape)

    def get(self, id: str) -> Record | None:
        return self._last(id)[0]

    def claim(self, r: Record) -> bool:
        token = new_token()
        return self.insert(first_claim(r, Claimant(token, token), clock.now()))

    def put(self, r: Record) -> None:
        with self._lock:
            found, link = self._last(r.id)
            self._write(r, link if found else 1)

    def delete(self, id: str) -> None:
        self.remove([id], clock.now(), ENDED)

    def all(self, wf: str | None = None) -> list[Record]:
        return self.page(Query(wf=wf))

    def clear(self, wf: str | None = None) -> None:
        self.remove([r.id for r in self._all(wf)], clock.now(), ENDED)

    def _last(self, id: str) -> tuple[Record | None, int]:
        """The record as it is, and how many rows its chain has."""
        found, link = self._bare.get(id), 1
        if found is None:
            return None, 0
        while (later := self._bare.get(_name(id, link + 1))) is not None:
            found, link = later, link + 1
        return found.but(id=id), link

    def _still(self, change: Change, link: int) -> bool:
        """Look back after winning: a heartbeat, or a removal and a new start, came between reading and claiming.

        Then the row that was won says what the row before it says, and the change was refused.
        """
        id = change.record.id
        before = self._bare.get(_name(id, link))
        if before is not None and changing.holds(change, before):
            return True
        if before is None:
            self._bare.delete(_name(id, link + 1))
        else:
            self._bare.put(_row(before, link + 1, id))
        return False

    def _write(self, record: Record, link: int) -> None:
        """The row that counts, and its copy for the user's own eyes."""
        self._bare.put(_row(record, link))
        if link > 1:
            self._bare.put(record)

    def _all(self, wf: str | None) -> list[Record]:
        """Every record once, as its last row has it, in the order in which they came."""
        last: dict[str, tuple[int, Record]] = {}
        for row in self._bare.all(wf):
            id, _, number = row.id.partition(_LINK)
            if number.startswith(_PROBE):
                continue
            link = int(number or 1)
            if id not in last or last[id][0] < link:
                last[id] = (link, row.but(id=id))
        return [record for _, record in last.values()]

    def _prove(self, record: Record) -> None:
        """Once, before anything is executed: a store that forgets who owns a claim would run operations twice."""
        if self._proved:
            return
        probe = record.but(id=f"{record.id}{_LINK}{_PROBE}{secrets.token_hex(4)}")
        self._bare.claim(probe)
        found = self._bare.get(probe.id)
        self._bare.delete(probe.id)
        lost = [f.name for f in fields(probe) if getattr(found, f.name, None) != getattr(probe, f.name)]
        if lost:
            raise StoreUnavailable(
                f"{self._bare.name} does not give back what it was given ({', '.join(lost)}): "
                "keep whole records, for example as Record.to_json()"
            )
        self._proved = True


def _name(id: str, link: int) -> str:
    return id if link == 1 else f"{id}{_LINK}{link}"


def _row(record: Record, link: int, id: str | None = None) -> Record:
    return record.but(id=_name(id or record.id, link))
