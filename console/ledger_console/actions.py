"""What a person may do to records, for the command line and the dashboard alike. Asks and prints nothing.

The lifecycle decides what is allowed; the journal keeps who did it and why.
"""

from __future__ import annotations

import getpass
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ledger.records import Kind, Record, Result, Status
from ledger_console import ledgers
from ledger_console.problems import USAGE, Problem
from ledger_console.text import SHORT

if TYPE_CHECKING:
    from ledger.lifecycle import Change
    from ledger.ports import Query
    from ledger.stores.sqlite import SqliteStore
    from ledger_console.ledgers import Reader

AT_ONCE = 1000
"""Records that are read and removed together: however many there are, few are in memory."""
CLOSED = (Status.SUCCESS, Status.FAILED)
OPEN = (Status.RUNNING, Status.UNKNOWN)


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a person does it, and who that is."""

    note: str | None = None
    by: str | None = None

    def told(self) -> dict[str, str]:
        """What the journal's line says of it."""
        return {name: said for name, said in (("by", self.by), ("note", self.note)) if said}


def myself() -> str | None:
    """The name of whoever runs this command, None where the system has none."""
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return None


def resolve(
    store: SqliteStore, where: ledgers.Place, word: str, done: bool, reason: Reason, answer: Result | None = None
) -> Record:
    """Settle an unknown: its effect happened, or not. answer: what duplicates get, if it happened. Raises Problem."""
    from ledger import clock, lifecycle

    def change(was: Record) -> Change:
        if was.status is not Status.UNKNOWN:
            hint = where.hint(f"show {was.id[:SHORT]}")
            said = f"record {was.id[:SHORT]} is {was.status}, not unknown: there is nothing to resolve"
            raise Problem(f"{said}; see: {hint}")
        if answer is not None and was.kind is not Kind.HTTP:
            raise Problem(f"record {was.id[:SHORT]} is a function call; an answer is for HTTP operations", USAGE)
        # Without a body the result says so: what came back earlier was not the answer of a success.
        result = (answer or Result({}, None)) if done else None
        about = None if answer is None else {"response_status": answer.meta["status"]}
        return lifecycle.resolve(was, done, clock.now(), reason.note, result, by=reason.by, about=about)

    return _settle(store, where, word, change)


def retry(store: SqliteStore, where: ledgers.Place, word: str, reason: Reason) -> Record:
    """Let the next attempt run, whatever the outcome was. Raises Problem."""
    from ledger import clock, lifecycle

    return _settle(store, where, word, lambda was: lifecycle.release(was, clock.now(), reason.note, by=reason.by))


def answer_of(status: int, body: bytes) -> Result:
    """An answer that a person gives for duplicates, in the shape the proxy keeps answers in."""
    from ledger_proxy.answers import result_of

    return result_of(status, b"", [(b"Content-Type", _media_type(body))], body, limit=len(body))


def removable(store: Reader, query: Query, force: bool = False) -> tuple[Counter[Status], Counter[Status]]:
    """How many of each status `remove_all` would take, and how many only force would: open ones are kept without it."""
    among = [status for status in (*CLOSED, *OPEN) if query.status in (None, status)]
    counts = Counter({status: store.stats(replace(query, status=status))["actions"] for status in among})
    taken = Counter({status: n for status, n in counts.items() if n and (force or status in CLOSED)})
    return taken, counts - taken


def remove_all(
    store: SqliteStore,
    query: Query,
    reason: Reason,
    force: bool = False,
    advance: Callable[[int], None] = lambda gone: None,
) -> Counter[Status]:
    """Remove what fits, some at a time; how many went, by status. advance: told how many are gone so far."""
    among = (*CLOSED, *OPEN) if force else CLOSED
    gone: Counter[Status] = Counter()
    for status in among:
        if query.status in (None, status):
            for records in behind(pages(store, replace(query, status=status))):
                gone += remove(store, records, reason)
                advance(gone.total())
    return gone


def pages(store: Reader, query: Query) -> Iterator[list[Record]]:
    """Every record that fits, some at a time."""
    from ledger.ports import cursor

    while found := store.page(replace(query, limit=AT_ONCE)):
        yield found
        query = replace(query, before=cursor(found[-1], query.sort))


def behind[T](found: Iterable[T]) -> Iterator[T]:
    """Each one after the next was read: the next page is looked for from the last record of the one before."""
    waiting: list[T] = []
    for one in found:
        yield from waiting
        waiting = [one]
    yield from waiting


def remove(store: SqliteStore, records: Sequence[Record], reason: Reason) -> Counter[Status]:
    """Remove these; how many went, by status. A record whose status moved on since it was listed stays."""
    from ledger import clock, lifecycle

    gone: Counter[Status] = Counter()
    for status in (Status.SUCCESS, Status.FAILED, Status.UNKNOWN):
        ids = [record.id for record in records if record.status is status]
        gone[status] = store.remove(ids, clock.now(), {status}, reason.told())
    for record in records:
        if record.status is Status.RUNNING:
            found = store.get(record.id)
            if found is None or (found.status, found.epoch) != (record.status, record.epoch):
                continue
            if store.replace(lifecycle.abandon(found, clock.now(), "removed by force")):
                gone[Status.RUNNING] += store.remove([record.id], clock.now(), {Status.UNKNOWN}, reason.told())
    return gone


def told(counts: Mapping[Status, int]) -> str:
    """Counts in words, as in "3 success, 1 failed"; "" for none."""
    return ", ".join(f"{counts[status]} {status}" for status in (*CLOSED, *OPEN) if counts[status])


def _settle(store: SqliteStore, where: ledgers.Place, word: str, change: Callable[[Record], Change]) -> Record:
    asked = change(_idle(store, where, ledgers.find(store, word, where)))
    if not store.replace(asked):
        hint = where.hint(f"show {asked.record.id[:SHORT]}")
        raise Problem(f"record {asked.record.id[:SHORT]} changed meanwhile, nothing was written; see: {hint}")
    return asked.record


def _idle(store: SqliteStore, where: ledgers.Place, record: Record) -> Record:
    """The record if nobody works on it; one whose owner is gone is marked unknown first. Raises Problem."""
    from ledger import clock, lifecycle, owners

    if record.status is not Status.RUNNING:
        return record
    why = lifecycle.gone(record, owners.alive(record.owner), clock.now())
    if why is not None:
        store.replace(lifecycle.abandon(record, clock.now(), why))
        record = ledgers.find(store, record.id, where)
    if record.status is Status.RUNNING:
        raise Problem(f"record {record.id[:SHORT]} is running; wait for its outcome, then try again")
    return record


def _media_type(body: bytes) -> bytes:
    try:
        json.loads(body)
    except ValueError:
        return b"text/plain" if body.isascii() else b"application/octet-stream"
    return b"application/json"
