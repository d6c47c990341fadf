"""The exactly-once exchange of one ruled request: identify, claim, send once, record, answer.

Knows no proxy engine: a `Request` comes in, a `Response` goes out. Every path ends in an answer; a request that
cannot be claimed durably is refused, and nothing is sent.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, cast

from ledger import clock, owners
from ledger.calls import AsyncCall
from ledger.drivers import arun
from ledger.keeper import AsyncKeeper
from ledger.lifecycle import Claimant
from ledger.policy import OnUnknown
from ledger.ports import AsyncStore
from ledger.records import Kind, Record, Status
from ledger.steps import Answer, Attempt, Outcome, Reply, begin
from ledger_proxy import answers
from ledger_proxy.answers import Response
from ledger_proxy.headers import end_to_end, to_text
from ledger_proxy.summary import MERGED, Tally
from ledger_proxy.upstream import Answer as UpstreamAnswer
from ledger_proxy.upstream import MaybeSent, NotSent, Upstream
from ledger_rules.operation import LEDGER_HEADERS, MissingKey, Operation, identify
from ledger_rules.outcome import classify, settles
from ledger_rules.request import Request
from ledger_rules.rule import Rule

STOPPED = "the sidecar was stopped before an answer came"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, as far as the connection tells: the proxy URL's user, else the sidecar's settings."""

    wf: str
    caller: str | None = None


class Recent:
    """Which operations came by lately: a hint that spares a duplicate the attempt to claim. Bounded."""

    def __init__(self, size: int = 16384) -> None:
        self._size = size
        self._hashes: dict[int, None] = {}

    def seen(self, id: str) -> bool:
        """Whether it came before; from now on it has."""
        key = hash(id)
        if key in self._hashes:
            return True
        self._hashes[key] = None
        if len(self._hashes) > self._size:
            del self._hashes[next(iter(self._hashes))]
        return False


class Exchange:
    """Answers ruled requests through one store and one upstream."""

    def __init__(
        self, store: AsyncStore, keeper: AsyncKeeper, upstream: Upstream, secret: bytes, max_stored: int
    ) -> None:
        self._store, self._keeper, self._upstream = store, keeper, upstream
        self._secret, self._max_stored = secret, max_stored
        self.tally = Tally()
        self._known = Recent()
        self._draining = False
        self._running: set[asyncio.Task[Any]] = set()
        self._sending: set[asyncio.Task[Any]] = set()

    async def answer(self, rule: Rule, request: Request, caller: Caller, gone: Callable[[], bool]) -> Response:
        """Answer one attempt. The calling task must outlive its client, as the front's do.

        A task that is cancelled all the same while it sends records an unknown outcome and ends.
        """
        if self._draining:
            return answers.problem(answers.UNAVAILABLE, detail="The sidecar is stopping.")
        with _listed(self._running):
            return await self._answer(rule, request, caller, gone)

    async def drain(self, seconds: float) -> int:
        """Let exchanges in flight end; then give up the sends, so that they are recorded as unknown.

        Returns how many were given up.
        """
        self._draining = True
        if self._running:
            await asyncio.wait(self._running, timeout=seconds)
        given_up = len(self._sending)
        for send in list(self._sending):
            send.cancel()
        if self._running:
            await asyncio.wait(self._running, timeout=max(1.0, seconds))
        return given_up

    async def _answer(self, rule: Rule, request: Request, caller: Caller, gone: Callable[[], bool]) -> Response:
        try:
            operation = identify(rule, request, self._secret, caller.wf, caller.caller)
        except MissingKey:
            return answers.problem(answers.KEY_MISSING)
        remark = MERGED if operation.ignored_key else None
        attempt = Attempt(_draft(operation), operation.policy, _claimant(operation), clock.now(), remark)

        sent: list[tuple[Record, Outcome]] = []

        async def effect(record: Record) -> Outcome:
            outcome = await self._send(rule, request, operation, record)
            sent.append((record, outcome))
            return outcome

        try:
            call = AsyncCall(self._store, self._keeper, effect, gone)
            known = self._known.seen(operation.id)
            reply = await arun(begin(attempt, clock.now(), known), call)
        except Exception as error:
            return _broken(sent, error)
        self.tally.count(reply, operation.ignored_key)
        return _response(reply, operation.policy.on_unknown is OnUnknown.RESEND)

    async def _send(self, rule: Rule, request: Request, operation: Operation, record: Record) -> Outcome:
        """Send once; say what came of it. Only proof that nothing happened is `failed`."""
        if self._draining:
            return _not_sent(record, None, "the sidecar is stopping, nothing was sent")
        headers = _headers(request, operation, record)
        keyed = _keyed(request, operation, record)
        try:
            with _listed(self._sending):
                answer = await self._upstream.send(keyed, headers=headers, resendable=operation.takes_key)
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
        try:
            return self._judge(rule, record, answer)
        except Exception as error:
            return Outcome(Status.UNKNOWN, None, error=f"the answer could not be read: {error!r}")

    def _judge(self, rule: Rule, record: Record, answer: UpstreamAnswer) -> Outcome:
        headers = tuple(end_to_end(answer.headers))
        text = [(to_text(n), to_text(v)) for n, v in headers]
        status = Status(classify(rule, answer.status, text, answer.body))
        if record.resent and not settles(rule, answer.status, text, answer.body):
            # Most refusals come before the provider's idempotency layer: they prove nothing of the first send.
            status = Status.UNKNOWN
        reason = answer.reason.encode("utf-8", "surrogateescape")
        return Outcome(
            status,
            Response(answer.status, reason, headers, answer.body),
            answers.result_of(answer.status, reason, headers, answer.body, self._max_stored)
            if status is Status.SUCCESS
            else None,
            None if status is Status.SUCCESS else f"the upstream answered {answer.status}",
            {"response_status": answer.status},
        )


