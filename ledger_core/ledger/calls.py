"""The ports of one call: the store, the clock, the keeper and the effect, as the drivers want them."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable

from ledger import clock, owners
from ledger.errors import LedgerError
from ledger.keeper import AsyncKeeper, Keeper
from ledger.lifecycle import Change
from ledger.ports import AsyncStore, SyncStore
from ledger.records import Event, Instant, Record, Status
from ledger.steps import Announce, Attempt, Execute, Finish, Follow, Opened, Outcome, Seen, Verdict, Written

LOOK_AGAIN_SECONDS = 1.0
"""A waiter looks at the owner's liveness at least this often."""
POLL_SECONDS = 0.05
"""How often a waiter reads the store for an execution of another process."""


_NOT_BEGUN = Outcome(Status.FAILED, error="interrupted before it began")
_INTERRUPTED = Outcome(Status.UNKNOWN, error="interrupted")


def _seen(record: Record | None) -> Seen | None:
    if record is None:
        return None
    return Seen(record, owners.alive(record.owner) if record.status is Status.RUNNING else None)


def cannot_tell(record: Record) -> Verdict:
    """The verifier of a call that has none."""
    return Verdict(None)


def _never(record: Record) -> Outcome:
    raise TypeError(f"the effect of {record.tool} is not caused here")


class Call:
    """A `drivers.Port` on a synchronous store.

    effect: causes the effect, once; none where `execute` is another's. verify: asks the world about an unknown.
    """

    mine: Record | None = None
    """The claim that is ours and whose outcome is neither durable nor owed."""
    outcome: Outcome | None = None
    """What the effect came to, once it ended."""
    _fate = _NOT_BEGUN

    def __init__(
        self,
        store: SyncStore,
        keeper: Keeper,
        effect: Callable[[Record], Outcome] = _never,
        verify: Callable[[Record], Verdict] = cannot_tell,
    ) -> None:
        self._store, self._keeper, self._effect, self._verify = store, keeper, effect, verify

    def now(self) -> Instant:
        return clock.now()

    def claim(self, change: Change) -> bool:
        self.mine = change.record
        return self._won(self._store.insert(change))

    def look(self, record: Record) -> Seen | None:
        return _seen(self._store.look(record))

    def swap(self, change: Change) -> bool:
        self.mine = change.record if change.record.status is Status.RUNNING else None
        return self._won(self._store.replace(change))

    def wait(self, record: Record, seconds: float) -> bool:
        deadline = time.monotonic() + min(seconds, LOOK_AGAIN_SECONDS)
        while (left := deadline - time.monotonic()) > 0:
            time.sleep(min(POLL_SECONDS, left))
            if self.moved(record):
                break
        return False

    def moved(self, record: Record) -> bool:
        """Whether the record is no longer what a waiter saw."""
        found = self._store.look(record)
        return found is None or (found.status, found.epoch) != (record.status, record.epoch)

    def verify(self, record: Record) -> Verdict:
        return self._verify(record)

    def execute(self, record: Record) -> Outcome:
        self.begin(record)
        return self.ended(self._effect(record))

    def begin(self, record: Record) -> None:
        """The claim is renewed from now until its outcome is durable."""
        self._keeper.take(record)
        self.mine, self._fate = record, _INTERRUPTED

    def ended(self, outcome: Outcome) -> Outcome:
        """What it came to, kept for `rescue`."""
        self.outcome = self._fate = outcome
        return outcome

    def finish(self, step: Finish) -> Written:
        """The effect has happened, so a store that fails now must not cost the caller its outcome."""
        try:
            written = self._store.replace(step.change)
        except LedgerError:
            self._owe(step)
            return Written.OWED
        self.mine = None
        self._keeper.drop(step.record)
        return Written.YES if written else Written.NO

    def rescue(self, attempt: Attempt) -> None:
        """After whatever broke the call off, be it Ctrl-C between effect and commit: owe what is known of its claim."""
        if self.mine is not None:
            self._owe(Execute(attempt, self.mine).next(self._fate, clock.now()))

    def _won(self, won: bool) -> bool:
        if not won:
            self.mine = None
        return won

    def _owe(self, step: Finish) -> None:
        self.mine = None
        self._keeper.owe(step, self)

    def note(self, event: Event) -> None:
        self._store.append(event)


class AsyncCall:
    """A `drivers.AsyncPort` on an asynchronous store.

    effect: causes the effect, once; None for a call that only writes an owed outcome.
    gone: whether the caller has left. verify: asks the world about an unknown; it bounds itself and raises nothing.
    rest: takes the rest of an answer that streams.
    """

    def __init__(
        self,
        store: AsyncStore,
        keeper: AsyncKeeper,
        effect: Callable[[Record], Awaitable[Outcome | Opened]] | None = None,
        gone: Callable[[], bool] = lambda: False,
        verify: Callable[[Record], Awaitable[Verdict]] | None = None,
        rest: Callable[[Follow], Awaitable[Outcome]] | None = None,
    ) -> None:
        self._store, self._keeper, self._effect, self._gone = store, keeper, effect, gone
        self._verify, self._rest = verify, rest

    def now(self) -> Instant:
        return clock.now()

    async def claim(self, change: Change) -> bool:
        return await self._store.insert(change)

    async def look(self, record: Record) -> Seen | None:
        return _seen(await self._store.look(record))

    async def swap(self, change: Change) -> bool:
        return await self._store.replace(change)

    async def wait(self, record: Record, seconds: float) -> bool:
        """Woken at once when the execution is ours; read from the store when it is another process's."""
        ended = self._keeper.ended(record)
        limit = min(seconds, POLL_SECONDS if ended is None else LOOK_AGAIN_SECONDS)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(limit):
                await (ended or asyncio.Event()).wait()
        return self._gone()

    async def verify(self, record: Record) -> Verdict:
        return await self._verify(record) if self._verify else cannot_tell(record)

    async def execute(self, record: Record) -> Outcome | Opened:
        if self._effect is None:
            raise TypeError("a call that only writes an owed outcome executes nothing")
        self._keeper.take(record)
        try:
            return await self._effect(record)
        except BaseException:
            self._keeper.drop(record)
            raise

    async def announce(self, step: Announce) -> bool:
        """The effect may have happened, so a store that fails now must not cost the caller its answer."""
        try:
            return await self._store.replace(step.change)
        except LedgerError:
            return False
        except BaseException:
            self._keeper.drop(step.record)
            raise

    async def follow(self, step: Follow) -> Outcome:
        if self._rest is None:
            raise TypeError("a call whose effect does not stream has no rest")
        try:
            return await self._rest(step)
        except BaseException:
            self._keeper.drop(step.record)
            raise

    async def finish(self, step: Finish) -> Written:
        """The claim is kept until its outcome is durable, so that who waits for it finds the outcome."""
        try:
            return Written.YES if await self._store.replace(step.change) else Written.NO
        except LedgerError:
            self._keeper.owe(step, self)
            return Written.OWED
        finally:
            self._keeper.drop(step.record)

    def note(self, event: Event) -> None:
        self._store.append(event)
