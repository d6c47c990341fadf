"""What a fork does to a store on SQLite: no write of it is copied half done, and the child closes what it inherited.

SQLite advises to leave an inherited connection alone in the child, and not even to close it, since that may clean up
what the parent still uses (https://sqlite.org/howtocorrupt.html, "Carrying an open database connection across a
fork()"). Left alone it does worse here: a connection that the child opens beside it believes in the same locks, which
the parent alone has, and the parent's end would take the log away from under the child. So it is closed at once, when
no transaction is under way. To clean up, SQLite then needs an exclusive lock of the file, and the kernel denies that
while the parent, or anybody else, has the ledger open.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Sequence

from ledger import forks
from ledger.errors import StoreUnavailable


class Forked:
    """A `forks.Open`: the connections of one store, and the locks that are held while they are used."""

    def __init__(self, path: str, locks: Sequence[forks.Lock], connections: Sequence[sqlite3.Connection]) -> None:
        self._path, self._locks, self._connections = path, locks, connections
        self._held: list[forks.Lock] = []
        self._torn = False
        forks.tell(self)

    def hold(self) -> None:
        """See `forks.Open`. Where a thread does not end its work in time, the child is refused the ledger."""
        for lock in self._locks:
            if lock.acquire(timeout=forks.HOLD_SECONDS):
                self._held.append(lock)

    def go_on(self) -> None:
        """See `forks.Open`."""
        while self._held:
            self._held.pop().release()

    def leave(self) -> None:
        """See `forks.Open`."""
        with contextlib.suppress(sqlite3.Error):  # it was closed already
            self._torn = len(self._held) < len(self._locks) or any(c.in_transaction for c in self._connections)
            for connection in () if self._torn else self._connections:
                connection.close()
        self.go_on()

    def refuse_torn(self) -> None:
        """Raise StoreUnavailable in a child that was forked while a write was under way."""
        if self._torn:
            raise StoreUnavailable(
                f"the ledger {self._path} cannot be used in this process: it was forked while a write was under way; "
                "fork before the first guarded call, or start the process anew (spawn)"
            )
