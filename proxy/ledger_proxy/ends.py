"""Our own ends of connections to upstreams: a redirect that catches them, too, would lead us to ourselves for ever."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from typing import Any
from weakref import WeakSet

from aiohttp import AddrInfoType

from ledger_proxy.settings import Address


class Ends:
    """Those that are open. Our own leg asks for its sockets here; what the front opens is known once it is open."""

    def __init__(self) -> None:
        self._opening: dict[str, tuple[Address, asyncio.Event]] = {}
        self._entered: set[Address] = set()
        self._made: WeakSet[socket.socket] = WeakSet()

    def expect(self, connection: str, address: Address) -> None:
        """The front opens one, known by this id, to there."""
        self._opening[connection] = address, asyncio.Event()

    def enter(self, connection: str, end: tuple[Any, ...] | None) -> None:
        """It is open, or (None) it failed."""
        if found := self._opening.pop(connection, None):
            found[1].set()
        if end:
            self._entered.add(end[:2])

    def leave(self, end: tuple[Any, ...] | None) -> None:
        """It is closed."""
        if end:
            self._entered.discard(end[:2])

    def make(self, address: AddrInfoType) -> socket.socket:
        """A socket, as aiohttp's connector wants it made."""
        family, kind, protocol, *_ = address
        made = socket.socket(family, kind, protocol)
        self._made.add(made)
        return made

    async def opened(self, address: Address) -> None:
        """Wait until nothing is being opened to there: only then `hold` is sure."""
        waiting = [event.wait() for to, event in list(self._opening.values()) if to == address]
        await asyncio.gather(*waiting)

    def hold(self, end: tuple[Any, ...]) -> bool:
        """Say whether a connection that comes from there is one of ours."""
        return end[:2] in self._entered or any(end[:2] == _name(one) for one in list(self._made))


def _name(one: socket.socket) -> tuple[Any, ...] | None:
    with suppress(OSError):
        return one.getsockname()[:2]  # type: ignore[no-any-return]
    return None  # closed
