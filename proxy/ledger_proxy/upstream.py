"""The upstream leg: one request out, one answer back, and the truth about whether it was sent. No retry, ever.

Deliberately below aiohttp's `ClientSession`, on its pool, TLS and parser alone: the session re-sends idempotent methods
on a stale pooled connection, follows redirects, adds headers, requotes URLs and keeps cookies. Here a request is
written in one place, once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Protocol

from aiohttp import ClientTimeout, TCPConnector
from aiohttp.connector import Connection

from ledger_proxy import faults
from ledger_proxy.chaining import parse_proxy
from ledger_proxy.conversation import Body, Progress, converse, usable
from ledger_proxy.destinations import Destinations
from ledger_proxy.headers import RawHeaders
from ledger_proxy.limits import FRESH_IDLE
from ledger_proxy.lookup import CheckedResolver
from ledger_proxy.peers import Peers
from ledger_proxy.resolver import Endpoint
from ledger_proxy.routes import Route, find_route, trusts
from ledger_proxy.spool import Spool
from ledger_proxy.wire import request_head
from ledger_rules.request import Request, place

RESENDABLE_IDLE = 30.0
_POOLED_TRIES = 5

type Still = Callable[[], Awaitable[bool]]
"""Whether a request may still be sent: to connect can take long, and a process can stand still meanwhile."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, byte for byte. The body is without transfer coding but still content-encoded."""

    status: int
    reason: str
    headers: RawHeaders
    body: bytes


@dataclass(frozen=True, slots=True)
class Streamed:
    """The head of an answer whose body is large, or still on its way."""

    status: int
    reason: str
    headers: RawHeaders
    body: Stream


class Stream(Protocol):
    """A body as it arrives."""

    async def read(self) -> bytes:
        """Some more of it, b"" at its end. Raises MaybeSent where it breaks off."""
        ...

    def close(self) -> None:
        """Give up what was not read."""
        ...


class NotSent(Exception):
    """Proof that no byte of the request reached the upstream. `str()` is one line that names the host."""


class MaybeSent(Exception):
    """A byte may have gone out and no whole answer came back. `str()` is one line that names the host.

    head: the status and fields of the final answer, where these arrived before it broke.
    """

    def __init__(self, message: str, head: tuple[int, RawHeaders] | None = None) -> None:
        super().__init__(message)
        self.head = head


class Upstream(Protocol):
    """Sends each request once, at most."""

    async def send(
        self,
        request: Request,
        *,
        headers: Sequence[tuple[str, str]],
        resendable: bool,
        body: Spool | None = None,
        still: Still | None = None,
    ) -> Answer | Streamed:
        """Send the request with these fields instead of its own; read the whole answer, or its head if it streams.

        headers: as `headers.to_text` decodes them; Host, Content-Length and hop-by-hop fields are put right.
        resendable: the upstream honours a key of ours, so a connection that it may have just closed is worth trying.
        body: the request's, where it is not in memory. still: asked when there is a connection, before the first byte.
        Raises NotSent, also where it may not be sent any more, or MaybeSent. A cancelled send may have been sent.
        """
        ...

    async def close(self) -> None:
        """Close every connection; exchanges in flight break off."""
        ...


