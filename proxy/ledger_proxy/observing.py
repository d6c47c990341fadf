"""Observing: what enforcing would have done, worked out beside the traffic and never in its way.

An observed request passes as if Ledger were not there. What its attempts would have got is decided by the very steps
of an exchange, in a ledger of its own (see `beside`), so that nothing of it can answer or hold under enforce. Knows no
proxy engine. Whatever fails here fails open, with one line.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

from ledger import clock
from ledger.calls import AsyncCall
from ledger.drivers import arun
from ledger.keeper import AsyncKeeper
from ledger.ports import AsyncStore
from ledger.records import Record, Status
from ledger.steps import Attempt, Outcome, begin
from ledger_proxy.exchange import Caller, claimant, draft, merged
from ledger_proxy.receiving import read
from ledger_proxy.summary import Tally
from ledger_rules.bodies import Digest
from ledger_rules.errors import MissingKey
from ledger_rules.operation import identify
from ledger_rules.outcome import classify, settles
from ledger_rules.request import Request
from ledger_rules.rule import Rule
from ledger_rules.shapes import fields

logger = logging.getLogger(__name__)

MAX_BODY = 1 << 20
"""Bytes of a body that are kept to be looked at; a longer one is read as it passes, where its head tells the rule."""
FIELDS = "fields"
"""Where a record's `about` holds what its request looked like: [place, digest, shape] each, never a value."""
Headers = Sequence[tuple[str, str]]


class Tee:
    """Passes a body on, piece by piece, and keeps it while it is short. reads: makes what reads one that is not."""

    def __init__(self, reads: Callable[[], Digest] | None = None) -> None:
        self._kept: bytearray | None = bytearray()
        self._reads = reads
        self.digest: Digest | None = None
        """Of a body that is too long to be kept; None for any other, and where nothing reads them."""

    def __call__(self, piece: bytes) -> bytes:
        if self._kept is not None:
            self._kept += piece
            if len(self._kept) > MAX_BODY:
                self.digest = self._reads() if self._reads else None
                so_far, self._kept = bytes(self._kept), None
                self._feed(so_far)
        else:
            self._feed(piece)
        return piece

    def _feed(self, piece: bytes) -> None:
        if self.digest is not None:
            self.digest.feed(piece)

    @property
    def body(self) -> bytes | None:
        """What passed so far; None once it is too long."""
        return None if self._kept is None else bytes(self._kept)


class Observation:
    """One request under way. Told once how it ended; later words are not heard."""

    def __init__(self, rule: Rule) -> None:
        self._rule = rule
        self._ended: asyncio.Future[Outcome | tuple[int, Headers, bytes]] = asyncio.get_running_loop().create_future()

    def answered(self, status: int, headers: Headers, body: bytes | None) -> None:
        """A whole answer came; body: None for one too long to look at."""
        self._end((status, headers, body or b""))

    def lost(self, why: str, sent: bool) -> None:
        """No whole answer came. sent: whether a byte may have gone out."""
        self._end(Outcome(Status.UNKNOWN if sent else Status.FAILED, error=why))

    async def outcome(self, record: Record) -> Outcome:
        """What it came to, by the same rules as an exchange's."""
        ended = await asyncio.shield(self._ended)
        if isinstance(ended, Outcome):
            return ended
        said = Status(classify(self._rule, *ended))
        if record.resent and not settles(self._rule, *ended):
            said = Status.UNKNOWN
        error = None if said is Status.SUCCESS else f"the upstream answered {ended[0]}"
        return Outcome(said, error=error, about={"response_status": ended[0]})

    def _end(self, how: Outcome | tuple[int, Headers, bytes]) -> None:
        if not self._ended.done():
            self._ended.set_result(how)


class Observer:
    """Follows requests. tally: what their attempts would have got."""

    def __init__(self, store: AsyncStore, keeper: AsyncKeeper, secret: bytes) -> None:
        self._store, self._keeper, self._secret = store, keeper, secret
        self.tally = Tally()
        self._following: set[asyncio.Task[None]] = set()
        self._complained = False

    def arrived(self, rule: Rule, request: Request, caller: Caller, digest: Digest | None = None) -> Observation:
        """Begin to follow a request. digest: of a body that is not in it. Never raises, never waits."""
        observation = Observation(rule)
        task = asyncio.create_task(self._follow(rule, request, caller, digest, observation))
        self._following.add(task)
        task.add_done_callback(self._following.discard)
        return observation

    async def drain(self, seconds: float) -> None:
        """Let what is under way be recorded; the rest is given up."""
        if self._following:
            await asyncio.wait(self._following, timeout=seconds)
        for task in list(self._following):
            task.cancel()
        await asyncio.gather(*self._following, return_exceptions=True)

    async def _follow(
        self, rule: Rule, request: Request, caller: Caller, digest: Digest | None, observation: Observation
    ) -> None:
        try:
            body = await asyncio.to_thread(digest.finish) if digest else None
            given = (rule, request, self._secret, caller.wf, caller.caller, body)
            operation = await read(len(request.body), identify, *given)
            record = draft(operation)
            looks = fields(request, self._secret, clock.now().wall)
            record.about[FIELDS] = [[f.place, f.digest, f.shape.value] for f in looks]
            attempt = Attempt(record, operation.policy, claimant(operation), clock.now())
            call = AsyncCall(self._store, self._keeper, observation.outcome)
            reply = await arun(begin(attempt, clock.now()), call)
            self.tally.count(reply, merged(operation, reply.record))
        except MissingKey:
            return  # would have been refused: no attempt of anything
        except Exception as error:
            self._complain(error)

    def _complain(self, error: Exception) -> None:
        """Once: an observer that cannot write must not fill the terminal either."""
        if not self._complained:
            self._complained = True
            logger.warning("observing fails, the traffic is not touched: %s", error)
