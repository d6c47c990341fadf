"""A call's reply as `guard` gives it to its caller: a value or an exception."""

from __future__ import annotations

import contextlib
from typing import Any, assert_never

from ledger import codec
from ledger.errors import Conflict, InFlight, OutcomeUnknown, ResultUnavailable
from ledger.policy import Policy
from ledger.records import Record, Status
from ledger.steps import Answer, Outcome, Reply


def value_of(reply: Reply, policy: Policy, blocked: object = None, itself: bool = False) -> Any:
    """The result, live or replayed; `blocked` when blocked. itself: the call came from inside this very execution.

    Raises what the function raised; OutcomeUnknown, InFlight, ResultUnavailable, Conflict.
    """
    record = reply.record
    match reply.answer:
        case Answer.EXECUTED | Answer.FAILED | Answer.UNKNOWN:
            return live(reply.outcome, record)
        case Answer.REPLAYED:
            return _replayed(record)
        case Answer.BLOCKED | Answer.GONE:
            return blocked
        case Answer.IN_FLIGHT:
            if not policy.replay:
                return blocked
            raise InFlight(f"{record.tool} {_why_in_flight(itself)} ({_named(record)})", record.id)
        case Answer.HELD:
            raise OutcomeUnknown(_held(record), record.id)
        case Answer.CONFLICT:
            why = f"{record.tool} was called under the same key with other arguments ({_named(record)})"
            raise Conflict(why, record.id)
        case _:
            assert_never(reply.answer)


def live(outcome: Outcome | None, record: Record) -> Any:
    """What our own execution came to."""
    if outcome is None:
        raise TypeError("an execution has an outcome")
    if outcome.status is Status.SUCCESS:
        return outcome.value
    error = outcome.value
    if not isinstance(error, BaseException):
        raise TypeError("an execution that did not succeed has its exception")
    if outcome.status is Status.UNKNOWN:
        with contextlib.suppress(Exception):  # a class may forbid it, and the tool's own error goes first
            error.add_note(f"[ledger] {_held(record)}")
    raise error


def _replayed(record: Record) -> Any:
    if record.result is None:
        why = "its result was not kept, so nothing can be replayed; it is not run again"
        raise ResultUnavailable(f"{record.tool} ran, but {why} ({_named(record)})", record.id)
    try:
        return codec.decode(record.result)
    except codec.CannotLoad as error:
        why = f"its result cannot be read: {error}"
        raise ResultUnavailable(f"{record.tool} ran, but {why} ({_named(record)})", record.id) from None


def _why_in_flight(itself: bool) -> str:
    if itself:
        return "calls itself through guard with the same arguments, and cannot wait for its own end"
    return "is still running, or its process died; try again later"


def _held(record: Record) -> str:
    why = f" ({record.error})" if record.error else ""
    return (
        f"{record.tool} may have happened{why}; do not try another way. Find out, then settle it: "
        f"ledger resolve {record.id} --done, or --not-done to let it run again"
    )


def _named(record: Record) -> str:
    return f"record {record.id}"
