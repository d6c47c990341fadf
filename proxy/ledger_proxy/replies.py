"""From how an attempt ended to the response its agent gets. Pure; the wording is in `answers`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from ledger.policy import OnUnknown
from ledger.records import Record, Status
from ledger.steps import Answer, Follow, Outcome, Reply
from ledger_proxy import answers
from ledger_proxy.answers import Response, Streamed
from ledger_proxy.sending import Live

_TOLD = {Status.SUCCESS: Answer.EXECUTED, Status.FAILED: Answer.FAILED, Status.UNKNOWN: Answer.UNKNOWN}

_NO_ANSWER = {OnUnknown.RESEND: answers.RECOVERABLE, OnUnknown.VERIFY: answers.VERIFIABLE}
_HELD = {OnUnknown.VERIFY: answers.NOT_VERIFIED}
"""What the next attempt does about an unknown; where nothing is said, a person has to."""


def response(reply: Reply, on_unknown: OnUnknown, accept_encoding: str | None = None) -> Response:
    """What the agent is told. on_unknown: of the attempt's policy; accept_encoding: of its request."""
    record = reply.record
    match reply.answer:
        case Answer.EXECUTED | Answer.FAILED | Answer.UNKNOWN:
            return _live(reply, on_unknown)
        case Answer.REPLAYED | Answer.BLOCKED:
            return answers.replay(record, accept_encoding)
        case Answer.IN_FLIGHT | Answer.GONE:
            return answers.problem(answers.IN_FLIGHT, record)
        case Answer.HELD:
            return answers.problem(_HELD.get(on_unknown, answers.HELD), record, _told(reply) or _why(record))
        case Answer.CONFLICT:
            return answers.problem(answers.CONFLICT, record)


def opened(step: Follow) -> Streamed:
    """The head of an answer that streams; it promises what comes true if the body comes to its end."""
    live = cast("Live", step.opened.value)
    head, promised = live.head()
    return answers.streamed(head, step.record, _TOLD[promised].value)


def broken(sent: Sequence[tuple[Record, Outcome]], error: Exception) -> Response:
    """What is true when the ledger failed: nothing was sent, or the live outcome, recorded or not."""
    if not sent:
        return answers.problem(answers.UNAVAILABLE, detail=_cause(str(error)))
    record, outcome = sent[-1]
    return _live(Reply(_TOLD[outcome.status], record, outcome), OnUnknown.HOLD)


def _live(reply: Reply, on_unknown: OnUnknown) -> Response:
    """The upstream's own answer where one came; otherwise what is known instead of one."""
    value = reply.outcome.value if reply.outcome else None
    unsettled = reply.answer is Answer.UNKNOWN and reply.record.resent
    # A refusal of a recovery send says nothing of the effect, so the agent must not read it as "declined".
    if isinstance(value, Response) and not unsettled:
        return answers.live(value.status, value.reason, value.headers, value.body, reply.record, reply.answer.value)
    if reply.answer is Answer.EXECUTED:
        return answers.replay(reply.record)  # too long to be held back until its end was known, and not kept
    if reply.answer is Answer.FAILED:
        return answers.problem(answers.NOT_SENT, reply.record, _why(reply.record))
    return answers.problem(_NO_ANSWER.get(on_unknown, answers.UNKNOWN), reply.record, _why(reply.record))


def _told(reply: Reply) -> str | None:
    """What the provider's answer to a verification was."""
    why = reply.event.detail.get("why") if reply.event else None
    return f"Asked again: {why}." if why else None


def _why(record: Record) -> str | None:
    return _cause(record.error) if record.error else None


def _cause(why: str) -> str:
    """An error's words as a sentence among others."""
    return f"Cause: {why.removesuffix('.')}."
