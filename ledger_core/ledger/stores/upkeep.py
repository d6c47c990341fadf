"""Looking after a ledger file: a copy while it is in use, and its space given back. Decides nothing about records."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable, Iterator

from ledger.errors import NotALedger
from ledger.records import Record
from ledger.stores import ledger_once, schema
from ledger.stores.files import BUSY_SECONDS, open_ledger, open_reader, translated

PAGES_AT_ONCE = 4096


def copy(path: str, target: str, advance: Callable[[int, int], None] = lambda done, total: None) -> None:
    """Copy a ledger that may be in use to `target`, private to the user, whole or not at all.

    advance: told how many pages are copied, and of how many. Raises NotALedger, StoreUnavailable.
    """
    with contextlib.closing(open_ledger(path)) as source:
        part = f"{target}.part"
        with translated(target):
            os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            try:
                with contextlib.closing(sqlite3.connect(part, timeout=BUSY_SECONDS)) as made:
                    told = lambda _, left, total: advance(total - left, total)  # noqa: E731
                    source.backup(made, pages=PAGES_AT_ONCE, progress=told)
                with open(part, "rb") as written:
                    os.fsync(written.fileno())
                # Not `replace`: a file that came to be meanwhile is somebody's.
                os.link(part, target)
            finally:
                os.unlink(part)


def compact(path: str) -> None:
    """Rewrite the file without its holes; whoever writes waits. Raises NotALedger, StoreBusy, StoreUnavailable."""
    with contextlib.closing(open_ledger(path)) as db, translated(path):
        db.execute("VACUUM")
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def size(path: str) -> int:
    """Bytes that the records take, whether they are in the file or still in its log."""
    with contextlib.closing(open_reader(path)) as db, translated(path):
        pages, each = (db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "page_size"))
        return int(pages) * int(each)


def once_records(path: str) -> tuple[int, Iterator[Record]]:
    """How many rows a `ledger.db` of Ledger-Once has, and all of them as records; the file is only read.

    Raises NotALedger where it is none, StoreUnavailable; the iterator also ValueError for a broken row.
    """
    with contextlib.closing(open_reader(path)) as db, translated(path):
        if db.execute("PRAGMA application_id").fetchone()[0] == schema.APPLICATION_ID:
            raise NotALedger(f"{path} is a ledger already: give it as --db, or write its records by `export --whole`")
        if not ledger_once.is_there(db):
            raise NotALedger(f"{path} is a database, but not one of Ledger-Once")
        return ledger_once.count(db), _once_records(path)


def _once_records(path: str) -> Iterator[Record]:
    with contextlib.closing(open_reader(path)) as db, translated(path):
        yield from ledger_once.records(db)
