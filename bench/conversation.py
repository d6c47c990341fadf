"""The load client's side of one HTTP/1.1 connection, through CONNECT and TLS where a proxy is in the way."""

from __future__ import annotations

import asyncio
import ssl

from bench.route import HOST, Route

LENGTH = b"\r\ncontent-length:"


class Conversation(asyncio.Protocol):
    """One request at a time; every answer must have a Content-Length."""

    def __init__(self) -> None:
        self._buffer = b""
        self._whole = 0
        self._waiting: asyncio.Future[bytes] | None = None
        self._transport: asyncio.Transport
        self._tunnelled = True

    @classmethod
    async def open(cls, route: Route, context: ssl.SSLContext) -> Conversation:
        """Connect, ask for the tunnel, shake hands."""
        loop = asyncio.get_running_loop()
        transport, self = await loop.create_connection(cls, *route.entry)
        self._transport = transport
        if route.proxy:
            self._tunnelled = False
            head = await self.ask(route.connect)
            self._tunnelled = True
            if b" 200 " not in head[:16]:
                raise ConnectionError(f"the proxy refused the tunnel: {head[:80]!r}")
        secured = await loop.start_tls(transport, self, context, server_hostname=HOST)
        assert secured is not None
        self._transport = secured
        return self

    async def ask(self, request: bytes) -> bytes:
        """Send a request; return the head of the answer (its body is read and dropped)."""
        self._waiting = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._waiting

    def close(self) -> None:
        """Hang up."""
        self._transport.close()

    def data_received(self, data: bytes) -> None:
        self._buffer = self._buffer + data if self._buffer else data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0 or self._waiting is None:
            return
        head = self._buffer[: end + 2].lower()
        length = self._length(head)
        if length is None:
            self._fail(ConnectionError(f"an answer without Content-Length: {head[:200]!r}"))
        elif len(self._buffer) >= end + 4 + length:
            self._buffer = b""
            waiting, self._waiting = self._waiting, None
            waiting.set_result(head)

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(exc or ConnectionError("the connection was closed before the answer"))

    def _length(self, head: bytes) -> int | None:
        if not self._tunnelled:
            return 0
        _, found, rest = head.partition(LENGTH)
        return int(rest[: rest.index(b"\r\n")]) if found else None

    def _fail(self, error: Exception) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(error)
