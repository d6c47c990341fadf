"""An asynchronous call on a synchronous store, so that one store serves a guard's functions of both kinds."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from ledger.calls import LOOK_AGAIN_SECONDS, POLL_SECONDS, Call
from ledger.keeper import Keeper
from ledger.lifecycle import Change
from ledger.ports import SyncStore
from ledger.records import Event, Instant, Record
from ledger.steps import Announce, Attempt, Finish, Follow, Outcome, Seen, Verdict, Written

_WHOLE = "what a function returns comes whole"


class InLoopCall:
    """A `drivers.AsyncPort`. The store's calls take less than a hop to a thread would, so they run in the loop.

    That also means that nothing is awaited between the effect's end and its outcome's commit: a second
    cancellation cannot lose it.
    """

    def __init__(
        self,
        store: SyncStore,
        keeper: Keeper,
        effect: Callable[[Record], Awaitable[Outcome]],
        verify: Callable[[Record], Awaitable[Verdict]],
    ) -> None:
        self._call, self._effect, self._verify = Call(store, keeper), effect, verify

    def now(self) -> Instant:
        return self._call.now()

    async def claim(self, change: Change) -> bool:
        return self._call.claim(change)

    async def look(self, record: Record) -> Seen | None:
        return self._call.look(record)

    async def swap(self, change: Change) -> bool:
        return self._call.swap(change)

    async def wait(self, record: Record, seconds: float) -> bool:
        deadline = time.monotonic() + min(seconds, LOOK_AGAIN_SECONDS)
        while (left := deadline - time.monotonic()) > 0:
            await asyncio.sleep(min(POLL_SECONDS, left))
            if self._call.moved(record):
                break
        return False

    async def verify(self, record: Record) -> Verdict:
        return await self._verify(record)

    async def execute(self, record: Record) -> Outcome:
        self._call.begin(record)
        return self._call.ended(await self._effect(record))

    async def announce(self, step: Announce) -> bool:
        raise TypeError(_WHOLE)

    async def follow(self, step: Follow) -> Outcome:
        raise TypeError(_WHOLE)

    async def finish(self, step: Finish) -> Written:
        return self._call.finish(step)

    @property
    def outcome(self) -> Outcome | None:
        """As `Call.outcome`."""
        return self._call.outcome

    def rescue(self, attempt: Attempt) -> None:
        """As `Call.rescue`."""
        self._call.rescue(attempt)

    def note(self, event: Event) -> None:
        self._call.note(event)
