"""One SQLite ledger file: opening it, migrating it, and telling what is wrong with it. Writes no record itself."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

from ledger.errors import LedgerError, NotALedger, StoreBusy, StoreUnavailable
from ledger.stores import atonce, ledger_once, schema
from ledger.stores.places import refuse_remote
from ledger.stores.sealed import Cipher

SQLITE_VERSION = sqlite3.sqlite_version_info
BUSY_SECONDS = 10.0
CHECKED = 4 << 20
"""Bytes of a file that is checked whole whenever it is opened; a larger one would take too long (`ledger doctor`)."""
PAGE_BYTES = 2048
"""Of a new ledger. The log is written in whole pages, six or seven of them for a call, in each of which a few hundred
bytes change: with SQLite's usual 4096 a durable first call took 2 to 10 % longer. An answer of a megabyte is written
sooner in those, but few effects answer so much."""
_NOT_SYNCED = frozenset({sqlite3.SQLITE_IOERR_FSYNC, sqlite3.SQLITE_IOERR_DIR_FSYNC})


class translated:  # small letters: used like the functions of contextlib, which take three times as long
    """SQLite's errors as ours, in one line that names the file."""

    __slots__ = ("path",)

    def __init__(self, path: str) -> None:
        self.path = path

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, sqlite3.Error | OSError | UnicodeDecodeError):
            raise ours(error, self.path) from error


def ours(error: sqlite3.Error | OSError | UnicodeDecodeError, path: str) -> LedgerError:
    """What an error of SQLite or of the file system means for a ledger.

    A UnicodeDecodeError is one of SQLite's, too: it quotes the damaged bytes of a schema, and Python cannot read that.
    """
    if isinstance(error, OSError):
        folder = Path(path).parent
        missing = isinstance(error, FileNotFoundError) and not folder.exists()
        why = f"there is no folder {folder}; make it, or name another ledger" if missing else error.strerror or error
        return StoreUnavailable(f"the ledger {path} cannot be used: {why}")
    said = error.object.decode("utf-8", "backslashreplace") if isinstance(error, UnicodeDecodeError) else str(error)
    text = " ".join(said.split())  # SQLite quotes a damaged schema over several lines
    if "locked" in text or "busy" in text:
        return StoreBusy(f"the ledger {path} is locked by another process ({text}); try again when that has ended")
    if "not a database" in text or "malformed" in text:
        return NotALedger(f"{path} is not a readable ledger ({text}); give another --db, or restore a copy")
    todo = "; who runs this may write neither the file nor its folder" if "readonly" in text else ""
    return StoreUnavailable(f"the ledger {path} cannot be used: {text}{todo}")


def in_full(path: str | Path) -> str:
    """Where that is, whatever the working folder is later. A `..` stays: behind a link it is the link's to say whose.

    Raises StoreUnavailable.
    """
    try:
        return str(Path(path).absolute())
    except FileNotFoundError:
        raise StoreUnavailable(
            f"the ledger {path} cannot be used: the working folder is not there any more; give a full path"
        ) from None


class Connection(sqlite3.Connection):
    """A connection that knows which file it opened, and what its results are sealed with.

    broken: why nothing may be written to it any more.
    """

    cipher: Cipher | None = None
    file: tuple[int, int] = (0, 0)
    broken: str = ""


def open_ledger(path: str, durability: str = "full", create: bool = True, cipher: Cipher | None = None) -> Connection:
    """Open or create the ledger at `path`, migrated to this version, its files private (0600).

    A `ledger.db` of Ledger-Once becomes a ledger with its records in it.
    durability: "full" syncs every commit before it counts; "normal" may lose the last commits to a power cut.
    create: whether there may be no ledger yet; a screen makes none. Raises NotALedger, StoreUnavailable.
    """
    with translated(path):
        refuse_remote(path)
        if create:
            _create_private(path)
        elif os.stat(path).st_size == 0:
            raise NotALedger(f"{path} is empty: nothing was recorded there yet")
        db = sqlite3.connect(
            path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False, factory=Connection
        )
        try:
            db.file, db.cipher = _identity(path), cipher
            refuse_strangers(db, path)
            _prepare(db, durability)
            _migrate(db)
            _refuse_damaged(db, path)
            atonce.prepare(db)
        except BaseException:
            db.close()
            raise
        return db


def open_reader(path: str, cipher: Cipher | None = None) -> Connection:
    """A connection that only reads. The ledger must exist."""
    with translated(path):
        db = sqlite3.connect(
            path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False, factory=Connection
        )
        db.cipher = cipher
        db.execute("PRAGMA query_only = 1")
        return db


@contextlib.contextmanager
def patient(db: sqlite3.Connection) -> Iterator[None]:
    """Wait for other writers up to BUSY_SECONDS inside, and not at all from then on."""
    db.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000:.0f}")
    try:
        yield
    finally:
        impatient(db)


