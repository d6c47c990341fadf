"""A SQLite ledger as a screen reads it: never created, migrated or written, and no read longer than it may be."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from ledger.errors import NotALedger, ReadTooLong, StoreUnavailable
from ledger.ports import Dimension, Query
from ledger.records import Event, Record
from ledger.stores import counting, paging, reading, schema
from ledger.stores.files import Connection, in_full, refuse_strangers, translated
from ledger.stores.sealed import Cipher

PATIENCE = 2.0
"""Seconds to wait for a lock. A reader needs one only while the file is being made or recovered."""
_STEPS = 2000
"""SQLite's virtual machine instructions between two looks at the clock: some ten microseconds."""


class SqliteView:
    """The reading half of a store, on a file that must exist. One thread at a time.

    A read transaction keeps the log of a busy ledger from being reset (https://sqlite.org/wal.html#avoiding_excessively_large_wal_files),
    so each read ends after `seconds`, finished or not. file: which file it is, until another one takes its place.
    """

    def __init__(self, path: str | Path, seconds: float = 1.0, cipher: Cipher | None = None) -> None:
        """Open. cipher: what kept results are sealed with.

        Raises NotALedger, StoreUnavailable; StoreUnavailable also for a file with nothing in it yet.
        """
        self.path, self._seconds, self._until = str(path), seconds, 0.0
        with translated(self.path):
            self.file = self._identity()
            self._db, self._frozen = _open(self.path)
            self._db.cipher = cipher
            try:
                self._db.execute("PRAGMA query_only = 1")
                refuse_strangers(self._db, self.path)
                self._refuse_older()
            except BaseException:
                self._db.close()
                raise
        self._db.set_progress_handler(self._late, _STEPS)

    @property
    def frozen(self) -> bool:
        """Whether it is read as it stood, since nothing could be written beside it; `current` tells for how long."""
        return self._frozen is not None

    def current(self) -> bool:
        """Whether the file at the path is still the one that was opened, and can be read as it was."""
        with contextlib.suppress(OSError):
            return self._identity() == self.file and self._frozen in (None, _written(self.path))
        return False

    def get(self, id: str) -> Record | None:
        """As `Store.get`."""
        with self._reading() as db:
            return reading.get(db, id)

    def page(self, query: Query) -> list[Record]:
        """As `SyncStore.page`. Raises ReadTooLong."""
        with self._reading() as db:
            return paging.page(db, query)

    def scan(self, query: Query, width: int) -> tuple[list[Record], str | None]:
        """See `paging.scan`. Raises ReadTooLong."""
        with self._reading() as db:
            return paging.scan(db, query, width)

    def events(self, after: int = 0, limit: int = 1000, query: Query = Query()) -> list[Event]:  # noqa: B008
        """As `SyncStore.events`. Raises ReadTooLong."""
        with self._reading() as db:
            return reading.events(db, after, limit, query)

    def timeline(self, id: str) -> list[Event]:
        """As `SyncStore.timeline`. Raises ReadTooLong."""
        with self._reading() as db:
            return reading.timeline(db, id)

    def stats(self, query: Query) -> dict[str, int]:
        """As `SyncStore.stats`. Raises ReadTooLong."""
        with self._reading() as db:
            return counting.stats(db, query)

    def breakdown(self, query: Query, by: Dimension, standing: bool = True) -> dict[str, dict[str, int]]:
        """As `SyncStore.breakdown`. Raises ReadTooLong."""
        with self._reading() as db:
            return counting.breakdown(db, query, by, standing)

    def activity(self, query: Query, seconds: int) -> dict[float, dict[str, int]]:
        """As `SyncStore.activity`. Raises ReadTooLong."""
        with self._reading() as db:
            return counting.activity(db, query, seconds)

    def last_seq(self) -> int:
        """The journal's newest seq, 0 when empty."""
        with self._reading() as db:
            return reading.last_seq(db)

    def data_version(self) -> int:
        """As `SqliteStore.data_version`; of a file that is read as it stood, `current` tells instead."""
        with translated(self.path):
            return int(self._db.execute("PRAGMA data_version").fetchone()[0])

    def backup(self, target: sqlite3.Connection, *, pages: int, progress: Callable[[int, int, int], None]) -> None:
        """As `sqlite3.Connection.backup`. Of a file that is read as it stood, whole only if it is `current` still."""
        with translated(self.path):
            self._db.backup(target, pages=pages, progress=progress)

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    @contextlib.contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        """One moment of the ledger, for at most `seconds`."""
        self._until = time.monotonic() + self._seconds
        with translated(self.path):
            try:
                self._db.execute("BEGIN")
                yield self._db
            except sqlite3.OperationalError as error:
                # Python's own, of a text that is none, have no code.
                if getattr(error, "sqlite_errorcode", None) != sqlite3.SQLITE_INTERRUPT:
                    raise
                took = f"reading {self.path} took longer than {self._seconds:g} s and was stopped"
                raise ReadTooLong(f"{took}; ask for less") from error
            finally:
                # No deadline: ending a read takes no time, and must not be stopped.
                self._until = float("inf")
                if self._db.in_transaction:
                    self._db.execute("COMMIT")

    def _late(self) -> bool:
        return time.monotonic() > self._until

    def _identity(self) -> str:
        found = os.stat(self.path)
        return f"{found.st_dev:x}-{found.st_ino:x}"

    def _refuse_older(self) -> None:
        version = self._db.execute("PRAGMA user_version").fetchone()[0]
        if version == 0:
            raise StoreUnavailable(f"there is nothing in {self.path} yet")
        if version < len(schema.MIGRATIONS):
            raise NotALedger(
                f"{self.path} was written by an older Ledger (schema {version}); `ledger stats` upgrades it"
            )


def _open(path: str) -> tuple[Connection, tuple[int, ...] | None]:
    """Read only; and, where not even shared memory for the log can be had, what must stay as it is."""
    where = f"{Path(in_full(path)).as_uri()}?mode=ro"
    db = _connect(where)
    try:
        db.execute("SELECT count(*) FROM sqlite_master")
    except sqlite3.OperationalError as error:
        db.close()
        frozen = _written(path)
        if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY) or frozen[-1]:
            raise
        # https://sqlite.org/wal.html#read_only_databases: good as long as nobody else writes, see `current`.
        return _connect(f"{where}&immutable=1"), frozen
    except BaseException:
        db.close()
        raise
    return db, None


def _written(path: str) -> tuple[int, ...]:
    """Changes when anybody writes: the file's time and size, and the size of its log."""
    found, log = os.stat(path), Path(f"{path}-wal")
    return found.st_mtime_ns, found.st_size, log.stat().st_size if log.exists() else 0


def _connect(where: str) -> Connection:
    return sqlite3.connect(
        where, uri=True, timeout=PATIENCE, isolation_level=None, check_same_thread=False, factory=Connection
    )
