"""An answer that streams: taken from the upstream once, handed to the agent as it comes, spooled for the record."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque

from ledger_proxy.spool import Spool
from ledger_proxy.upstream import Stream

AHEAD = 4
"""Pieces that may wait for the agent before the upstream has to wait."""
AGENT_SECONDS = 60.0
"""How long an agent may take nothing before it counts as gone."""


class BrokenOff(Exception):
    """The answer ended before its end."""


class Recording:
    """One such answer. The recorder's side is `record`, the agent's `read` and `leave`; neither waits for ever.

    limit: bytes that are taken down; of a longer body nothing is.
    """

    def __init__(self, stream: Stream, limit: int) -> None:
        self._stream, self._limit = stream, limit
        self._pieces: deque[bytes] = deque()
        self._ready, self._room = asyncio.Event(), asyncio.Event()
        self._left = self._broken = False
        self._keeping = True

    async def record(self) -> bytes | None:
        """Take all of it, whether the agent stays or not; return it, or None if it could not be kept.

        Raises MaybeSent where it breaks off; the agent's side breaks off too. A full disk costs the copy alone.
        """
        kept = Spool()
        try:
            while piece := await self._stream.read():
                self._keep(kept, piece)
                await self._hand(piece)
            await self._hand(b"")
            return kept.whole() if self._keeping else None
        except BaseException:
            self.break_off()
            raise
        finally:
            kept.close()

    def break_off(self) -> None:
        """Take no more of it: the agent's side breaks off, too."""
        self._stream.close()
        self._broken = True
        self._ready.set()

    async def read(self) -> bytes:
        """The agent's next piece, b"" at the end. Raises BrokenOff."""
        while not self._pieces:
            if self._broken or self._left:
                raise BrokenOff
            self._ready.clear()
            await self._ready.wait()
        self._room.set()
        return self._pieces.popleft()

    def leave(self) -> None:
        """The agent takes no more; what still comes is recorded all the same."""
        self._left = True
        self._pieces.clear()
        self._room.set()
        self._ready.set()

    def _keep(self, kept: Spool, piece: bytes) -> None:
        """A body that is not kept is no reason to lose what it answers."""
        if self._keeping and kept.size + len(piece) <= self._limit:
            with contextlib.suppress(OSError):
                kept.write(piece)
                return
        self._keeping = False
        kept.close()

    async def _hand(self, piece: bytes) -> None:
        if len(self._pieces) >= AHEAD and not self._left:
            self._room.clear()
            try:
                async with asyncio.timeout(AGENT_SECONDS):
                    await self._room.wait()
            except TimeoutError:
                self.leave()
        if not self._left:
            self._pieces.append(piece)
            self._ready.set()
