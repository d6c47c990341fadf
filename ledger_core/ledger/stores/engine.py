"""One SQLite ledger file: opening it, and committing a batch of writes in one transaction. No threads, no waiting."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import assert_never

from ledger.errors import LedgerError, NotALedger, StoreBusy, StoreUnavailable
from ledger.lifecycle import ANSWERED, Change, Guard
from ledger.ports import NO_REASON, Held
from ledger.records import Event, EventType, Instant, Record, Status
from ledger.stores import filing, schema
from ledger.stores.rows import COUNTERS, counter_row, event_row, fixed_row, record_from, result_row, state_row

BUSY_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Insert:
    """A first claim."""

    change: Change


@dataclass(frozen=True, slots=True)
class Replace:
    """A guarded change."""

    change: Change


@dataclass(frozen=True, slots=True)
class Append:
    """Answered attempts to journal and count."""

    events: Sequence[Event]


@dataclass(frozen=True, slots=True)
class Renew:
    """Heartbeats."""

    claims: Collection[Held]
    now: Instant


@dataclass(frozen=True, slots=True)
class Put:
    """A whole record, as the six-method API writes it."""

    record: Record


@dataclass(frozen=True, slots=True)
class Remove:
    """Records to delete if their status is among these. why: for the journal."""

    ids: Sequence[str]
    now: Instant
    among: Collection[Status]
    why: Mapping[str, str] = NO_REASON


@dataclass(frozen=True, slots=True)
class File:
    """One batch of rows to enter the screens' indexes and sums."""


type Op = Insert | Replace | Append | Renew | Put | Remove | File


@contextlib.contextmanager
def translated(path: str) -> Iterator[None]:
    """SQLite's errors as ours, in one line that names the file."""
    try:
        yield
    except sqlite3.Error as error:
        text = str(error)
        if "locked" in text or "busy" in text:
            raise StoreBusy(f"the ledger {path} is locked by another process: {text}") from error
        if "not a database" in text or "malformed" in text:
            advice = "give another --db, or restore a copy"
            raise NotALedger(f"{path} is not a readable ledger ({text}); {advice}") from error
        raise StoreUnavailable(f"the ledger {path} cannot be used: {text}") from error
    except OSError as error:
        raise StoreUnavailable(f"the ledger {path} cannot be used: {error.strerror or error}") from error


class Connection(sqlite3.Connection):
    """A connection that knows which file it opened."""

    file: tuple[int, int] = (0, 0)


def open_ledger(path: str, durability: str = "full") -> Connection:
    """Open or create the ledger at `path`, migrated to this version, its files private (0600).

    durability: "full" syncs every commit before it counts; "normal" may lose the last commits to a power cut.
    Raises NotALedger, StoreUnavailable.
    """
    with translated(path):
        _create_private(path)
        db = sqlite3.connect(
            path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False, factory=Connection
        )
        try:
            db.file = _identity(path)
            refuse_strangers(db, path)
            _prepare(db, durability)
            _migrate(db, path)
        except BaseException:
            db.close()
            raise
        return db


def open_reader(path: str) -> sqlite3.Connection:
    """A connection that only reads. The ledger must exist."""
    with translated(path):
        db = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
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


def impatient(db: sqlite3.Connection) -> None:
    """From now on, StoreBusy at once while somebody else writes."""
    db.execute("PRAGMA busy_timeout = 0")


def _identity(path: str) -> tuple[int, int]:
    found = os.stat(path)
    return found.st_dev, found.st_ino


def _still_there(db: sqlite3.Connection, path: str) -> None:
    """A claim in a file that was deleted or replaced binds nobody: the next process would claim again."""
    if isinstance(db, Connection) and db.file != _identity(path):
        raise StoreUnavailable(f"the ledger {path} was replaced while it was open; restart Ledger")


def _create_private(path: str) -> None:
    if not Path(path).exists():
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))


def _prepare(db: sqlite3.Connection, durability: str) -> None:
    _write_ahead(db)
    db.execute(f"PRAGMA synchronous = {'NORMAL' if durability == 'normal' else 'FULL'}")
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
    db.execute("COMMIT")
    if not ours and tables:
        raise NotALedger(f"{path} is a database, but not a ledger; give another --db")
    if version > len(schema.MIGRATIONS):
        raise NotALedger(f"{path} was written by a newer Ledger (schema {version}); upgrade ledger-sidecar")


def _migrate(db: sqlite3.Connection, path: str) -> None:
    if db.execute("PRAGMA user_version").fetchone()[0] == len(schema.MIGRATIONS):
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
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def commit(db: sqlite3.Connection, path: str, ops: Sequence[Op]) -> list[int | LedgerError]:
    """Write all of `ops` in one durable transaction; each gets how much it changed (a bool or a number), or its error.

    If the batch fails, each is tried alone, so that one that cannot be written fails no other.
    """
    try:
        return list(_transaction(db, path, ops))
    except LedgerError as error:
        if len(ops) == 1 or isinstance(error, StoreBusy):
            return [error] * len(ops)
        return [result for op in ops for result in commit(db, path, [op])]


def _transaction(db: sqlite3.Connection, path: str, ops: Sequence[Op]) -> list[int]:
    done = begin(db, path, ops)
    end(db, path)
    return done


