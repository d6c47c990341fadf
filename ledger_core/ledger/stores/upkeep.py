"""Looking after a ledger file: a copy while it is in use, and its space given back. Decides nothing about records."""

from __future__ import annotations

import contextlib
import math
import os
import sqlite3
from collections.abc import Callable, Iterator

from ledger.errors import NotALedger, ResultSealed, StoreBusy
from ledger.records import Record
from ledger.stores import ledger_once, schema
from ledger.stores.files import BUSY_SECONDS, open_ledger, open_reader, translated
from ledger.stores.sealed import Cipher, closed, opened
from ledger.stores.sqlite_view import SqliteView

PAGES_AT_ONCE = 4096
RESULTS_AT_ONCE = 64
_STEPS = 100
"""SQLite's virtual machine instructions between two words of progress."""


def copy(
    path: str, target: str, advance: Callable[[int, int], None] = lambda done, total: None, writable: bool = True
) -> None:
    """Copy a ledger that may be in use to `target`, private to the user, whole or not at all.

    advance: told how many pages are copied, and of how many. writable: False where the ledger may only be read.
    Raises NotALedger, StoreUnavailable.
    """
    found = open_ledger(path, create=False) if writable else SqliteView(path, math.inf)
    with contextlib.closing(found) as source:
        part = f"{target}.part"
        with translated(target):
            os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            try:
                with contextlib.closing(sqlite3.connect(part, timeout=BUSY_SECONDS)) as made:
                    told = lambda _, left, total: advance(total - left, total)  # noqa: E731
                    source.backup(made, pages=PAGES_AT_ONCE, progress=told)
                with open(part, "rb") as written:
                    os.fsync(written.fileno())
                if isinstance(source, SqliteView) and not source.current():
                    raise StoreBusy(f"{path} was written meanwhile; nothing was copied, try again")
                # Not `replace`: a file that came to be meanwhile is somebody's.
                os.link(part, target)
            finally:
                os.unlink(part)


def compact(path: str, working: Callable[[], None] = lambda: None) -> None:
    """Rewrite the file without its holes; whoever writes waits. working: told now and then that it goes on.

    Raises NotALedger, StoreBusy, StoreUnavailable.
    """
    with contextlib.closing(open_ledger(path, create=False)) as db, translated(path):
        # What it returns would end the rewriting, unless it is nothing.
        db.set_progress_handler(working, _STEPS)
        db.execute("VACUUM")
        db.set_progress_handler(None, 0)
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def encrypt(path: str, cipher: Cipher, advance: Callable[[int, int], None] = lambda done, total: None) -> int:
    """Seal under the first key whatever is not, and leave nothing of how it was in the file; how many that were.

    Those who write wait between batches, and while the file is rewritten. advance: told how many rows were looked at,
    and of how many. Raises NotALedger, StoreBusy, StoreUnavailable; ResultSealed at the end, if some cannot be opened.
    """
    done, unreadable = 0, list[ResultSealed]()
    with contextlib.closing(open_ledger(path, cipher=cipher)) as db, translated(path):
        last = db.execute("SELECT coalesce(max(seq), 0) FROM results").fetchone()[0]
        upto = 0
        while rows := db.execute(schema.NEXT_RESULTS, (upto, last, RESULTS_AT_ONCE)).fetchall():
            done += _reseal(db, cipher, [row for row in rows if not _is_current(row[-1], cipher)], unreadable)
            upto = rows[-1][0]
            advance(upto, last)
    if done:
        compact(path)
    if unreadable:
        raise ResultSealed(f"{len(unreadable)} kept results were left as they are; the first: {unreadable[0]}")
    return done


def _is_current(meta: str | bytes, cipher: Cipher) -> bool:
    return isinstance(meta, bytes) and cipher.current(meta)


def _reseal(
    db: sqlite3.Connection,
    cipher: Cipher,
    rows: list[tuple[int, str, int, str | bytes]],
    unreadable: list[ResultSealed],
) -> int:
    """One transaction. What was not sealed is taken as it is: who encrypts a ledger for the first time believes it."""
    done = 0
    if not rows:
        return done
    db.execute("BEGIN IMMEDIATE")
    try:
        for seq, id, epoch, _ in rows:
            found = db.execute(schema.RESULT, (seq, epoch)).fetchone()
            if found is None:
                continue
            try:
                plain = opened(found[0], found[1], id, epoch, None if isinstance(found[0], str) else cipher)
            except ResultSealed as error:
                unreadable.append(error)
                continue
            done += db.execute(schema.RESEAL, (*closed(*plain, id, epoch, cipher), seq)).rowcount
        db.execute("COMMIT")
    except BaseException:
        db.execute("ROLLBACK")
        raise
    return done


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
