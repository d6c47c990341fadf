"""The synchronous SQLite store: many threads share one writer, and one leader commits for all who wait."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Collection, Sequence
from pathlib import Path

from ledger import clock
from ledger.errors import LedgerError, StoreUnavailable
from ledger.lifecycle import Change, Claimant, first_claim
from ledger.owners import new_token
from ledger.ports import Held, Query
from ledger.records import Event, Instant, Record
from ledger.stores import reading, secret
from ledger.stores.engine import (
    Append,
    Insert,
    Op,
    Put,
    Remove,
    Renew,
    Replace,
    commit,
    open_ledger,
    open_reader,
    translated,
)

FLUSH_SECONDS = 0.1
MAX_BUFFERED = 100_000
"""Answered attempts kept while the ledger cannot be written; the oldest are forgotten first."""


class _Ticket:
    """One write that waits for its transaction."""

    __slots__ = ("done", "op")

    def __init__(self, op: Op) -> None:
        self.op = op
        self.done: bool | LedgerError | None = None

    def result(self) -> bool:
        """What became of it; raises what it failed with."""
        if isinstance(self.done, LedgerError):
            raise self.done
        return bool(self.done)


class SqliteStore:
    """A `SyncStore` on a file. Safe for threads; any number of processes may open the same file."""

    def __init__(self, path: str | Path, durability: str = "full") -> None:
        """Open or create. Raises NotALedger, StoreUnavailable."""
        self.path, self._durability = str(path), durability
        self._writer = open_ledger(self.path, durability)
        self._reader = open_reader(self.path)
        self._queue: list[_Ticket] = []
        self._events: list[Event] = []
        self._timer: threading.Timer | None = None
        self._mutex = threading.Lock()
        self._writing = threading.Lock()
        self._reading = threading.Lock()

    def insert(self, change: Change) -> bool:
        """See `SyncStore`."""
        return self._write(Insert(change))

    def replace(self, change: Change) -> bool:
        """See `SyncStore`."""
        return self._write(Replace(change))

    def renew(self, claims: Collection[Held], now: Instant) -> None:
        """See `SyncStore`."""
        self._write(Renew(claims, now))

    def remove(self, ids: Sequence[str], now: Instant) -> int:
        """See `SyncStore`."""
        return sum(self._write_all([Remove([id], now) for id in ids]))

    def append(self, event: Event) -> None:
        """See `SyncStore`."""
        with self._mutex:
            self._events.append(event)
            if self._timer is None:
                self._timer = threading.Timer(FLUSH_SECONDS, self._flush_if_possible)
                self._timer.daemon = True
                self._timer.start()

    def flush(self) -> None:
        """See `SyncStore`. What cannot be written now is kept and tried again."""
        with self._mutex:
            events, self._events = self._events, []
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
        if not events:
            return
        try:
            self._write(Append(events))
        except LedgerError:
            with self._mutex:
                self._events = (events + self._events)[-MAX_BUFFERED:]
            raise

    def look(self, record: Record) -> Record | None:
        """See `SyncStore`."""
        with self._reading, translated(self.path):
            return reading.look(self._reader, record)

    def running(self) -> list[Record]:
        """See `SyncStore`."""
        with self._reading, translated(self.path):
            return reading.running(self._reader)

    def events(self, after: int = 0, limit: int = 1000, query: Query = Query()) -> list[Event]:  # noqa: B008
        """See `SyncStore`."""
        self._flush_if_possible()
        with self._reading, translated(self.path):
            return reading.events(self._reader, after, limit, query)

    def page(self, query: Query) -> list[Record]:
        """See `SyncStore`."""
        self._flush_if_possible()
        with self._reading, translated(self.path):
            return reading.page(self._reader, query)

    def stats(self, query: Query) -> dict[str, int]:
        """See `SyncStore`."""
        self._flush_if_possible()
        with self._reading, translated(self.path):
            return reading.stats(self._reader, query)

    def last_seq(self) -> int:
        """The journal's newest seq."""
        with self._reading, translated(self.path):
            return reading.last_seq(self._reader)

    def data_version(self) -> int:
        """Changes whenever another connection commits; costs no read of the file's content."""
        with self._reading, translated(self.path):
            return int(self._reader.execute("PRAGMA data_version").fetchone()[0])

    def secret(self, given: bytes | None = None) -> bytes:
        """The ledger's HMAC key, see `stores.secret.agree`."""
        with self._writing, translated(self.path):
            return secret.agree(self._writer, given, self.path)

    def get(self, id: str) -> Record | None:
        """See `Store`."""
        self._flush_if_possible()
        with self._reading, translated(self.path):
            return reading.get(self._reader, id)

    def claim(self, r: Record) -> bool:
        """See `Store`."""
        token = new_token()
        return self.insert(first_claim(r, Claimant(token, token), clock.now()))

    def put(self, r: Record) -> None:
        """See `Store`."""
        self._write(Put(r))

    def delete(self, id: str) -> None:
        """See `Store`. A running record stays."""
        self.remove([id], clock.now())

    def all(self, wf: str | None = None) -> list[Record]:
        """See `Store`."""
        return self.page(Query(wf=wf))

    def clear(self, wf: str | None = None) -> None:
        """See `Store`. Running records stay."""
        self.remove([r.id for r in self.all(wf)], clock.now())

    def close(self) -> None:
        """See `SyncStore`."""
        try:
            self.flush()
        finally:
            with self._writing, self._reading:
                self._reader.close()
                self._writer.close()

    def reopened(self) -> SqliteStore:
        """A store of its own on the same file, for a forked child: no SQLite connection may cross a fork."""
        return SqliteStore(self.path, self._durability)

    def _flush_if_possible(self) -> None:
        """A count that cannot be written now waits; it is no reason to refuse an answer or a screen."""
        with contextlib.suppress(LedgerError):
            self.flush()

    def _write(self, op: Op) -> bool:
        return self._write_all([op])[0]

    def _write_all(self, ops: Sequence[Op]) -> list[bool]:
        tickets = [_Ticket(op) for op in ops]
        with self._mutex:
            self._queue += tickets
        with self._writing:
            if any(ticket.done is None for ticket in tickets):
                self._lead()
        return [ticket.result() for ticket in tickets]

    def _lead(self) -> None:
        """Whoever gets the writing lock commits for everybody who queued meanwhile."""
        with self._mutex:
            batch, self._queue = self._queue, []
        try:
            results = commit(self._writer, self.path, [ticket.op for ticket in batch])
        except BaseException as error:
            # Nobody knows whether it was committed (Ctrl-C): those who wait must not take it for a plain no.
            for ticket in batch:
                ticket.done = StoreUnavailable(f"a write to the ledger {self.path} was interrupted: {error!r}")
            raise
        for ticket, done in zip(batch, results, strict=True):
            ticket.done = done
