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
from ledger.steps import Finish, Outcome, Seen, Written


class InLoopCall:
    """A `drivers.AsyncPort`. The store's calls take less than a hop to a thread would, so they run in the loop.

    That also means that nothing is awaited between the effect's end and its outcome's commit: a second
    cancellation cannot lose it.
    """

    def __init__(self, store: SyncStore, keeper: Keeper, effect: Callable[[Record], Awaitable[Outcome]]) -> None:
        self._call, self._keeper, self._effect = Call(store, keeper, _never), keeper, effect

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

    async def execute(self, record: Record) -> Outcome:
        self._keeper.take(record)
        try:
            return await self._effect(record)
        finally:
            self._keeper.drop(record)

    async def finish(self, step: Finish) -> Written:
        return self._call.finish(step)

    def note(self, event: Event) -> None:
        self._call.note(event)


def _never(record: Record) -> Outcome:
    raise TypeError(f"{record.tool} is awaited, not called")
