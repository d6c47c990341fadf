"""One thread that does blocking work for an event loop, in order. It knows nothing of ledgers.

`run_in_executor` makes two futures, a condition and a lock per job; a commit is waited for a thousand times a second.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from queue import SimpleQueue


class Worker:
    """Does jobs one by one. `submit` is called from a running event loop; a job must not raise."""

    def __init__(self, name: str) -> None:
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        # A daemon: a ledger that nobody closed must not keep its process alive, and SQLite survives a kill.
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def submit[T](self, job: Callable[[], T]) -> asyncio.Future[T]:
        """Return a future of what `job` returns."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()

        def tell(result: T) -> None:
            if not future.cancelled():
                future.set_result(result)

        def do() -> None:
            result = job()
            # A loop that was closed meanwhile has nobody left who waits.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(tell, result)

        self._jobs.put(do)
        return future

    def close(self) -> None:
        """Finish what was submitted, and end."""
        self._jobs.put(None)
        self._thread.join()

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()