def checkpoint_seldom(db: sqlite3.Connection) -> None:
    """For who writes for long: a checkpoint syncs twice, and of four times the pages a quarter of the claims waits.

    And for who syncs nothing but checkpoints. Not for the others: until its first checkpoint the log grows, and to
    sync a file with its new size takes twice as long as to sync one that is written over.
    """
    db.execute("PRAGMA wal_autocheckpoint = 4000")


def impatient(db: sqlite3.Connection) -> None:
    """From now on, StoreBusy at once while somebody else writes."""
    db.execute("PRAGMA busy_timeout = 0")


def _identity(path: str) -> tuple[int, int]:
    found = os.stat(path)
    return found.st_dev, found.st_ino


def refuse_unsound(db: sqlite3.Connection, path: str) -> None:
    """Raise StoreUnavailable where a write would bind nobody: the disk lost one, or the file is another.

    A claim in a file that was deleted or replaced is not seen by the next process, which would claim again.
    """
    refuse_broken(db, path)
    if isinstance(db, Connection) and db.file != _identity(path):
        raise StoreUnavailable(f"the ledger {path} was replaced while it was open; restart Ledger")


def refuse_broken(db: sqlite3.Connection, path: str) -> None:
    """Raise StoreUnavailable where the disk lost a write."""
    if isinstance(db, Connection) and db.broken:
        raise StoreUnavailable(
            f"the ledger {path} is not written any more: {db.broken}; check the disk, restart Ledger"
        )


def stop_if_not_synced(db: sqlite3.Connection, error: sqlite3.Error) -> None:
    """After a failed fsync nobody knows what is on the disk, and a second one may succeed without it being there.

    See https://wiki.postgresql.org/wiki/Fsync_Errors: the only safe thing is to write nothing more.
    """
    if isinstance(db, Connection) and getattr(error, "sqlite_errorcode", 0) in _NOT_SYNCED:
        db.broken = f"the disk did not take a write ({error})"


def damage(db: sqlite3.Connection) -> str | None:
    """What is wrong with the file as such: an index that misses a record would let it run again. None: nothing."""
    found: str = db.execute("PRAGMA integrity_check(1)").fetchone()[0]
    return None if found == "ok" else found.splitlines()[-1]


def _refuse_damaged(db: sqlite3.Connection, path: str) -> None:
    if os.stat(path).st_size <= CHECKED and (found := damage(db)) is not None:
        raise NotALedger(f"{path} is damaged ({found}); restore a copy")


def _create_private(path: str) -> None:
    if Path(path).is_dir():
        raise StoreUnavailable(f"the ledger {path} cannot be used: it is a folder; name a file in it")
    if not Path(path).exists():
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))


def _prepare(db: sqlite3.Connection, durability: str) -> None:
    # Changes nothing where there is something: a file in WAL mode keeps the pages that it has.
    db.execute(f"PRAGMA page_size = {PAGE_BYTES}")
    _write_ahead(db)
    if durability == "normal":
        db.execute("PRAGMA synchronous = NORMAL")
        checkpoint_seldom(db)
    else:
        db.execute("PRAGMA synchronous = FULL")
    db.execute("PRAGMA fullfsync = 1")
    db.execute("PRAGMA journal_size_limit = 67108864")


def _write_ahead(db: sqlite3.Connection) -> None:
    """Into WAL mode, which the file then keeps.

    SQLite asks no busy handler while it changes the mode (https://sqlite.org/c3ref/busy_handler.html): those who
    make one ledger at the same moment wait for each other here.
    """
    until = time.monotonic() + BUSY_SECONDS
    while db.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        try:
            db.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(0.005)


def refuse_strangers(db: sqlite3.Connection, path: str) -> None:
    """Raise NotALedger for a database of somebody else's, or of a newer Ledger."""
    # One snapshot: between two reads another process may make the ledger.
    db.execute("BEGIN")
    ours = db.execute("PRAGMA application_id").fetchone()[0] == schema.APPLICATION_ID
    tables = db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    version = db.execute("PRAGMA user_version").fetchone()[0]
    seeds = ledger_once.is_there(db)
    db.execute("COMMIT")
    if not ours and tables and not seeds:
        raise NotALedger(f"{path} is a database, but not a ledger; give another --db")
    if version > len(schema.MIGRATIONS):
        raise NotALedger(f"{path} was written by a newer Ledger (schema {version}); upgrade ledger-sidecar")


def _migrate(db: sqlite3.Connection) -> None:
    current = db.execute("PRAGMA user_version").fetchone()[0] == len(schema.MIGRATIONS)
    if current and not ledger_once.rows_to_import(db):
        return
    try:
        # Another process may be migrating: read the version again under the write lock.
        db.execute("BEGIN IMMEDIATE")
        version = db.execute("PRAGMA user_version").fetchone()[0]
        for number, script in enumerate(schema.MIGRATIONS[version:], start=version + 1):
            for statement in filter(str.strip, script.split(";")):
                db.execute(statement)
            db.execute(f"PRAGMA user_version = {number}")
        db.execute(f"PRAGMA application_id = {schema.APPLICATION_ID}")
        ledger_once.import_rows(db)
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
