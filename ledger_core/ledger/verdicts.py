"""A user's `verify` function, asked about an unknown, and what its answer says. Decides nothing about the record."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ledger import effects
from ledger.notices import tell
from ledger.records import Record
from ledger.steps import Verdict

CANNOT_TELL = Verdict(None)


def ask(verify: Callable[[], Any] | None, record: Record) -> Verdict:
    """Its verdict. One that raises, or answers something else, cannot tell; the person at the terminal hears why."""
    if verify is None:
        return CANNOT_TELL
    try:
        told = verify()
        if hasattr(type(told), "__await__"):
            getattr(told, "close", lambda: None)()
            raise TypeError("it is to be awaited, and the guarded function is a plain one")
        return _read(told)
    except Exception as error:
        return _complain(record, error)


async def aask(verify: Callable[[], Any] | None, record: Record) -> Verdict:
    """As `ask`, awaiting a verifier that is async."""
    if verify is None:
        return CANNOT_TELL
    try:
        told = verify()
        return _read(await told if hasattr(type(told), "__await__") else told)
    except Exception as error:
        return _complain(record, error)


def _read(told: object) -> Verdict:
    """True, False, None, or (True, the result that duplicates are answered with)."""
    if told is None or isinstance(told, bool):
        return Verdict(told, note=None if told is None else "verify: " + ("it happened" if told else "it did not"))
    if isinstance(told, tuple) and len(told) == 2 and told[0] is True:
        return Verdict(True, effects.success(told[1], keep=True).result, "verify: it happened")
    raise TypeError(f"it must return True, False, None or (True, result), not {type(told).__name__}")


def _complain(record: Record, error: Exception) -> Verdict:
    tell(f"⚠  verify of {record.tool} failed, so the call is held: {type(error).__name__}: {error}")
    return CANNOT_TELL
