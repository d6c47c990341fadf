"""What the stories of the core are told with: instants, drafts, claimants, and an async store made synchronous."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Collection, Coroutine, Sequence
from pathlib import Path
from typing import Any

from ledger import lifecycle
from ledger.lifecycle import Change, Claimant, Trigger
from ledger.policy import Policy
from ledger.ports import CLOSED, Dimension, Held, Query, SyncStore
from ledger.records import Event, Instant, Record, Result, Status
from ledger.steps import Attempt
from ledger.stores.sqlite import SqliteStore
from ledger.stores.sqlite_async import AsyncSqliteStore

BOOT = "boot"
_numbers = itertools.count(1)


def at(seconds: float, jump: float = 0.0) -> Instant:
    """`seconds` after the story began; `jump`: by how much the wall clock was turned meanwhile."""
    return Instant(1_700_000_000.0 + seconds + jump, 1_000.0 + seconds, BOOT)


def who(name: str | None = None) -> Claimant:
    """A claimant nobody can look up in /proc."""
    name = name or f"worker-{next(_numbers)}"
    return Claimant(name, f"nonce of {name}")


def draft(id: str = "a1", **fields: Any) -> Record:
    return Record(**{"id": id, "tool": "charge", **fields})


def attempt(
    by: Claimant | None = None, now: Instant | None = None, record: Record | None = None, **policy: Any
) -> Attempt:
    return Attempt(record or draft(), Policy(**policy), by or who(), now or at(0))


def first(record: Record | None = None, by: Claimant | None = None, now: Instant | None = None) -> Change:
    return lifecycle.first_claim(record or draft(), by or who(), now or at(0))


def done(running: Record, value: bytes = b"ok", now: Instant | None = None) -> Change:
    return lifecycle.finish(running, Status.SUCCESS, now or at(1), result=Result({"n": 1}, value))


def lost(running: Record, now: Instant | None = None) -> Change:
    return lifecycle.finish(running, Status.UNKNOWN, now or at(1), error="timed out")


def failed(running: Record, now: Instant | None = None) -> Change:
    return lifecycle.finish(running, Status.FAILED, now or at(1), error="declined")


def again(was: Record, trigger: Trigger, by: Claimant | None = None, now: Instant | None = None) -> Change:
    return lifecycle.claim(was, trigger, by or who(), now or at(2))


def balanced(record: Record) -> bool:
    """The counters' equation."""
    ended = record.runs + record.failed + record.unknown + record.blocked
    return record.attempts == ended + (record.status is Status.RUNNING)


def claimed(store: SyncStore, record: Record | None = None, now: Instant | None = None) -> Record:
    change = first(record, now=now)
    assert store.insert(change)
    return change.record


def put_through(store: SyncStore, change: lifecycle.Change) -> Record:
    assert store.replace(change)
    return change.record


def names(store: SyncStore) -> list[str]:
    return [e.event.value for e in store.events()]


class AwaitedStore:
    """`AsyncSqliteStore` as a `SyncStore`, on a loop of its own; a screen's store reads what it wrote."""

    def __init__(self, path: Path) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._store = AsyncSqliteStore(path)
        self._screen = SqliteStore(path)

    def _run[T](self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    def insert(self, change: Change) -> bool:
        return self._run(self._store.insert(change))

    def replace(self, change: Change) -> bool:
        return self._run(self._store.replace(change))

    def look(self, record: Record) -> Record | None:
        return self._run(self._store.look(record))

    def append(self, event: Event) -> None:
        async def inside() -> None:
            self._store.append(event)

        self._run(inside())

    def renew(self, claims: Collection[Held], now: Instant) -> None:
        self._run(self._store.renew(claims, now))

    def running(self) -> list[Record]:
        return self._run(self._store.running())

    def events(self, after: int = 0, limit: int = 1000, query: Query = Query()) -> list[Event]:  # noqa: B008
        self.flush()
        return self._screen.events(after, limit, query)

    def timeline(self, id: str) -> list[Event]:
        self.flush()
        return self._screen.timeline(id)

    def breakdown(self, query: Query, by: Dimension, standing: bool = True) -> dict[str, dict[str, int]]:
        self.flush()
        return self._screen.breakdown(query, by, standing)

    def activity(self, query: Query, seconds: int) -> dict[float, dict[str, int]]:
        self.flush()
        return self._screen.activity(query, seconds)

    def file(self) -> None:
        self.flush()
        self._screen.file()

    def tidy(self, now: Instant) -> None:
        self._run(self._store.tidy(now))

    def page(self, query: Query) -> list[Record]:
        self.flush()
        return self._screen.page(query)

    def stats(self, query: Query) -> dict[str, int]:
        self.flush()
        return self._screen.stats(query)

    def remove(self, ids: Sequence[str], now: Instant, among: Collection[Status] = CLOSED) -> int:
        return self._screen.remove(ids, now, among)

    def flush(self) -> None:
        self._run(self._store.flush())

    def get(self, id: str) -> Record | None:
        self.flush()
        return self._screen.get(id)

    def claim(self, r: Record) -> bool:
        return self._screen.claim(r)

    def put(self, r: Record) -> None:
        self._screen.put(r)

    def delete(self, id: str) -> None:
        self._screen.delete(id)

    def all(self, wf: str | None = None) -> list[Record]:
        return self._screen.all(wf)

    def clear(self, wf: str | None = None) -> None:
        self._screen.clear(wf)

    def close(self) -> None:
        self._run(self._store.close())
        self._screen.close()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
