"""Whether an address is a ruled host's: only asked where a client gave an address and never said a name."""

from __future__ import annotations

import asyncio
import socket
import time

from ledger_proxy.settings import Address
from ledger_rules.ruleset import Ruleset

FRESH = 60.0
"""Seconds that the addresses of a name are believed; what they are next, its operator decides."""
SECONDS = 10.0


class RuledAddresses:
    """The addresses of the hosts that rules name, as this machine's resolver has them. A pattern has none."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, int], tuple[float, frozenset[str]]] = {}

    async def owner(self, rules: Ruleset, address: Address) -> str | None:
        """The ruled host that is at an address, None if there is no such."""
        at, port = address
        hosts = sorted(host for host in rules.hosts() if "*" not in host and rules.intercepts(host, port))
        found = await asyncio.gather(*(self._addresses(host, port) for host in hosts))
        return next((host for host, addresses in zip(hosts, found, strict=True) if at in addresses), None)

    async def _addresses(self, host: str, port: int) -> frozenset[str]:
        now = time.monotonic()
        since, known = self._known.get((host, port), (float("-inf"), frozenset[str]()))
        if now - since < FRESH:
            return known
        try:
            async with asyncio.timeout(SECONDS):
                found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, TimeoutError):
            found = []
        known = frozenset(str(one[4][0]) for one in found)
        self._known[host, port] = now, known
        return known
