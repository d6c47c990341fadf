"""Listening sockets, bound before anybody serves them, by another process even: so a parent's workers share a port.

One socket, not one each under SO_REUSEPORT: connections that nobody has accepted yet belong to the socket, so neither a
worker that is killed nor one that is replaced takes any with it; and no second sidecar, with another ledger, can slip
in beside it.
"""

from __future__ import annotations

import asyncio
import errno
import json
import os
import socket
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from ledger_proxy.destinations import is_loopback
from ledger_proxy.errors import EngineError
from ledger_proxy.modes import Kind
from ledger_proxy.settings import Address, Settings
from ledger_rules.request import place

VARIABLE = "LEDGER_WORKER"
"""In it a worker finds what it was handed."""
BACKLOG = 1024
_TWINS = {"127.0.0.1": "::1", "0.0.0.0": "::"}  # noqa: S104 - what a person may ask for


@dataclass(frozen=True, slots=True)
class Handed:
    """What a parent hands to a worker.

    listening: descriptors of sockets that listen. asked: the Unix socket on which the worker is asked for its numbers,
    None where nobody will. admin: where the parent's admin server listens. name: what they go by, see `rings`.
    """

    listening: tuple[int, ...]
    asked: str | None = None
    admin: Address | None = None
    name: str | None = None

    @classmethod
    def found(cls, environ: Mapping[str, str] = os.environ) -> Self | None:
        """What this process was handed; None for one that no parent started."""
        if (text := environ.get(VARIABLE)) is None:
            return None
        told = json.loads(text)
        admin = told["admin"]
        # The parent may be of an older version: workers are replaced by new code.
        name = told.get("name")
        return cls(tuple(told["listening"]), told["asked"], (admin[0], admin[1]) if admin else None, name)

    def variable(self) -> dict[str, str]:
        """The environment that a worker finds it in."""
        return {VARIABLE: json.dumps(asdict(self))}

    def sockets(self) -> list[socket.socket]:
        """What this process serves now."""
        return [Listening(fileno=fd) for fd in self.listening]

    @property
    def address(self) -> Address:
        """Where the first of the sockets listens."""
        with socket.socket(fileno=os.dup(self.listening[0])) as twin:
            host, port, *_ = twin.getsockname()
        return host, port


class Listening(socket.socket):
    """A socket that listens already; asyncio's own call would shorten its queue."""

    def listen(self, backlog: int = 0) -> None:
        """It does."""


async def serve(
    sockets: Iterable[socket.socket], handle: Callable[..., Awaitable[None]], at_once: int
) -> list[asyncio.Server]:
    """Accept connections, at most so many at once, from sockets that listen already; close them with the servers."""
    return [await asyncio.start_server(handle, sock=sock, backlog=at_once) for sock in sockets]


def bind(listen: Address, twin: bool = False) -> list[socket.socket]:
    """Sockets that listen at every address the host has, all on one port. Raises EngineError.

    twin: loopback is meant in either family, and so is every address.
    """
    host, port = listen
    made: list[socket.socket] = []
    missing: OSError | None = None
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        if twin and (other := _TWINS.get(host)) and has_ipv6():
            found += socket.getaddrinfo(other, port, type=socket.SOCK_STREAM)
        for family, kind, _, _, at in found:
            try:
                made.append(_bound(family, kind, (at[0], port or (made[0].getsockname()[1] if made else 0), *at[2:])))
            except OSError as error:
                # A name may have an address of a family that this machine is without.
                if error.errno != errno.EADDRNOTAVAIL:
                    raise
                missing = error
        if not made and missing is not None:
            raise missing
    except OSError as error:
        for sock in made:
            sock.close()
        raise EngineError(cannot_listen(listen, error.strerror or error)) from None
    return made


def has_ipv6() -> bool:
    """Whether this machine has IPv6 at all."""
    return Path("/proc/net/if_inet6").exists()


def _bound(family: int, kind: int, at: tuple[Any, ...]) -> socket.socket:
    sock = Listening(family, kind)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(at)
        super(Listening, sock).listen(BACKLOG)
    except OSError:
        sock.close()
        raise
    return sock


def cannot_listen(listen: Address, why: object) -> str:
    """One line for a port that cannot be had."""
    return f"cannot listen on {place(*listen)}: {why}; choose another --listen (port 0 takes a free one)"


def require_secret(settings: Settings) -> None:
    """Raise EngineError for a sidecar that strangers could reach and use."""
    if settings.mode.kind is Kind.TRANSPARENT:
        _require_transparent(settings)
    # To a transparent one only that comes which was redirected; who comes by himself is told that it is a loop.
    listen = None if settings.mode.kind is Kind.TRANSPARENT else settings.listen
    for host, *_ in filter(None, (listen, settings.admin)):
        if not is_loopback(host) and settings.auth is None:
            raise EngineError(f"{host} is not a loopback address: give a secret that clients must know (--auth @FILE)")


def _require_transparent(settings: Settings) -> None:
    """Raise EngineError for what clients that know of no proxy cannot do."""
    if settings.auth is not None:
        raise EngineError("clients of a transparent sidecar cannot show a secret; leave --auth and LEDGER_AUTH out")
    if settings.upstream_proxy is not None:
        raise EngineError(
            "a transparent sidecar cannot chain through another proxy; unset HTTPS_PROXY and ALL_PROXY, or do without"
        )
