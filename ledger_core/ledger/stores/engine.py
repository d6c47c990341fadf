"""Committing a batch of writes to a SQLite ledger in one transaction. Opens nothing; no threads."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Mapping, Sequence
from threading import get_ident
from typing import assert_never

from ledger.errors import LedgerError, StoreBusy, StoreUnavailable
from ledger.lifecycle import Change, Guard
from ledger.ports import CLOSED, NO_REASON, Held
from ledger.records import Event, EventType, Instant, Record, Status
from ledger.stores import adding, atonce, bulk, filing, purging, schema
from ledger.stores.files import ours, refuse_broken, refuse_unsound, stop_if_not_synced, translated
from ledger.stores.rows import (
    COLUMNS,
    COUNTERS,
    count_row,
    counter_row,
    event_row,
    fixed_row,
    owned_row,
    record_from,
    result_row,
    state_row,
)
from ledger.stores.sealed import cipher_of
from ledger.values import value


@value
class Insert:
    """A first claim."""

    change: Change


@value
class Replace:
    """A guarded change."""

    change: Change


@value
class Append:
    """Answered attempts to journal and count."""

    events: Sequence[Event]


@value
class Renew:
    """Heartbeats."""

    claims: Collection[Held]
    now: Instant


@value
class Put:
    """A whole record, as the six-method API writes it."""

    record: Record


@value
class Add:
    """Whole records from elsewhere; those whose id is there stay out. why: for the journal."""

    records: Sequence[Record]
    why: Mapping[str, str]


@value
class Remove:
    """Records to delete if their status is among these. why: for the journal."""

    ids: Sequence[str]
    now: Instant
    among: Collection[Status]
    why: Mapping[str, str] = NO_REASON


@value
class File:
    """One batch of rows to enter the screens' indexes and sums."""


@value
class Purge:
    """A look at the next rows, to forget those whose time is over."""

    now: Instant


@value
class Probe:
    """A durable write that means nothing: whether the ledger can be written now."""

    at: float


type Op = Insert | Replace | Append | Renew | Put | Add | Remove | File | Purge | Probe
PROBE_BYTES = 32 << 10
"""What a probe writes: no less than a claim and its outcome, or a disk with room for it would have none for those."""
HOUSEKEEPING = (Add, File, Purge)
"""Writes that take long enough to be kept off an event loop."""


class Write:
    """One write and what became of it. done: how much it changed (a bool or a number), or its error; None: nothing.

    thread: whose it is.
    """

    __slots__ = ("done", "op", "thread")

    def __init__(self, op: Op) -> None:
        self.op = op
        self.thread = get_ident()
        self.done: int | LedgerError | None = None

    def result(self) -> int:
        """What it changed; raises what it failed with."""
        if isinstance(self.done, LedgerError):
            raise self.done
        return self.done or 0


def commit(db: sqlite3.Connection, path: str, writes: Sequence[Write]) -> None:
    """Write all of `writes` in one durable transaction, and set `done` of each.

    If the batch fails, each is tried alone, so that one that cannot be written fails no other. If it is broken off,
    by Ctrl-C, what has no `done` was not written.
    """
    changes = [change for write in writes if (change := _fitting(write.op)) is not None]
    try:
        if len(changes) == len(writes) <= atonce.MOST:
            _at_once(db, path, writes, changes)
        else:
            _transaction(db, path, writes)
    except LedgerError as error:
        if len(writes) == 1 or isinstance(error, StoreBusy):
            for write in writes:
                write.done = error
            return
        for write in writes:
            commit(db, path, [write])


def _fitting(op: Op) -> Change | None:
    """The change, if it is one of those that `atonce` writes."""
    if type(op) is Insert:
        return None if _has_content(op.change.record) else op.change
    return op.change if type(op) is Replace and op.change.guard is Guard.OWNER else None


