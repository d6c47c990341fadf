"""The exactly-once exchange of one ruled request: identify, claim, send once, record, answer.

Knows no proxy engine: a `Request` comes in, a `Response` goes out. Every path ends in an answer; a request that
cannot be claimed durably is refused, and nothing is sent. What is sent is in `sending`, what is answered in `replies`.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

from ledger import clock, lifecycle, owners, watchers
from ledger.calls import AsyncCall
from ledger.drivers import aopen, arun
from ledger.keeper import AsyncKeeper
from ledger.lifecycle import Claimant
from ledger.ports import AsyncStore
from ledger.records import EventType, Kind, Record, Status
from ledger.steps import Attempt, Follow, Opened, Outcome, Reply, Verdict, begin
from ledger_proxy import answers, replies
from ledger_proxy.answers import Response, Streamed
from ledger_proxy.failing import Failing
from ledger_proxy.measures import Measures
from ledger_proxy.notices import Notices
from ledger_proxy.receiving import Spooled, read
from ledger_proxy.recent import Recent
from ledger_proxy.sending import Live, Sender, listed
from ledger_proxy.summary import MERGED, Tally
from ledger_proxy.upstream import Upstream
from ledger_proxy.verifying import Questions
from ledger_rules.operation import IGNORED_KEY, MissingKey, Operation, identify
from ledger_rules.request import Request
from ledger_rules.rule import Rule

BROKE = "the ledger failed when an answer began to stream"
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, as far as the connection tells: the proxy URL's user, else the sidecar's settings."""

    wf: str
    caller: str | None = None


