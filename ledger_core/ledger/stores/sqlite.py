"""The synchronous SQLite store: many threads share one writer, see `together`."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

from ledger import clock
from ledger.errors import LedgerError
from ledger.lifecycle import Change, Claimant, first_claim
from ledger.owners import new_token
from ledger.ports import CLOSED, ENDED, NO_REASON, Dimension, Held, Query
from ledger.records import Event, Instant, Record, Status
from ledger.stores import counting, filing, ledger_once, paging, reading, within
from ledger.stores.engine import (
    Add,
    Append,
    File,
    Insert,
    Purge,
    Put,
    Remove,
    Renew,
    Replace,
    Write,
    commit,
)
from ledger.stores.files import in_full, open_ledger, open_reader, translated
from ledger.stores.forked import Forked
from ledger.stores.sealed import Cipher
from ledger.stores.together import Together

FLUSH_SECONDS = 0.1
MUCH_UNFILED, BATCHES_FOR_A_SCREEN = 10_000, 8
REMOVED_AT_ONCE = 1_000
MAX_BUFFERED = 100_000
"""Answered attempts kept while the ledger cannot be written; the oldest are forgotten first."""


class SqliteStore:
    """A `SyncStore` on a file. Safe for threads; any number of processes may open the same file."""

    def __init__(
        self, path: str | Path, durability: str = "full", create: bool = True, *, cipher: Cipher | None = None
    ) -> None:
        """Open or create, see `files.open_ledger`. cipher: what kept results are sealed with.

        Raises NotALedger, StoreUnavailable.
        """
        # In full: a program may change its working folder, and then open the file once more in a forked child.
        self.path, self._durability, self._cipher = in_full(path), durability, cipher
        self._writer = open_ledger(self.path, durability, create, cipher)
        self.imported = ledger_once.was_imported(self._writer)
        """Whether there are records under the ids that Ledger-Once gave them."""
        self._reader = open_reader(self.path, cipher)
        self._writes = Together(self._commit)
        self._events: list[Event] = []
        self._timer: threading.Timer | None = None
        # Those that a signal handler may come upon again in its own thread let it in, and see what it interrupted.
        self._mutex, self._flushing = threading.RLock(), threading.RLock()
        self._writing = threading.Lock()
        self._reading = threading.RLock()
        self._forked = Forked(self.path, (self._writing, self._reading), (self._reader, self._writer))

    def insert(self, change: Change) -> bool:
        """See `SyncStore`."""
        return bool(self._writes.write(Insert(change)))

    def replace(self, change: Change) -> bool:
        """See `SyncStore`."""
        return bool(self._writes.write(Replace(change)))

    def renew(self, claims: Collection[Held], now: Instant) -> None:
        """See `SyncStore`."""
        self._writes.write(Renew(claims, now))

    def remove(
        self, ids: Sequence[str], now: Instant, among: Collection[Status] = CLOSED, why: Mapping[str, str] = NO_REASON
    ) -> int:
        """See `SyncStore`."""
        chunks = [ids[start : start + REMOVED_AT_ONCE] for start in range(0, len(ids), REMOVED_AT_ONCE)]
        return sum(self._writes.write(Remove(chunk, now, among, why)) for chunk in chunks)

    def append(self, event: Event) -> None:
        """See `SyncStore`."""
        with self._mutex:
            self._events.append(event)
            if self._timer is None:
                timer = threading.Timer(FLUSH_SECONDS, self._flush_if_possible)
                timer.daemon = True
                # An interpreter that ends starts no thread any more; then it is written when the store is closed.
                with contextlib.suppress(RuntimeError):
                    timer.start()
                    self._timer = timer

    def flush(self) -> None:
        """See `SyncStore`. What cannot be written now is kept and tried again.

        Who closes waits here for what another thread took to write it, or it would be lost with the file's closing.
        """
        with self._flushing:
            self._flush()

    def _flush(self) -> None:
        with self._mutex:
            events, self._events = self._events, []
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
        if not events:
            return
        try:
            self._writes.write(Append(events))
        except LedgerError:
            with self._mutex:
                self._events = (events + self._events)[-MAX_BUFFERED:]
            raise

    def look(self, record: Record) -> Record | None:
        """See `SyncStore`."""
        with self._reading, translated(self.path):
            self._refuse_within()
            return reading.look(self._reader, record)

    def running(self) -> list[Record]:
        """See `SyncStore`."""
        with self._reading, translated(self.path):
            return paging.running(self._reader)

    def events(self, after: int = 0, limit: int = 1000, query: Query = Query()) -> list[Event]:  # noqa: B008
        """See `SyncStore`."""
        self._flush_if_possible()
        with self._reading, translated(self.path):
            return reading.events(self._reader, after, limit, query)

    def timeline(self, id: str) -> list[Event]:
        """See `SyncStore`."""
        with self._screen() as db:
            return reading.timeline(db, id)

    def page(self, query: Query) -> list[Record]:
        """See `SyncStore`."""
        with self._screen() as db:
            return paging.page(db, query)

    def scan(self, query: Query, width: int) -> tuple[list[Record], str | None]:
        """See `paging.scan`."""
        with self._screen() as db:
            return paging.scan(db, query, width)

    def stats(self, query: Query) -> dict[str, int]:
        """See `SyncStore`."""
        with self._screen() as db:
            return counting.stats(db, query)

    def breakdown(self, query: Query, by: Dimension, standing: bool = True) -> dict[str, dict[str, int]]:
        """See `SyncStore`."""
        with self._screen() as db:
            return counting.breakdown(db, query, by, standing)

    def activity(self, query: Query, seconds: int) -> dict[float, dict[str, int]]:
        """See `SyncStore`."""
        with self._screen() as db:
            return counting.activity(db, query, seconds)

    def file(self) -> None:
        """Make what was written quick to find and to sum up; screens and sweeps do it when there is much."""
        while self._writes.write(File()):
            pass

    def tidy(self, now: Instant) -> None:
        """See `SyncStore`."""
        self.file()
        self._writes.write(Purge(now))

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
        # Here, because it loads OpenSSL: a screen asks for no key.
        from ledger.stores import secret

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
        self._writes.write(Put(r))

    def add(self, records: Sequence[Record], why: Mapping[str, str] = NO_REASON) -> int:
        """Take over whole records from elsewhere, all or none; those whose id is there stay out. How many came."""
        return self._writes.write(Add(records, why))

    def delete(self, id: str) -> None:
        """See `Store`. A running record stays."""
        self.remove([id], clock.now(), ENDED)

    def all(self, wf: str | None = None) -> list[Record]:
        """See `Store`."""
        return self.page(Query(wf=wf))

    def clear(self, wf: str | None = None) -> None:
        """See `Store`. Running records stay."""
        self.remove([r.id for r in self.all(wf)], clock.now(), ENDED)

    def close(self) -> None:
        """See `SyncStore`."""
        try:
            self.flush()
            self._file_if_much()
        finally:
            with self._writing, self._reading:
                self._reader.close()
                self._writer.close()

    def reopened(self) -> SqliteStore:
        """A store of its own on the same file, for a forked child: no SQLite connection may cross a fork."""
        self._forked.refuse_torn()
        return SqliteStore(self.path, self._durability, cipher=self._cipher)

    @contextlib.contextmanager
    def _screen(self) -> Iterator[sqlite3.Connection]:
        """One snapshot for a screen, of everything that was written and counted."""
        self._flush_if_possible()
        self._file_if_much()
        with self._reading, translated(self.path):
            self._refuse_within()
            with reading.snapshot(self._reader) as db:
                yield db

    def _refuse_within(self) -> None:
        """In a signal handler that interrupted a screen's snapshot, what is read would be of its moment."""
        if self._reader.in_transaction:
            raise within.refused()

    def _file_if_much(self) -> None:
        """What cannot be filed now is read as it is."""
        with contextlib.suppress(LedgerError):
            with self._reading, translated(self.path):
                much = filing.waiting(self._reader) > MUCH_UNFILED
            # A part is enough to catch up in time: a screen must not wait for a whole import.
            for _ in range(BATCHES_FOR_A_SCREEN if much else 0):
                self._writes.write(File())

    def _flush_if_possible(self) -> None:
        """A count that cannot be written now waits; it is no reason to refuse an answer or a screen."""
        with contextlib.suppress(LedgerError):
            self.flush()

    def _commit(self, tickets: Sequence[Write]) -> None:
        with self._writing:
            commit(self._writer, self.path, tickets)
