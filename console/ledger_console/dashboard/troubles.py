"""What keeps the dashboard from showing a ledger, and what its pages say of it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from ledger.errors import LedgerError, NotALedger, ReadTooLong, StoreBusy, StoreUnavailable


class State(StrEnum):
    """What keeps the dashboard from showing a ledger."""

    MISSING = "missing"
    FOREIGN = "foreign"
    BUSY = "busy"
    SLOW = "slow"
    BROKEN = "broken"


class Missing(StoreUnavailable):
    """There is no ledger at the path, or nothing in the file yet."""


def state_of(error: LedgerError) -> State:
    """The kind of page that tells of an error."""
    kinds = ((Missing, State.MISSING), (ReadTooLong, State.SLOW), (StoreBusy, State.BUSY), (NotALedger, State.FOREIGN))
    return next((state for kind, state in kinds if isinstance(error, kind)), State.BROKEN)


@dataclass(frozen=True, slots=True)
class Trouble:
    """A page instead of the ledger. waits: it may come back by itself, so the page looks again."""

    title: str
    todo: str
    waits: bool


def not_done(state: State, path: str) -> str:
    """What became of something that a person did while the ledger could not be used."""
    if path == "/clear":
        return "Some may have been removed. Go back and look."
    if state in (State.MISSING, State.BUSY):
        return "Nothing was changed. Go back and try again."
    return "It may not have been done. Go back and look."


TROUBLES: Mapping[State, Trouble] = {
    State.MISSING: Trouble("No ledger here yet", "It appears with the first operation. Is the path right?", True),
    State.FOREIGN: Trouble("This cannot be read as a ledger", "", True),
    State.BUSY: Trouble("The ledger is locked", "Another process holds it. Nothing is lost.", True),
    State.SLOW: Trouble("That takes too long", "Narrow it: a workflow, a tool or a time makes it quick.", False),
    State.BROKEN: Trouble("The ledger cannot be read", "", True),
}
