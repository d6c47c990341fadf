"""The errors Ledger raises, named by whose fault they are. Nothing else lives here."""

from __future__ import annotations


class LedgerError(Exception):
    """Base of everything Ledger raises on purpose."""


class StoreUnavailable(LedgerError):
    """The ledger could not be read or made durable; nothing may be sent."""


class StoreBusy(StoreUnavailable):
    """Another process held the ledger's lock for longer than the busy timeout."""


class ResultSealed(StoreUnavailable):
    """What a record answers is encrypted and cannot be opened here: no key, another key, or not what was written."""


class ReadTooLong(StoreUnavailable):
    """A screen asked for more than can be read in the time that a read may take; ask for less."""


class NotALedger(LedgerError):
    """The file or URL given as a ledger is something else, or from a newer Ledger."""


class KeyMismatch(LedgerError):
    """The ledger was made under another `LEDGER_KEY`; two keys would deduplicate nothing."""


class IllegalTransition(LedgerError):
    """A lifecycle transition that the table does not have was asked for: a bug, never an input."""


class NotAnswered(LedgerError):
    """Base of what a duplicate meets when the record has no answer for it. record: the record's id."""

    def __init__(self, message: str, record: str = "") -> None:
        super().__init__(message)
        self.record = record


class OutcomeUnknown(NotAnswered):
    """An earlier execution may have happened; running again could do it twice."""


class InFlight(NotAnswered):
    """The same operation was still running when the wait was over."""


class ResultUnavailable(NotAnswered):
    """The operation succeeded, but its result was not kept, so it cannot be replayed."""


class Conflict(NotAnswered):
    """The same key came with another payload."""


class UnstableArgument(LedgerError, TypeError):
    """An argument has no stable form to fingerprint; pass `key=`."""