class AiohttpUpstream:
    """An `Upstream` over pooled HTTP/1.1 connections. Build it inside the running event loop.

    resolve: (host, port) → (address, port) to connect to instead; certificate check, SNI and Host stay the host's.
    ca_bundle: PEM file that alone decides whom to trust; None for the system's and certifi's roots.
    proxy: `http[s]://[user:password@]host[:port]` to chain through; environment variables are not read.
    timeout, connect_timeout: seconds for the whole exchange, and for its connection.
    destinations: judges the addresses that names resolve to. peers: hosts that are verified otherwise, or shown a
    certificate; not through a proxy that is reached by TLS itself.
    Raises ValueError, in one line, for a proxy or a bundle that cannot be used.
    """

    def __init__(
        self,
        *,
        resolve: Mapping[Endpoint, Endpoint],
        ca_bundle: Path | None = None,
        proxy: str | None = None,
        timeout: float = 600,
        connect_timeout: float = 30,
        destinations: Destinations | None = None,
        peers: Peers | None = None,
    ) -> None:
        chained = parse_proxy(proxy) if proxy else None
        find = partial(find_route, resolve=dict(resolve), proxy=chained, context=trusts(ca_bundle, peers or Peers()))
        self._route = lru_cache(maxsize=1024)(find)
        self._timeout = timeout
        self._connect_timeout = ClientTimeout(total=None, connect=connect_timeout)
        resolver = CheckedResolver(destinations or Destinations())
        connector = partial(TCPConnector, limit=0, resolver=resolver)
        self._fresh = connector(keepalive_timeout=FRESH_IDLE)
        self._resendable = connector(keepalive_timeout=RESENDABLE_IDLE)

    async def send(
        self,
        request: Request,
        *,
        headers: Sequence[tuple[str, str]],
        resendable: bool,
        body: Spool | None = None,
        still: Still | None = None,
    ) -> Answer | Streamed:
        """Send the request once and read its answer; see `Upstream.send`."""
        route, head = self._prepare(request, headers, len(request.body) if body is None else body.size)
        progress = Progress()
        try:
            async with asyncio.timeout(self._timeout):
                conn = await self._connect(route, resendable)
                if still is not None and not await still():
                    conn.release()
                    raise faults.GivenUp
                no_body = request.method == "HEAD"
                content = request.body if body is None else body.rewound()
                answer, rest = await converse(conn, head, content, no_body=no_body, progress=progress)
                whole = await _beginning(rest)
        except Exception as error:  # the phase decides, not the type: also for a fault of our own
            if progress.sent:
                raise MaybeSent(faults.maybe_sent(error, route), progress.head) from error
            raise NotSent(faults.not_sent(error, route)) from error
        if whole is None:
            stream = _Stream(rest, route, self._timeout, progress)
            return Streamed(answer.code, answer.reason, answer.raw_headers, stream)
        return Answer(answer.code, answer.reason, answer.raw_headers, whole)

    async def close(self) -> None:
        """Close every connection; exchanges in flight break off."""
        await self._fresh.close()
        await self._resendable.close()

    def _prepare(self, request: Request, headers: Sequence[tuple[str, str]], length: int) -> tuple[Route, bytes]:
        try:
            route = self._route(request.scheme, request.host, request.port)
            return route, request_head(
                request,
                headers,
                length=length,
                authority=route.authority,
                prefix=route.prefix,
                proxy_authorization=route.proxy_authorization,
            )
        except ValueError as error:
            raise NotSent(f"{place(request.host, request.port)}: {error}; nothing was sent") from error

    async def _connect(self, route: Route, resendable: bool) -> Connection:
        connector = self._resendable if resendable else self._fresh
        for _ in range(_POOLED_TRIES):
            conn = await connector.connect(route.pool_key, traces=[], timeout=self._connect_timeout)
            if usable(conn):
                return conn
            conn.close()
        raise ConnectionAbortedError("it answers before it is asked")


class _Stream:
    """A `Stream` over the rest of a conversation. timeout: seconds that each piece has."""

    def __init__(self, body: Body, route: Route, timeout: float, progress: Progress) -> None:
        self._body, self._route, self._timeout, self._progress = body, route, timeout, progress

    async def read(self) -> bytes:
        try:
            async with asyncio.timeout(self._timeout):
                return await self._body.read()
        except Exception as error:
            self._body.close()
            raise MaybeSent(faults.maybe_sent(error, self._route), self._progress.head) from error
        except BaseException:
            self._body.close()
            raise

    def close(self) -> None:
        self._body.close()


async def _beginning(body: Body) -> bytes | None:
    try:
        return await body.beginning()
    except BaseException:
        body.close()
        raise
