"""Names for our own upstream leg, judged when they are resolved: right before a connection is opened."""

from __future__ import annotations

import socket

from aiohttp.abc import ResolveResult
from aiohttp.resolver import ThreadedResolver

from ledger_proxy.destinations import Destinations


class CheckedResolver(ThreadedResolver):
    """What `Destinations` forbids has no address here."""

    def __init__(self, destinations: Destinations) -> None:
        super().__init__()
        self._destinations = destinations

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """As aiohttp asks. Raises Forbidden, OSError."""
        found = await super().resolve(host, port, family)
        self._destinations.judge([one["host"] for one in found], host, port)
        return found
