"""The asynchronous SQLite store: every claim that waits shares the next commit.

Statements run on the loop: they touch memory, and a hop to a thread costs more. What waits for a disk or for another
process runs in the writer's thread: the commit of a batch, and all of it when somebody else holds the write lock.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from ledger import clock
from ledger.errors import LedgerError, StoreUnavailable
from ledger.lifecycle import Change
from ledger.ports import Held, Query
from ledger.records import Event, Instant, Record
from ledger.stores import counting, paging, reading, secret
from ledger.stores.engine import (
    HOUSEKEEPING,
    Append,
    File,
    Insert,
    Op,
    Probe,
    Purge,
    Renew,
    Replace,
    Write,
    begin,
    commit,
    end,
)
from ledger.stores.files import checkpoint_seldom, impatient, open_ledger, open_reader, patient, translated
from ledger.stores.sealed import Cipher
from ledger.stores.worker import Worker

FLUSH_SECONDS, RETRY_SECONDS = 0.1, 1.0
MAX_BUFFERED = 100_000
"""Answered attempts kept while the ledger cannot be written; the oldest are forgotten first."""
MAX_BATCH = 256


class AsyncSqliteStore:
    """An `AsyncStore` on a file, for one event loop."""

    def __init__(
        self,
        path: str | Path,
        durability: str = "full",
        took: Callable[[float], None] = lambda seconds: None,
        cipher: Cipher | None = None,
    ) -> None:
        """Open or create, blocking briefly. took: told of each commit how long it was waited for.
        cipher: what kept results are sealed with.

        Raises NotALedger, StoreUnavailable.
        """
        self.path, self._took = str(path), took
        self._write_db = open_ledger(self.path, durability, cipher=cipher)
        impatient(self._write_db)
        checkpoint_seldom(self._write_db)
        self._read_db = open_reader(self.path, cipher)
        self._look_db = open_reader(self.path, cipher)
        self._writer = Worker("ledger-writer")
        self._readers = ThreadPoolExecutor(1, "ledger-reader")
        self._queue: list[tuple[Op, asyncio.Future[int]]] = []
        self._events: list[Event] = []
        self._timer: asyncio.TimerHandle | None = None
        self._committing: asyncio.Task[None] | None = None
        self._closed = False

    async def insert(self, change: Change) -> bool:
        """See `AsyncStore`."""
        return bool(await self._write(Insert(change)))

    async def replace(self, change: Change) -> bool:
        """See `AsyncStore`."""
        return bool(await self._write(Replace(change)))

    async def renew(self, claims: Collection[Held], now: Instant) -> None:
        """See `AsyncStore`."""
        await self._write(Renew(claims, now))

    async def look(self, record: Record) -> Record | None:
        """See `AsyncStore`. Read here and now: a point read in WAL mode waits for nobody, a thread hop costs more."""
        with translated(self.path):
            return reading.look(self._look_db, record)

    async def running(self) -> list[Record]:
        """See `AsyncStore`."""
        return await self._read(lambda: paging.running(self._read_db))

    async def tidy(self, now: Instant) -> None:
        """See `AsyncStore`. Claims come between its batches."""
        while await self._write(File()):
            pass
        await self._write(Purge(now))

    async def probe(self) -> None:
        """Write something durable that means nothing. Raises StoreUnavailable when the ledger takes no claims now."""
        await self._write(Probe(clock.now().wall))

    async def page(self, query: Query) -> list[Record]:
        """As `SyncStore.page`."""
        return await self._read(lambda: paging.page(self._read_db, query))

    async def waiting(self) -> dict[str, int]:
        """How many records are running and how many unknown."""
        found = await self._read(lambda: counting.stats(self._read_db, Query()))
        return {"running": found["running"], "unknown": found["open"]}

    def append(self, event: Event) -> None:
        """See `AsyncStore`."""
        self._events.append(event)
        self._flush_in(FLUSH_SECONDS)

    async def flush(self) -> None:
        """Write what is buffered."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        events, self._events = self._events, []
        if events:
            try:
                await self._write(Append(events))
            except LedgerError:
                self._keep(events)
                raise

    def secret(self, given: bytes | None = None) -> bytes:
        """The ledger's HMAC key; blocks briefly, for the start."""
        with translated(self.path), patient(self._write_db):
            return secret.agree(self._write_db, given, self.path)

    async def close(self) -> None:
        """See `AsyncStore`."""
        try:
            await self.flush()
        finally:
            self._closed = True
            if self._committing is not None:
                await self._committing
            self._writer.close()
            self._readers.shutdown()
            self._read_db.close()
            self._look_db.close()
            self._write_db.close()

    def _flush_in(self, seconds: float) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(seconds, self._flush_soon)

    def _flush_soon(self) -> None:
        self._timer = None
        events, self._events = self._events, []
        if events:
            self._enqueue(Append(events)).add_done_callback(partial(self._flushed, events))

    def _flushed(self, events: list[Event], written: asyncio.Future[int]) -> None:
        """What could not be written waits: on a full disk no count is lost, and no answer refused for it."""
        if written.cancelled() or written.exception() is None:
            return
        self._keep(events)
        if not self._closed:
            self._flush_in(RETRY_SECONDS)

    def _keep(self, events: list[Event]) -> None:
        self._events = (events + self._events)[-MAX_BUFFERED:]

    async def _read[T](self, work: Callable[[], T]) -> T:
        def translating() -> T:
            with translated(self.path):
                return work()

        return await asyncio.get_running_loop().run_in_executor(self._readers, translating)

    async def _write(self, op: Op) -> int:
        # A caller that is cancelled cancels only its future: the write still happens, whole.
        return await self._enqueue(op)

    def _enqueue(self, op: Op) -> asyncio.Future[int]:
        if self._closed:
            raise StoreUnavailable(f"the ledger {self.path} is closed")
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._queue.append((op, future))
        if self._committing is None:
            self._committing = asyncio.create_task(self._commit_all())
        return future

    async def _commit_all(self) -> None:
        """While one batch is being made durable, the next gathers."""
        try:
            while self._queue:
                batch, self._queue = self._queue[:MAX_BATCH], self._queue[MAX_BATCH:]
                ops = [op for op, _ in batch]
                started = time.perf_counter()
                applied = self._begin(ops)
                done = await self._writer.submit(partial(self._commit, ops, applied))
                self._took(time.perf_counter() - started)
                for (_, future), result in zip(batch, done, strict=True):
                    _settle(future, result)
        finally:
            self._committing = None

    def _begin(self, ops: list[Op]) -> list[int] | None:
        """Apply without waiting; None when that failed, or takes long, so that the writer does it, and waits."""
        if any(isinstance(op, HOUSEKEEPING) for op in ops):
            return None
        try:
            return begin(self._write_db, self.path, ops)
        except Exception:
            return None

    def _commit(self, ops: list[Op], applied: list[int] | None) -> list[int | LedgerError]:
        try:
            if applied is not None:
                with contextlib.suppress(LedgerError):
                    end(self._write_db, self.path)
                    return list(applied)
            with translated(self.path), patient(self._write_db):
                writes = [Write(op) for op in ops]
                commit(self._write_db, self.path, writes)
                return [write.done or 0 for write in writes]
        except Exception as error:  # whoever waits must hear of it, whatever it was
            return [StoreUnavailable(f"the ledger {self.path} cannot be written: {error!r}")] * len(ops)


def _settle(future: asyncio.Future[int], result: int | LedgerError) -> None:
    if future.cancelled():
        return
    if isinstance(result, LedgerError):
        future.set_exception(result)
    else:
        future.set_result(result)
