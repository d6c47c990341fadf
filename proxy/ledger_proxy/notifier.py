"""Tells people of operations whose outcome nobody knows, each at most once: a notification is an operation itself.

It looks for unknowns in the ledger, whoever left them there, claims the telling and records what came of it, by the
same steps as any exchange. It runs beside the exchange: nothing waits for it, and whatever fails in it is its own.
How somebody is told is in `telling`.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Protocol

from ledger import clock, owners
from ledger.calls import AsyncCall
from ledger.drivers import arun
from ledger.keeper import AsyncKeeper
from ledger.lifecycle import Claimant
from ledger.policy import Policy
from ledger.ports import AsyncStore, Query
from ledger.records import Kind, Record, Status
from ledger.steps import Attempt, Outcome, begin
from ledger_rules.notify import PREFIX, Notify

LOOK_SECONDS = 1.0
RECENT_SECONDS = 86_400.0
"""An unknown that is older is no news: a file with a new `notify:` must not tell of last year's."""
LOOKED_AT = 1_000
"""Unknowns of one look, the newest; there is no more to tell a person who has so many."""
A_MINUTE = 30
"""Notifications of one minute to one receiver; the others come later, if they are unknown still."""
AGAIN_SECONDS, SELDOM_SECONDS = 60.0, 900.0
"""Until a telling that certainly did not happen is tried again: twice as long each time, up to this."""
WF = "ledger-notify"
POLICY = Policy(wait=0.0)

type Tell = Callable[[Notify, Record], Awaitable[Outcome]]
logger = logging.getLogger(__name__)


class Ledger(AsyncStore, Protocol):
    """A store in which unknowns can be found."""

    async def page(self, query: Query) -> list[Record]:
        """As `SyncStore.page`."""
        ...


class Notifier:
    """Of one sidecar. whom: who is to be told now; rules may be read anew. tell: tells one of them, raises nothing."""

    def __init__(self, store: Ledger, keeper: AsyncKeeper, whom: Callable[[], Sequence[Notify]], tell: Tell) -> None:
        self._store, self._keeper, self._whom, self._tell = store, keeper, whom, tell
        self._done: set[str] = set()
        self._sent: dict[str, list[float]] = {}
        self._telling: dict[str, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Until cancelled."""
        try:
            while True:
                await asyncio.sleep(LOOK_SECONDS)
                try:
                    if self._whom():
                        await self._look()
                except Exception:
                    _complain()
        finally:
            for task in self._telling.values():
                task.cancel()
            await asyncio.gather(*self._telling.values(), return_exceptions=True)

    async def _look(self) -> None:
        """Begin to tell everybody of what is unknown and was not told. A slow receiver keeps no other waiting."""
        found = await self._store.page(Query(status=Status.UNKNOWN, limit=LOOKED_AT))
        now = clock.now().wall
        news = [r for r in found if worth_telling(r) and now - r.touched.wall < RECENT_SECONDS]
        self._done &= {_id(notify, record) for notify in self._whom() for record in news}
        self._telling = {name: task for name, task in self._telling.items() if not task.done()}
        for notify in self._whom():
            if notify.name not in self._telling:
                self._telling[notify.name] = asyncio.create_task(self._tell_all(notify, news))

    async def _tell_all(self, notify: Notify, news: Iterable[Record]) -> None:
        try:
            for record in news:
                if _id(notify, record) not in self._done:
                    if not self._may(notify):
                        return
                    await self._attempt(notify, record)
        except Exception:
            _complain()

    async def _attempt(self, notify: Notify, record: Record) -> None:
        draft = _draft(notify, record)
        before = await self._store.look(draft)
        if before is not None and not _again(before):
            # While another sidecar tells, it may still come out that nothing was told.
            if before.status in (Status.SUCCESS, Status.UNKNOWN):
                self._done.add(draft.id)
            return
        self._sent.setdefault(notify.name, []).append(time.monotonic())

        async def effect(_: Record) -> Outcome:
            return await self._tell(notify, record)

        attempt = Attempt(draft, POLICY, Claimant(owners.new_token(), ""), clock.now())
        reply = await arun(
            begin(attempt, clock.now(), before is not None), AsyncCall(self._store, self._keeper, effect)
        )
        logger.info("%s was told of %s: %s", notify.tool, record.id[:12], reply.answer)

    def _may(self, notify: Notify) -> bool:
        """Whether the receiver had less than its share in the last minute."""
        now = time.monotonic()
        recent = [at for at in self._sent.get(notify.name, ()) if now - at < 60]
        self._sent[notify.name] = recent
        return len(recent) < A_MINUTE


def worth_telling(record: Record) -> bool:
    """Whether a person waits for news of it: not of a telling, nor of what was allowed to run again."""
    return not record.tool.startswith(PREFIX) and not record.released


def _again(before: Record) -> bool:
    """Whether a telling that did not happen is tried once more: its receiver may be back."""
    wait = min(AGAIN_SECONDS * 2 ** min(before.failed - 1, 10), SELDOM_SECONDS)
    return before.status is Status.FAILED and clock.now().wall - before.touched.wall >= wait


def _complain() -> None:
    logger.warning("unknown outcomes could not be told of", exc_info=logger.isEnabledFor(logging.DEBUG))


def _id(notify: Notify, record: Record) -> str:
    """Of one receiver and one time that the record became unknown, which is an epoch's end."""
    return hashlib.sha256("\n".join((PREFIX, notify.name, record.id, str(record.epoch))).encode()).hexdigest()


def _draft(notify: Notify, record: Record) -> Record:
    return Record(
        id=_id(notify, record),
        tool=notify.tool,
        kind=Kind.CALL,
        wf=WF,
        caller="ledger",
        lease=POLICY.lease,
        about={"args": {"record": record.id, "by": "webhook" if notify.webhook else notify.command[0]}},
    )
