"""What the log says of a ledger that fails while requests need it: at once, then once a minute while it goes on.

Never what a request said: of an error that is not one of ours, its kind alone.
"""

from __future__ import annotations

import logging

from ledger.errors import LedgerError
from ledger.records import Record

logger = logging.getLogger(__name__)

PAUSE_SECONDS = 60.0
"""Agents repeat what was refused; whoever reads the log needs to know that it goes on, not how often."""


class Failing:
    """Of one sidecar. A line for each kind of error, so one that goes on hides no other."""

    def __init__(self) -> None:
        self._told: dict[type[Exception], float] = {}
        self._since: dict[type[Exception], int] = {}

    def refused(self, error: Exception, now: float) -> None:
        """A ruled request was refused, and nothing was sent. now: seconds of a clock that never jumps."""
        kind = type(error)
        if now - self._told.get(kind, -PAUSE_SECONDS) < PAUSE_SECONDS:
            self._since[kind] = self._since.get(kind, 0) + 1
            return
        self._told[kind], more = now, self._since.pop(kind, 0)
        again = f" ({more} more since this was said)" if more else ""
        _say(f"a ruled request was refused, and nothing was sent{again}", error)

    def owed(self, record: Record) -> None:
        """An outcome that its agent knows is not in the ledger yet. Each is told: it may have to be looked for."""
        logger.error(
            "%s: the outcome of record %s is not recorded, for the ledger takes no write now; it is tried again, "
            "and unknown if this process ends before",
            record.rule,
            record.id[:12],
        )

    def broken(self, record: Record, error: Exception) -> None:
        """What is known of an outcome is lost."""
        _say(f"{record.rule}: the outcome of record {record.id[:12]} could not be recorded; it will be unknown", error)


def _say(what: str, error: Exception) -> None:
    if isinstance(error, LedgerError):
        logger.error("%s: %s", what, error)
    else:
        logger.error("%s", what, exc_info=error)
