"""What hears of a guarded call: the line at the terminal and the user's callbacks. Never an exception to the caller."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ledger import lifecycle, notices, reporting, settings
from ledger.records import Record as Row
from ledger.steps import Answer, Reply

if TYPE_CHECKING:
    from ledger.compat import Record

type Callback = Callable[[Record], Any]

_ENDS = {
    Answer.EXECUTED: ("success", "runs"),
    Answer.FAILED: ("failure", "failed"),
    Answer.UNKNOWN: ("unknown", "unknown"),
}


class Observers:
    """Of one guard. quiet: print nothing."""

    def __init__(self) -> None:
        self.quiet = False
        self.callbacks: dict[str, Callback] = {}
        """By what they wait for: success, failure, unknown, block. One each, the last that was given."""

    def hear(self, reply: Reply) -> None:
        """Tell everybody."""
        if not self.quiet and not settings.quiet():
            notices.show(reporting.line(reply))
        if not self.callbacks:
            return
        wanted, counted = _ENDS.get(reply.answer, ("block", ""))
        callback = self.callbacks.get(wanted)
        if callback is not None:
            _call(callback, reply, counted)


def _call(callback: Callback, reply: Reply, counted: str) -> None:
    from ledger.compat import Record

    try:
        told = callback(Record.of(_counted(reply, counted)))
        if hasattr(type(told), "__await__"):
            getattr(told, "close", lambda: None)()
            raise TypeError("it is to be awaited; give a plain function")
    except Exception as error:
        name = getattr(callback, "__qualname__", type(callback).__qualname__)
        notices.tell(f"⚠  the callback {name} failed: {type(error).__name__}: {error}")


def _counted(reply: Reply, counted: str) -> Row:
    """The record with this attempt counted, which the store adds by itself."""
    counts: Mapping[str, int] = {"attempts": 1, counted: 1}
    if not counted:
        counts = lifecycle.ANSWERED.get(reply.event.event, {}) if reply.event is not None else {}
    row = reply.record
    return row.but(**{name: getattr(row, name) + more for name, more in counts.items()})