class Exchange:
    """Answers ruled requests through one store and one upstream."""

    def __init__(
        self, store: AsyncStore, keeper: AsyncKeeper, upstream: Upstream, secret: bytes, max_stored: int
    ) -> None:
        self._store, self._keeper, self._secret = store, keeper, secret
        self._sender, self._questions = Sender(upstream, max_stored, keeper.confirm), Questions(upstream, max_stored)
        self.tally, self.measures = Tally(), Measures()
        self._known = Recent()
        """Operations that were here: a hint that spares a duplicate the attempt to claim."""
        self._notices, self._failing = Notices(secret), Failing()
        self._running: set[asyncio.Task[Any]] = set()

    async def answer(
        self,
        rule: Rule,
        request: Request,
        caller: Caller,
        gone: Callable[[], bool],
        body: Spooled | None = None,
    ) -> Response | Streamed:
        """Answer one attempt. The calling task must outlive its client, as the front's do.

        body: the request's, where it is not in memory. An answer that streams is recorded to its end, also when the
        agent leaves. A task that is cancelled all the same while it sends records an unknown outcome and ends.
        """
        if self._sender.stopping:
            return answers.problem(answers.STOPPING)
        with listed(self._running):
            return await self._answer(rule, request, caller, gone, body)

    async def ended(self, seconds: float) -> None:
        """Begin no other exchange, and let those in flight end."""
        self._sender.stopping = True
        if self._running:
            await asyncio.wait(self._running, timeout=seconds)

    async def give_up(self, seconds: float) -> None:
        """Break off the sends that are left, and let them be recorded as unknown."""
        self._sender.stopping = True
        self._sender.give_up()
        if self._running:
            await asyncio.wait(self._running, timeout=seconds)

    async def _answer(
        self, rule: Rule, request: Request, caller: Caller, gone: Callable[[], bool], body: Spooled | None
    ) -> Response | Streamed:
        said, spool = (body.reading, body.spool) if body else (None, None)
        started = time.perf_counter()
        try:
            given = (rule, request, self._secret, caller.wf, caller.caller, said)
            operation = await read(0 if said else len(request.body), identify, *given)
        except MissingKey:
            return answers.problem(answers.KEY_MISSING)

        def remark(record: Record) -> str | None:
            return MERGED if merged(operation, record) else None

        attempt = Attempt(draft(operation), operation.policy, claimant(operation), clock.now(), remark)

        sent: list[tuple[Record, Outcome]] = []

        async def effect(record: Record) -> Outcome | Opened:
            came = await self._sender.send(rule, request, operation, record, spool)
            # Should the ledger break before an answer that streams is announced, nobody will follow it to its end.
            sent.append((record, came if isinstance(came, Outcome) else Outcome(Status.UNKNOWN, error=BROKE)))
            return came

        async def verify(record: Record) -> Verdict:
            return await self._questions.ask(rule, request, record)

        with watchers.around(attempt.draft, _carried(request)) as watched:
            try:
                call = AsyncCall(self._store, self._keeper, effect, gone, verify=verify, rest=self._rest)
                known = self._known.seen(operation.id)
                warnings = () if known else self._notices.arrived(rule, request, operation, attempt.arrived.wall)
                reply = await aopen(begin(attempt, clock.now(), known), call)
                self._warn(warnings, reply.record)
                if isinstance(reply, Follow):
                    watched.apart()
                    self._finish_apart(reply, call, operation, started, watched)
                    return replies.opened(reply)
                watched.told(reply)
                self._count(reply, operation, started)
            except Exception as error:
                watched.failed(error)
                self._failed(sent, error)
                return replies.broken(sent, error)
        return replies.response(reply, operation.policy.on_unknown, request.header("Accept-Encoding"))

    def _failed(self, sent: Sequence[tuple[Record, Outcome]], error: Exception) -> None:
        if sent:
            self._failing.broken(sent[-1][0], error)
        else:
            self.measures.refused += 1
            self._failing.refused(error, time.monotonic())

    def _warn(self, warnings: Sequence[str], record: Record) -> None:
        for text in warnings:
            self._store.append(lifecycle.answered(record, EventType.WARNING, clock.now(), remark=text))
            self.tally.warnings.append((record.id, text))

    def _count(self, reply: Reply, operation: Operation, started: float) -> None:
        took = time.perf_counter() - started
        self.tally.count(reply, merged(operation, reply.record))
        self.measures.answered(operation.rule, reply.answer, took)
        if reply.outcome is not None and self._keeper.owes(reply.record):  # not for each duplicate that asks meanwhile
            self._failing.owed(reply.record)
        if logger.isEnabledFor(logging.INFO):
            logger.info("%s: %s", operation.rule, reply.answer, extra=_told(reply, took))

    async def _rest(self, step: Follow) -> Outcome:
        return await self._sender.follow(cast("Live", step.opened.value))

    def _finish_apart(
        self, step: Follow, call: AsyncCall, operation: Operation, started: float, watched: watchers.Around
    ) -> None:
        """Go on without the agent's task: it has the head by now, and may leave before the end."""

        async def finish() -> None:
            try:
                reply = await arun(step, call)
                watched.told(reply)
                self._count(reply, operation, started)
            except Exception as error:
                watched.failed(error)
                self._failing.broken(step.record, error)

        task = asyncio.create_task(finish())
        self._running.add(task)
        task.add_done_callback(self._running.discard)


def _carried(request: Request) -> dict[str, str]:
    """Where the agent's own trace stands, if it traces: https://www.w3.org/TR/trace-context/."""
    found = ((name, request.header(name)) for name in ("traceparent", "tracestate"))
    return {name: value for name, value in found if value}


def _told(reply: Reply, seconds: float) -> dict[str, object]:
    """What the log may say of an operation: see `logs.TOLD`."""
    record = reply.record
    told = {"rule": record.rule, "record": record.id[:12], "outcome": reply.answer.value, "wf": record.wf}
    status = record.about.get("response_status")
    return {**told, "caller": record.caller, "status": status, "ms": round(seconds * 1000, 1)}


def draft(operation: Operation) -> Record:
    """The row of an operation that nobody has seen."""
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


def merged(operation: Operation, record: Record) -> bool:
    """Whether it came under another key than the record's first attempt, one that SDKs make up, and was not told apart.

    The same key again is the SDK's own retry.
    """
    return operation.ignored_key is not None and operation.ignored_key != record.about.get(IGNORED_KEY)


def claimant(operation: Operation) -> Claimant:
    """Who claims it, with what the key upstream is made from, where one of ours goes along."""
    nonce = secrets.token_hex(16) if operation.takes_key else ""
    return Claimant(owners.new_token(), nonce, operation.passed_key)
