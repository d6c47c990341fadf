"""A ledger as it grows, and its journal, also when another file takes the ledger's place. Prints no event."""

from __future__ import annotations

import contextlib
import math
import os
import time
from collections.abc import Generator
from typing import TYPE_CHECKING, NamedTuple

from ledger.errors import LedgerError, StoreBusy
from ledger_console import ledgers, screen

if TYPE_CHECKING:
    from ledger.ports import Query
    from ledger.records import Event
    from ledger.stores.sqlite_view import SqliteView

POLL_SECONDS = 0.04
"""Between two looks whether anything was committed; one costs some ten microseconds and reads nothing."""
BATCH = 1000


class _Left(NamedTuple):
    """Where a file was left. at: the Unix time when it was last known to be the ledger."""

    seq: int
    at: float


def journal(where: ledgers.Place, query: Query, lines: int, follow: bool) -> Generator[Event]:
    """The last `lines` of the journal that match, then, with `follow`, what is committed from now on, for ever.

    A ledger that is removed or replaced is waited for, and of the new one everything that happened since is told;
    so is, with `follow`, one that is not there yet. Raises Problem, LedgerError.
    """
    # Nothing of it is past: who waits for a ledger is told all of it.
    waited = follow and ledgers.awaited(where)
    view = successor(where) if waited else ledgers.followed(where)
    try:
        left = yield from _read(view, query, 0 if waited else max(0, view.last_seq() - lines), follow)
        while follow:
            # Closed first: SQLite would share the old file's log with the new one.
            view.close()
            old, view = view, successor(where)
            # Without a writer anywhere a file was read as it stood, and somebody writes to it again.
            same = old.frozen and old.file == view.file
            if not same:
                screen.aside(f"ledger: {where.path} was replaced; going on with the new one")
            left = yield from _read(view, query, left.seq if same else _since(view, left.at), follow)
    finally:
        view.close()


def _read(view: SqliteView, query: Query, seen: int, follow: bool) -> Generator[Event, None, _Left]:
    """What comes after `seen`, until the file is not the ledger any more or all is read."""
    at = time.time()
    while True:
        # All before the journal: what is committed in between is seen as a change, and read again.
        now, current, version = time.time(), view.current(), version_of(view)
        at = now if current else at
        end = view.last_seq()
        while batch := view.events(seen, BATCH, query):
            yield from batch
            seen = batch[-1].seq
        # Lines up to here that did not match are not read again.
        seen = max(seen, end)
        if not (follow and current):
            return _Left(seen, at)
        while view.current() and version_of(view) == version:
            time.sleep(POLL_SECONDS)


def version_of(view: SqliteView) -> int:
    """As `data_version`, waiting as long as it takes for whoever locks the whole file."""
    while True:
        with contextlib.suppress(StoreBusy):
            return view.data_version()


def successor(where: ledgers.Place) -> SqliteView:
    """The ledger that is at the place now, waited for."""
    said = ""
    while True:
        try:
            return ledgers.view(where, seconds=math.inf)
        except LedgerError as error:
            why = str(error) if os.path.exists(where.path) else f"there is no ledger at {where.path}"
            if said != why:
                said = why
                screen.aside(f"ledger: {why}; waiting for one to be there")
            time.sleep(POLL_SECONDS)


def _since(view: SqliteView, at: float) -> int:
    """The seq after which everything happened at that time or later: a copy's past was told before."""
    start = view.last_seq()
    while start > 0:
        batch = view.events(max(0, start - BATCH), BATCH)
        older = [event.seq for event in batch if event.seq <= start and event.at < at]
        if older:
            return max(older)
        start -= BATCH
    return 0
