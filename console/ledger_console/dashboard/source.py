"""The ledger as the dashboard reads it: in worker threads, reopened when the file is another one. Writes nothing."""

from __future__ import annotations

import asyncio
import contextlib
import queue
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from ledger.errors import ReadTooLong
from ledger_console import ledgers
from ledger_console.dashboard.troubles import Missing

if TYPE_CHECKING:
    from ledger.stores.sqlite_view import SqliteView

READERS = 3
"""Reads at one time; the fourth waits. SQLite reads in one thread per connection."""


class Source:
    """Reads of one ledger. Each call is one worker thread with a connection of its own."""

    def __init__(self, place: ledgers.Place, readonly: bool = False) -> None:
        """readonly: a person wants nothing to be changed here."""
        self.place, self._readonly = place, readonly
        self._idle: queue.SimpleQueue[SqliteView] = queue.SimpleQueue()
        self._workers = ThreadPoolExecutor(READERS, thread_name_prefix="dashboard")

    async def read[T](self, work: Callable[[SqliteView], T]) -> T:
        """What `work` reads. Raises LedgerError; of a ledger that is not there, Missing."""
        return await asyncio.get_running_loop().run_in_executor(self._workers, self._read, work)

    async def run[T](self, work: Callable[[], T]) -> T:
        """Anything else that blocks, such as an action of a person."""
        return await asyncio.get_running_loop().run_in_executor(self._workers, work)

    def why_not_written(self) -> str:
        """Why nothing can be done to the ledger from here; "" where it can."""
        if self._readonly:
            return "This dashboard was started with --read-only."
        if Path(self.place.path).exists() and not ledgers.writable(self.place):
            return "This ledger may only be read from here: its file or its folder cannot be written."
        return ""

    def close(self) -> None:
        """Let go of the file."""
        self._workers.shutdown()
        for view in self._all_idle():
            view.close()

    def _read[T](self, work: Callable[[SqliteView], T]) -> T:
        view = self._view()
        try:
            found = work(view)
        except ReadTooLong:
            self._idle.put(view)
            raise
        except BaseException:
            # Whatever it was: the next read opens the file anew and sees what is there then.
            view.close()
            raise
        self._idle.put(view)
        return found

    def _view(self) -> SqliteView:
        """A connection to the file that is at the path now."""
        if not Path(self.place.path).exists():
            self._forget()
            raise Missing(f"there is no ledger at {self.place.path}")
        for view in self._all_idle():
            if view.current():
                return view
            view.close()
        return ledgers.view(self.place)

    def _forget(self) -> None:
        for view in self._all_idle():
            view.close()

    def _all_idle(self) -> Iterator[SqliteView]:
        with contextlib.suppress(queue.Empty):
            while True:
                yield self._idle.get_nowait()