def _at_once(db: sqlite3.Connection, path: str, writes: Sequence[Write], changes: Sequence[Change]) -> None:
    """As `_transaction`, in one statement."""
    before: int | None = None
    try:
        before = db.total_changes
        if changes[0].was is None or any([change.was is None for change in changes[1:]]):  # noqa: C419 - half the time
            refuse_unsound(db, path)
        else:
            # Not whether the file was replaced: its owner's end belongs where its claim is, and nowhere else.
            refuse_broken(db, path)
        if len(changes) == 1:
            writes[0].done = atonce.write_one(db, changes[0])
        else:
            _tell(writes, atonce.write(db, changes, before))
    except sqlite3.Error as error:
        stop_if_not_synced(db, error)
        raise ours(error, path) from error
    except OSError as error:
        raise ours(error, path) from error
    except _UNWRITABLE as error:
        raise _cannot_be_written(path, error) from error
    except LedgerError:
        raise
    except BaseException:
        # Broken off before the statement, or after it: those who wait must learn which.
        if before is not None and db.total_changes != before:
            one = len(writes) == 1
            _tell(writes, [atonce.held_one(db, before)] if one else atonce.held(db, len(changes), before))
        raise


def _transaction(db: sqlite3.Connection, path: str, writes: Sequence[Write]) -> None:
    applied: list[int] | None = None
    try:
        applied = begin(db, path, [write.op for write in writes])
        with translated(path):
            try:
                db.execute("COMMIT")
            except sqlite3.Error as error:
                applied = None  # before anything else: Ctrl-C may come at any call
                _not_committed(db, error)
                raise
        _tell(writes, applied)
    except LedgerError:
        raise
    except BaseException:
        # Broken off before the commit, or after it: those who wait must learn which.
        if db.in_transaction:
            db.execute("ROLLBACK")
        elif applied is not None:
            _tell(writes, applied)
        raise


def _tell(writes: Sequence[Write], results: Sequence[int]) -> None:
    for write, result in zip(writes, results, strict=True):
        write.done = result


def begin(db: sqlite3.Connection, path: str, ops: Sequence[Op]) -> list[int]:
    """Apply all of `ops` in a transaction that stays open for `end`; nothing is durable yet.

    Raises StoreBusy when the connection's busy timeout is over, StoreUnavailable; then no transaction is open.
    """
    with translated(path):
        refuse_unsound(db, path)
        try:
            db.execute("BEGIN IMMEDIATE")
            return [_apply(db, ops[0])] if len(ops) == 1 else _apply_all(db, ops)
        except BaseException as error:
            _roll_back(db)
            if isinstance(error, _UNWRITABLE):
                raise _cannot_be_written(path, error) from error
            raise


def end(db: sqlite3.Connection, path: str) -> None:
    """Make durable what `begin` applied; this is where a disk is waited for."""
    with translated(path):
        try:
            db.execute("COMMIT")
        except BaseException as error:
            _not_committed(db, error)
            raise


_UNWRITABLE = (UnicodeError, OverflowError, TypeError, ValueError, RecursionError)
"""What a record raises that has no form in a row."""


def _cannot_be_written(path: str, error: BaseException) -> StoreUnavailable:
    return StoreUnavailable(f"a record cannot be written to {path}: {error}")


def _not_committed(db: sqlite3.Connection, error: BaseException) -> None:
    if isinstance(error, sqlite3.Error):
        stop_if_not_synced(db, error)
    _roll_back(db)


def _roll_back(db: sqlite3.Connection) -> None:
    if db.in_transaction:
        db.execute("ROLLBACK")


def _apply_all(db: sqlite3.Connection, ops: Sequence[Op]) -> list[int]:
    """In bulk what can be. Nobody who waits was told an order, so any is right."""
    fitting = [(at, change) for at, op in enumerate(ops) if (change := _fitting(op)) is not None]
    done: dict[int, int] = {}
    for start in range(0, len(fitting), atonce.MOST):
        places, changes = zip(*fitting[start : start + atonce.MOST], strict=True)
        done |= zip(places, atonce.write(db, changes, db.total_changes), strict=True)
    return [done[at] if at in done else _apply(db, op) for at, op in enumerate(ops)]


