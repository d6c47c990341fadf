"""The effect of one claimed operation: sent upstream once, and judged. Claims and records nothing, answers nobody."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, cast

from ledger import clock, lifecycle
from ledger.records import Record, Result, Status
from ledger.steps import Opened, Outcome
from ledger_proxy import answers
from ledger_proxy.answers import Header, Response
from ledger_proxy.headers import end_to_end, to_text
from ledger_proxy.recording import Recording
from ledger_proxy.spool import Spool
from ledger_proxy.upstream import Answer, MaybeSent, NotSent, Streamed, Upstream
from ledger_proxy.verifying import ended
from ledger_rules.operation import LEDGER_HEADERS, Operation
from ledger_rules.outcome import classify, settles
from ledger_rules.redaction import DESCRIBES_BODY, redacted
from ledger_rules.request import Request
from ledger_rules.rule import Rule

READABLE = 8 << 20
"""Bytes of an answer that streams which the conditions of a rule are held against, kept or not."""
STOPPED = "the sidecar was stopped before an answer came"


class Sender:
    """Sends claimed requests. max_stored: bytes of a response body that are kept as the answer of duplicates.

    confirm: whether a claim still holds; asked where so much time has gone by that others may think it does not.
    """

    def __init__(self, upstream: Upstream, max_stored: int, confirm: Callable[[Record], Awaitable[bool]]) -> None:
        self._upstream, self._max_stored, self._confirm = upstream, max_stored, confirm
        self._sending: set[asyncio.Task[Any]] = set()
        self.stopping = False
        """Nothing is sent any more."""
        self._given_up = False

    def give_up(self) -> None:
        """Break off what is being sent; each is an unknown outcome."""
        self._given_up = True
        for task in list(self._sending):
            task.cancel()

    async def send(
        self, rule: Rule, request: Request, operation: Operation, record: Record, body: Spool | None = None
    ) -> Outcome | Opened:
        """Send once; say what came of it, or that an answer begins to stream. Only proof of nothing is `failed`."""
        came = await self._send(rule, request, operation, record, body)
        return _over(rule, record, came) if isinstance(came, Outcome) else came

    async def _send(
        self, rule: Rule, request: Request, operation: Operation, record: Record, body: Spool | None
    ) -> Outcome | Opened:
        if self.stopping:
            return _not_sent(record, None, "the sidecar is stopping, nothing was sent")
        headers = _headers(request, operation, record)
        keyed = _keyed(request, operation, record)

        async def still() -> bool:
            return lifecycle.fresh(record, clock.now()) or await self._confirm(record)

        sending = self._upstream.send(keyed, headers=headers, resendable=operation.takes_key, body=body, still=still)
        answer = await self._outlived(record, sending)
        if isinstance(answer, Answer):
            return self._judged(rule, record, answer, answer.body)
        if isinstance(answer, Outcome):
            return answer
        taken = max(self._max_stored, READABLE) if rule.outcomes else self._max_stored
        live = Live(rule, record, answer, Recording(answer.body, taken))
        if not record.resent:
            return Opened(live, {"response_status": answer.status})
        # What is not proved to settle a recovery is not passed on, and that is known at its end.
        live.recording.leave()
        return await self.follow(live)

    async def follow(self, live: Live) -> Outcome:
        """Take the rest of an answer that streams; a body that breaks off leaves the outcome unknown."""
        if self._given_up:  # while its head was made durable
            live.recording.break_off()
            kept: bytes | Outcome | None = Outcome(Status.UNKNOWN, None, error=STOPPED)
        else:
            kept = await self._outlived(live.record, live.recording.record())
        if isinstance(kept, Outcome):
            return _over(live.rule, live.record, replace(kept, about={"response_status": live.answer.status}))
        return _over(live.rule, live.record, self._judged(live.rule, live.record, live.answer, kept))

    async def _outlived[T](self, record: Record, effect: Awaitable[T]) -> T | Outcome:
        """What comes of it; or what is known when it broke off."""
        try:
            with listed(self._sending):
                return await effect
        except NotSent as error:
            return _not_sent(record, error, str(error))
        except MaybeSent as error:
            return Outcome(Status.UNKNOWN, error, error=str(error))
        except asyncio.CancelledError:
            # Given up, but not before its outcome is recorded.
            cast("asyncio.Task[Any]", asyncio.current_task()).uncancel()
            return Outcome(Status.UNKNOWN, None, error=STOPPED)
        except Exception as error:
            return Outcome(Status.UNKNOWN, None, error=f"the exchange failed: {error!r}")

    def _judged(self, rule: Rule, record: Record, answer: Answer | Streamed, body: bytes | None) -> Outcome:
        try:
            return self._judge(rule, record, answer, body)
        except Exception as error:
            return Outcome(Status.UNKNOWN, None, error=f"the answer could not be read: {error!r}")

    def _judge(self, rule: Rule, record: Record, answer: Answer | Streamed, body: bytes | None) -> Outcome:
        """body: None where it was too long to be kept."""
        headers, status = _seen(rule, answer, body or b"")
        if record.resent and not settles(rule, answer.status, _text(headers), body or b""):
            # Most refusals come before the provider's idempotency layer: they prove nothing of the first send.
            status = Status.UNKNOWN
        reason = reason_of(answer)
        return Outcome(
            status,
            Response(answer.status, reason, headers, body) if body is not None else None,
            self._kept(rule, answer, reason, headers, body) if status is Status.SUCCESS else None,
            None if status is Status.SUCCESS else f"the upstream answered {answer.status}",
            {"response_status": answer.status},
        )

    def _kept(
        self, rule: Rule, answer: Answer | Streamed, reason: bytes, headers: tuple[Header, ...], body: bytes | None
    ) -> Result:
        """What is stored of an answer: with the values masked that the rules file redacts."""
        named = {to_text(n).lower(): to_text(v) for n, v in headers} if rule.redact else {}
        kept = body and redacted(rule.redact, named.get("content-type"), named.get("content-encoding"), body)
        if kept is not body:
            headers = tuple((n, v) for n, v in headers if to_text(n).lower() not in DESCRIBES_BODY)
        return answers.result_of(answer.status, reason, headers, kept, self._max_stored)


@dataclass(frozen=True, slots=True)
class Live:
    """An answer that streams, as `Opened` carries it."""

    rule: Rule
    record: Record
    answer: Streamed
    recording: Recording

    def head(self) -> tuple[answers.Streamed, Status]:
        """What the agent gets of it now, and the outcome that its head promises."""
        headers, status = _seen(self.rule, self.answer, b"")
        return answers.Streamed(self.answer.status, reason_of(self.answer), headers, self.recording), status


def reason_of(answer: Answer | Streamed) -> bytes:
    """The reason phrase as it was sent."""
    return answer.reason.encode("utf-8", "surrogateescape")


def _seen(rule: Rule, answer: Answer | Streamed, body: bytes) -> tuple[tuple[tuple[bytes, bytes], ...], Status]:
    headers = tuple(end_to_end(answer.headers))
    return headers, Status(classify(rule, answer.status, _text(headers), body))


def _text(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[str, str]]:
    return [(to_text(n), to_text(v)) for n, v in headers]


@contextlib.contextmanager
def listed(tasks: set[asyncio.Task[Any]]) -> Iterator[None]:
    """The current task is one of `tasks` meanwhile."""
    task = cast("asyncio.Task[Any]", asyncio.current_task())
    tasks.add(task)
    try:
        yield
    finally:
        tasks.discard(task)


def _over(rule: Rule, record: Record, outcome: Outcome) -> Outcome:
    """The same, remembering that the send has ended, where a verification will want to know."""
    return replace(outcome, about={**(outcome.about or {}), **ended(record)}) if rule.verify else outcome


def _not_sent(record: Record, value: object, why: str) -> Outcome:
    """Proof that this send did not happen; of a recovery send's first one it proves nothing."""
    return Outcome(Status.UNKNOWN if record.resent else Status.FAILED, value, error=why)


def _headers(request: Request, operation: Operation, record: Record) -> list[tuple[str, str]]:
    """What goes upstream: the agent's own headers, less the hop's and ours, plus our key where it is honoured."""
    key = operation.upstream_key_header
    dropped = LEDGER_HEADERS | ({key.lower()} if key else set())
    headers = [(n, v) for n, v in end_to_end(request.headers) if n.lower() not in dropped]
    if key and record.upstream_key:
        headers.append((key, record.upstream_key))
    return headers


def _keyed(request: Request, operation: Operation, record: Record) -> Request:
    """The request with our key in its body, where that is where the provider reads it."""
    slot = operation.upstream_key_slot
    return replace(request, body=slot.filled(record.upstream_key)) if slot and record.upstream_key else request
