"""The end of a sidecar: asked once it drains, asked again it ends at once. What is still being sent then is recorded as
unknown, as it is when the drain is over.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any


class Ending:
    """asked: somebody wants it to end. haste: somebody wants it again. hurry: called whenever somebody does."""

    def __init__(self, hurry: Callable[[], None] = lambda: None) -> None:
        self.asked, self.haste = asyncio.Event(), asyncio.Event()
        self._hurry = hurry

    def ask(self) -> None:
        """Each signal that means the end."""
        if not self.asked.is_set():
            self.asked.set()
        else:
            self.haste.set()
            self._hurry()

    def hasten(self) -> None:
        """Told to end, and at once."""
        self.asked.set()
        self.ask()

    async def unhurried(self, work: Coroutine[Any, Any, object]) -> None:
        """Do it, unless there is haste; then it is broken off."""
        tasks = [asyncio.ensure_future(work), asyncio.ensure_future(self.haste.wait())]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        done, *_ = await asyncio.gather(*tasks, return_exceptions=True)
        if isinstance(done, Exception):
            raise done