def _apply(db: sqlite3.Connection, op: Op) -> int:
    match op:
        case Insert(change):
            return _insert(db, change)
        case Replace(change):
            return _replace(db, change)
        case Append(events):
            bulk.answered(db, events)
            return True
        case Renew(claims, now):
            stamp = (now.wall, now.mono, now.boot)
            db.executemany(schema.RENEW, [(*stamp, c.record, c.owner, c.epoch) for c in claims])
            return True
        case Put(record):
            return _put(db, record)
        case Add(records, why):
            return sum(adding.add(db, record, why) for record in records)
        case Remove():
            return _remove(db, op)
        case File():
            return filing.file_some(db)
        case Purge(now):
            return _purge(db, now)
        case Probe(at):
            return db.execute(schema.PROBE, ((f"{at!r} " * (PROBE_BYTES // 8))[:PROBE_BYTES],)).rowcount
        case _:
            assert_never(op)


def _insert(db: sqlite3.Connection, change: Change) -> bool:
    r = change.record
    if _open_twin(db, r):
        return False
    if not db.execute(schema.INSERT, (*fixed_row(r), *state_row(r), *count_row(change.counts))).rowcount:
        return False
    db.execute(schema.PUT_EVENT, event_row(change.event, 1, change.counts))
    return True


def _replace(db: sqlite3.Connection, change: Change) -> bool:
    r, was = change.record, change.was
    if was is None:
        raise ValueError("a replacement needs the row it replaces")
    if change.opens and _open_twin(db, r):
        return False
    seen = (*count_row(change.counts), was.id, was.owner, was.epoch, was.status._value_)
    if change.guard is Guard.OWNER:
        done = db.execute(schema.FINISH, (*owned_row(r, was), *seen)).rowcount
    else:
        done = db.execute(schema.REPLACE, (*state_row(r, was), *seen, was.touched.wall, was.released)).rowcount
    if not done:
        return False
    _put_result(db, r)
    db.execute(schema.PUT_EVENT, event_row(change.event, 0, change.counts))
    return True


def _open_twin(db: sqlite3.Connection, r: Record) -> bool:
    """Whether an open record has the same content. A guarded call has none to compare."""
    return _has_content(r) and bool(db.execute(schema.OPEN_TWIN, (r.content_id, r.payload_id)).fetchone()[0])


def _has_content(r: Record) -> bool:
    return r.content_id is not None or r.payload_id is not None


def _put(db: sqlite3.Connection, record: Record) -> bool:
    row = db.execute(schema.GET, (record.id,)).fetchone()
    before = counter_row(record_from(row[: len(COLUMNS)])) if row else (0,) * len(COUNTERS)
    added = {name: now - was for name, now, was in zip(COUNTERS, counter_row(record), before, strict=True)}
    db.execute(schema.PUT, (*fixed_row(record), *state_row(record), *counter_row(record)))
    db.execute(schema.DELETE_RESULT, (record.id,))
    _put_result(db, record)
    event = Event(EventType.WRITTEN, record.id, record.tool, record.wf, record.touched.wall, record.caller)
    db.execute(schema.PUT_EVENT, event_row(event, 0 if row else 1, added))
    return True


def _put_result(db: sqlite3.Connection, record: Record) -> None:
    row = result_row(record, cipher_of(db))
    if row is not None:
        db.execute(schema.PUT_RESULT, row)


def _remove(db: sqlite3.Connection, op: Remove) -> int:
    removed = 0
    for id in op.ids:
        row = db.execute(schema.GET, (id,)).fetchone()
        record = record_from(row[: len(COLUMNS)]) if row else None
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


def _purge(db: sqlite3.Connection, now: Instant) -> int:
    forgotten = _remove(db, Remove(purging.due(db, now), now, CLOSED, {"why": "its time was over"}))
    purging.forget_lines(db, now)
    return forgotten
