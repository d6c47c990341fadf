"""What a person may do to records, for the command line and the dashboard alike. Asks and prints nothing.

The lifecycle decides what is allowed; the journal keeps who did it and why.
"""

from __future__ import annotations

import getpass
import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
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
            raise Problem(f"record {was.id[:SHORT]} is {was.status}, not unknown: there is nothing to resolve")
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


def removable(store: SqliteStore, query: Query, force: bool) -> tuple[list[Record], list[Record]]:
    """The records that `remove` would take, and those that only force would. Open ones are kept without it."""
    chosen = _among(store, query, (*CLOSED, *OPEN) if force else CLOSED)
    return chosen, [] if force else _among(store, query, OPEN)


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


def counted(records: Iterable[Record]) -> Counter[Status]:
    """How many there are of each status."""
    return Counter(record.status for record in records)


def told(counts: Mapping[Status, int]) -> str:
    """Counts in words, as in "3 success, 1 failed"; "" for none."""
    return ", ".join(f"{counts[status]} {status}" for status in (*CLOSED, *OPEN) if counts[status])


def _settle(store: SqliteStore, where: ledgers.Place, word: str, change: Callable[[Record], Change]) -> Record:
    asked = change(_idle(store, ledgers.find(store, word)))
    if not store.replace(asked):
        hint = where.hint(f"show {asked.record.id[:SHORT]}")
        raise Problem(f"record {asked.record.id[:SHORT]} changed meanwhile, nothing was written; see: {hint}")
    return asked.record


def _idle(store: SqliteStore, record: Record) -> Record:
    """The record if nobody works on it; one whose owner is gone is marked unknown first. Raises Problem."""
    from ledger import clock, lifecycle, owners

    if record.status is not Status.RUNNING:
        return record
    why = lifecycle.gone(record, owners.alive(record.owner), clock.now())
    if why is not None:
        store.replace(lifecycle.abandon(record, clock.now(), why))
        record = ledgers.find(store, record.id)
    if record.status is Status.RUNNING:
        raise Problem(f"record {record.id[:SHORT]} is running; wait for its outcome, then try again")
    return record


def _among(store: SqliteStore, query: Query, among: Sequence[Status]) -> list[Record]:
    wanted = [s for s in among if query.status in (None, s)]
    return [record for status in wanted for record in store.page(replace(query, status=status))]


def _media_type(body: bytes) -> bytes:
    try:
        json.loads(body)
    except ValueError:
        return b"text/plain" if body.isascii() else b"application/octet-stream"
    return b"application/json"