def begin(db: sqlite3.Connection, path: str, ops: Sequence[Op]) -> list[int]:
    """Apply all of `ops` in a transaction that stays open for `end`; nothing is durable yet.

    Raises StoreBusy when the connection's busy timeout is over, StoreUnavailable; then no transaction is open.
    """
    with translated(path):
        _still_there(db, path)
        try:
            db.execute("BEGIN IMMEDIATE")
            return [_apply(db, op) for op in ops]
        except BaseException as error:
            _roll_back(db)
            if isinstance(error, UnicodeError | OverflowError | TypeError | ValueError | RecursionError):
                raise StoreUnavailable(f"a record cannot be written to {path}: {error}") from error
            raise


def end(db: sqlite3.Connection, path: str) -> None:
    """Make durable what `begin` applied; this is where a disk is waited for."""
    with translated(path):
        try:
            db.execute("COMMIT")
        except BaseException:
            _roll_back(db)
            raise


def _roll_back(db: sqlite3.Connection) -> None:
    if db.in_transaction:
        db.execute("ROLLBACK")


def _apply(db: sqlite3.Connection, op: Op) -> int:
    match op:
        case Insert(change):
            return _insert(db, change)
        case Replace(change):
            return _replace(db, change)
        case Append(events):
            return _append(db, events)
        case Renew(claims, now):
            stamp = (now.wall, now.mono, now.boot)
            db.executemany(schema.RENEW, [(*stamp, c.record, c.owner, c.epoch) for c in claims])
            return True
        case Put(record):
            return _put(db, record)
        case Remove():
            return _remove(db, op)
        case File():
            return filing.file_some(db)
        case _:
            assert_never(op)


def _insert(db: sqlite3.Connection, change: Change) -> bool:
    r = change.record
    if _open_twin(db, r):
        return False
    counts = tuple(change.counts.get(c, 0) for c in COUNTERS)
    if not db.execute(schema.INSERT, (*fixed_row(r), *state_row(r), *counts)).rowcount:
        return False
    db.execute(schema.PUT_EVENT, event_row(change.event, 1, change.counts))
    return True


def _replace(db: sqlite3.Connection, change: Change) -> bool:
    r, was = change.record, change.was
    if was is None:
        raise ValueError("a replacement needs the row it replaces")
    if change.opens and _open_twin(db, r):
        return False
    counts = tuple(change.counts.get(c, 0) for c in COUNTERS)
    seen = (was.id, was.owner, was.epoch, was.status.value)
    guard = (change.guard is Guard.OWNER, was.touched.wall, was.released)
    if not db.execute(schema.REPLACE, (*state_row(r), *counts, *seen, *guard)).rowcount:
        return False
    _put_result(db, r)
    db.execute(schema.PUT_EVENT, event_row(change.event, 0, change.counts))
    return True


def _open_twin(db: sqlite3.Connection, r: Record) -> bool:
    """Whether an open record has the same content. A guarded call has none to compare."""
    if r.content_id is None and r.payload_id is None:
        return False
    return bool(db.execute(schema.OPEN_TWIN, (r.content_id, r.payload_id)).fetchone()[0])


def _put(db: sqlite3.Connection, record: Record) -> bool:
    row = db.execute(schema.GET, (record.id,)).fetchone()
    before = counter_row(record_from(row)) if row else (0,) * len(COUNTERS)
    added = {name: now - was for name, now, was in zip(COUNTERS, counter_row(record), before, strict=True)}
    db.execute(schema.PUT, (*fixed_row(record), *state_row(record), *counter_row(record)))
    db.execute(schema.DELETE_RESULT, (record.id,))
    _put_result(db, record)
    event = Event(EventType.WRITTEN, record.id, record.tool, record.wf, record.touched.wall, record.caller)
    db.execute(schema.PUT_EVENT, event_row(event, 0 if row else 1, added))
    return True


def _put_result(db: sqlite3.Connection, record: Record) -> None:
    row = result_row(record)
    if row is not None:
        db.execute(schema.PUT_RESULT, row)


def _append(db: sqlite3.Connection, events: Sequence[Event]) -> bool:
    rows = []
    for event in events:
        counts = ANSWERED.get(event.event, {})
        if counts:
            counted = db.execute(schema.COUNT, (*(counts.get(c, 0) for c in COUNTERS), event.record)).rowcount
            # What was removed meanwhile counts nowhere, so that the sums stay those of the records.
            counts = counts if counted else {}
        rows.append(event_row(event, 0, counts))
    db.executemany(schema.PUT_EVENT, rows)
    return True


def _remove(db: sqlite3.Connection, op: Remove) -> int:
    removed = 0
    for id in op.ids:
        row = db.execute(schema.GET, (id,)).fetchone()
        record = record_from(row) if row else None
        if record is None or record.status not in op.among:
            continue
        db.execute(schema.DELETE_RESULT, (id,))
        db.execute(schema.DELETE, (id,))
        event = Event(EventType.CLEARED, id, record.tool, record.wf, op.now.wall, record.caller, op.why)
        taken = {name: -count for name, count in zip(COUNTERS, counter_row(record), strict=True)}
        db.execute(schema.PUT_EVENT, event_row(event, -1, taken))
        removed += 1
    if removed:
        filing.taken_back(db)
    return removed