@contextlib.contextmanager
def _listed(tasks: set[asyncio.Task[Any]]) -> Iterator[None]:
    """The current task is one of `tasks` meanwhile."""
    task = cast("asyncio.Task[Any]", asyncio.current_task())
    tasks.add(task)
    try:
        yield
    finally:
        tasks.discard(task)


def _not_sent(record: Record, value: object, why: str) -> Outcome:
    """Proof that this send did not happen; of a recovery send's first one it proves nothing."""
    return Outcome(Status.UNKNOWN if record.resent else Status.FAILED, value, error=why)


def _draft(operation: Operation) -> Record:
    return Record(
        id=operation.id,
        tool=operation.rule,
        kind=Kind.HTTP,
        rule=operation.rule,
        wf=operation.wf,
        caller=operation.caller,
        content_id=operation.content_id,
        payload_id=operation.payload_id,
        payload=operation.payload,
        lease=operation.policy.lease,
        timeout=operation.policy.timeout,
        window=operation.policy.window,
        about=dict(operation.about),
    )


def _claimant(operation: Operation) -> Claimant:
    nonce = secrets.token_hex(16) if operation.takes_key else ""
    return Claimant(owners.new_token(), nonce, operation.passed_key)


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


def _broken(sent: list[tuple[Record, Outcome]], error: Exception) -> Response:
    """What is true when the ledger failed: nothing was sent, or the live outcome, recorded or not."""
    if not sent:
        return answers.problem(answers.UNAVAILABLE, detail=str(error))
    record, outcome = sent[-1]
    answer = {Status.SUCCESS: Answer.EXECUTED, Status.FAILED: Answer.FAILED}.get(outcome.status, Answer.UNKNOWN)
    return _live(Reply(answer, record, outcome), recoverable=False)


def _response(reply: Reply, recoverable: bool) -> Response:
    record = reply.record
    match reply.answer:
        case Answer.EXECUTED | Answer.FAILED | Answer.UNKNOWN:
            return _live(reply, recoverable)
        case Answer.REPLAYED | Answer.BLOCKED:
            return answers.replay(record)
        case Answer.IN_FLIGHT | Answer.GONE:
            return answers.problem(answers.IN_FLIGHT, record)
        case Answer.HELD:
            return answers.problem(answers.HELD, record, _why(record))
        case Answer.CONFLICT:
            return answers.problem(answers.CONFLICT, record)


def _live(reply: Reply, recoverable: bool) -> Response:
    """The upstream's own answer where one came; otherwise what is known instead of one."""
    value = reply.outcome.value if reply.outcome else None
    unsettled = reply.answer is Answer.UNKNOWN and reply.record.resent
    # A refusal of a recovery send says nothing of the effect, so the agent must not read it as "declined".
    if isinstance(value, Response) and not unsettled:
        return answers.live(value.status, value.reason, value.headers, value.body, reply.record, reply.answer.value)
    if reply.answer is Answer.FAILED:
        return answers.problem(answers.NOT_SENT, reply.record, _why(reply.record))
    return answers.problem(answers.RECOVERABLE if recoverable else answers.UNKNOWN, reply.record, _why(reply.record))


def _why(record: Record) -> str | None:
    return f"Cause: {record.error}." if record.error else None
