"""A person's word on a record, given in Python: allow another run, settle an unknown, forget. The lifecycle decides
what is allowed.
"""

from __future__ import annotations

from collections.abc import Callable

from ledger import clock, lifecycle, owners
from ledger.errors import LedgerError, NotAnswered
from ledger.lifecycle import Change
from ledger.ports import Query, SyncStore
from ledger.records import Record, Result, Status


def release(store: SyncStore, id: str) -> None:
    """Let the next attempt run. Nothing to do for what never ran. Raises LedgerError while it is running."""
    if _look(store, id) is not None:
        _settle(store, id, lambda was: lifecycle.release(was, clock.now()))


def resolve(store: SyncStore, id: str, done: bool, result: Result | None, note: str | None) -> None:
    """Say whether an unknown happened. Raises LedgerError for what is not unknown."""

    def change(was: Record) -> Change:
        if was.status is not Status.UNKNOWN:
            raise NotAnswered(
                f"{was.tool} is {was.status}, not unknown: there is nothing to resolve ({was.id})", was.id
            )
        return lifecycle.resolve(was, done, clock.now(), note, result)

    _settle(store, id, change)


def forget(store: SyncStore, wf: str | None) -> None:
    """Remove every record, of one workflow if given; those of calls that are running stay."""
    for record in store.running():
        if wf is None or record.wf == wf:
            _abandon_if_gone(store, record)
    store.remove([record.id for record in store.page(Query(wf=wf))], clock.now(), _ENDED)


def _settle(store: SyncStore, id: str, change: Callable[[Record], Change]) -> None:
    for _ in range(_TRIES):
        was = _look(store, id)
        if was is None:
            raise NotAnswered(f"there is no record {id}", id)
        if was.status is Status.RUNNING:
            if not _abandon_if_gone(store, was):
                raise NotAnswered(f"{was.tool} is running; wait for its outcome, then try again ({id})", id)
        elif store.replace(change(was)):
            return
    raise LedgerError(f"record {id} keeps changing, nothing was written; try again")


_TRIES = 10
_ENDED = (Status.SUCCESS, Status.FAILED, Status.UNKNOWN)


def _abandon_if_gone(store: SyncStore, record: Record) -> bool:
    """Mark what a dead process left unknown; whether it is dead."""
    # The timeout that keeps such a record for its takeover binds attempts, not a person.
    why = lifecycle.gone(record.but(timeout=None), owners.alive(record.owner), clock.now())
    if why is not None:
        store.replace(lifecycle.abandon(record, clock.now(), why))
    return why is not None


def _look(store: SyncStore, id: str) -> Record | None:
    return store.look(Record(id=id, tool=""))
