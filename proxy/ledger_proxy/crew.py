"""The workers of one parent: started, watched, started again, replaced, stopped; and what they tell together."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from ledger.errors import StoreUnavailable
from ledger_proxy.errors import EngineError
from ledger_proxy.measures import Numbers
from ledger_proxy.metrics import Crew as Shape
from ledger_proxy.worker import Unheard, Worker

logger = logging.getLogger(__name__)

STEADY_SECONDS = 10.0
"""A worker that ends sooner is not started again at once."""
LONGEST_PAUSE = 30.0
_GRACE = 20.0

type Hire = Callable[[], Awaitable[Worker]]


class Crew:
    """Keeps `count` workers running. drain: seconds that each gives its requests at the end."""

    def __init__(self, count: int, drain: float) -> None:
        self._count, self._drain = count, drain
        self._hire: Hire
        self._here: dict[int, Worker] = {}
        self._leaving: set[Worker] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._gone = Numbers()
        self._restarts = 0
        self._stopping = self._replacing = False

    async def start(self, hire: Hire) -> None:
        """Start them all. Raises EngineError when one cannot be; the others are to be stopped."""
        self._hire = hire
        # The first alone: what is wrong is said once, and ledger and CA are made once.
        await self._place(0)
        rest = await asyncio.gather(*map(self._place, range(1, self._count)), return_exceptions=True)
        for failed in filter(None, rest):
            raise failed

    async def stop(self) -> None:
        """Let each drain, wait for it, and end what does not end."""
        self._stopping = True
        for worker in self._here.values():
            worker.stop()
        deadline = asyncio.get_running_loop().time() + 3 * self._drain + _GRACE
        while self._tasks and (left := deadline - asyncio.get_running_loop().time()) > 0:
            await asyncio.wait(self._tasks, timeout=left)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def hurry(self) -> None:
        """Told to stop once more, those that drain end at once."""
        for worker in {*self._here.values(), *self._leaving}:
            worker.signal(signal.SIGINT)

    def tell(self, number: int) -> None:
        """Pass a signal on to each."""
        for worker in self._here.values():
            worker.signal(number)

    def ask_replacement(self) -> None:
        """Put a new process in the place of each; for a signal handler. One round at a time."""
        if not self._replacing:
            self._spawn(self._replace())

    @property
    def ready(self) -> bool:
        """Whether any of them takes requests."""
        return bool(self._here) and not self._stopping

    async def probe(self) -> None:
        """See `Told`: each must be able to write."""
        if not self._here:
            raise StoreUnavailable("no worker is running")
        workers = list(self._here.values())
        told = await asyncio.gather(*(worker.healthy() for worker in workers), return_exceptions=True)
        for worker, sick in zip(workers, told, strict=True):
            # One that has just ended is being replaced, and the others serve.
            if isinstance(sick, Unheard) and worker in self._here.values():
                raise StoreUnavailable(str(sick))

    async def numbers(self) -> tuple[Numbers, Shape | None]:
        """See `Told`. Those that leave or have ended are in it with what is known of them: no counter falls."""
        await asyncio.gather(*(worker.count() for worker in self._here.values()))
        total = Numbers()
        total.plus(self._gone)
        for worker in {*self._here.values(), *self._leaving}:
            total.plus(worker.counted)
        return total, Shape(len(self._here), self._restarts)

    async def _place(self, slot: int) -> None:
        """Fill a slot; who was in it drains."""
        worker = await self._hire()
        before, self._here[slot] = self._here.get(slot), worker
        self._spawn(self._watch(slot, worker))
        if before is not None:
            self._leaving.add(before)
            await before.count()
            before.stop()
        if self._stopping:
            worker.stop()

    async def _replace(self) -> None:
        self._replacing = True
        try:
            for slot in list(self._here):
                if not self._stopping:
                    await self._place(slot)
            logger.warning("workers replaced: %d", len(self._here))
        except (EngineError, OSError) as error:
            logger.error("%s; the workers that are there stay", error)
        finally:
            self._replacing = False

    async def _watch(self, slot: int, worker: Worker) -> None:
        """Until it ends; and unless it was told to, somebody takes its place."""
        began = asyncio.get_running_loop().time()
        try:
            how = await worker.ended()
        except asyncio.CancelledError:
            worker.signal(signal.SIGKILL)
            raise
        self._gone.plus(worker.counted)
        self._leaving.discard(worker)
        if self._here.get(slot) is worker:
            del self._here[slot]
        if worker.told_to_stop or self._stopping:
            return
        logger.warning("a worker %s; another is started in its place", how)
        await self._refill(slot, steady=asyncio.get_running_loop().time() - began > STEADY_SECONDS)

    async def _refill(self, slot: int, steady: bool) -> None:
        pause = 0.0 if steady else 0.2
        while not self._stopping:
            await asyncio.sleep(pause)
            try:
                await self._place(slot)
            except (EngineError, OSError) as error:
                pause = min(max(2 * pause, 1.0), LONGEST_PAUSE)
                logger.error("%s; tried again in %.0f s", error, pause)
            else:
                self._restarts += 1
                return

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
