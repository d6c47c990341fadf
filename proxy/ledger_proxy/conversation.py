"""One request and its answer over one pooled aiohttp connection: written once, read once, given back or closed."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import BinaryIO

from aiohttp import ClientPayloadError, hdrs
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from aiohttp.http import RawResponseMessage, StreamWriter
from aiohttp.streams import EMPTY_PAYLOAD, StreamReader

from ledger_proxy.headers import RawHeaders

# aiohttp's own limits would turn the answer to an executed request with long headers into an unknown outcome.
MAX_LINE = 65_536
MAX_FIELDS = 1_000
# Below this one copy is cheaper than a second write (and its TLS record).
_JOIN_BELOW = 65_536
_LOOK_EVERY = 1.0
_PIECE = 65_536
AT_ONCE = 65_536
"""Bytes of a body that are waited for before it is handed on as a stream."""
PATIENCE = 0.03
"""Seconds that a body of unknown length has to come whole, before it is handed on as a stream."""
COMES_BIT_BY_BIT = frozenset({
    "text/event-stream", "application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines",
    "application/json-seq", "application/stream+json", "application/vnd.amazon.eventstream",
})  # fmt: skip
"""Types of bodies that are read as they come, so that nobody waits for one to come whole."""


@dataclass(slots=True)
class Progress:
    """How far one exchange got. `sent` is set before the first byte can go, never after."""

    sent: bool = False
    head: tuple[int, RawHeaders] | None = None


def usable(conn: Connection) -> bool:
    """Tell whether nothing waits to be read on it: that would pass for the answer to our request."""
    return not _protocol(conn).should_close


class Body:
    """The body of an answer, read once, to its end. Its connection is given back there, and closed on any fault."""

    def __init__(
        self, conn: Connection, message: RawResponseMessage, payload: StreamReader, reusable: bool = True
    ) -> None:
        self._conn, self._message, self._payload, self._reusable = conn, message, payload, reusable
        self._protocol = _protocol(conn)
        self._first: list[bytes] = []
        self._ended = False

    async def beginning(self) -> bytes | None:
        """All of it, if it comes at once; None if it streams or is large, and then `read` has it from its start."""
        size = self._message.headers.get(hdrs.CONTENT_LENGTH)
        if size is not None and not self._message.chunked:
            return await self.whole() if int(size) <= AT_ONCE or self._payload is EMPTY_PAYLOAD else None
        if self._payload is not EMPTY_PAYLOAD and _comes_bit_by_bit(self._message):
            return None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                while sum(map(len, self._first)) <= AT_ONCE:
                    self._first.append(await self._next())
                    if self._ended:
                        return b"".join(self._first)
        return None

    async def whole(self) -> bytes:
        """All of it. Raises whatever went wrong, with the connection closed."""
        parts = []
        while piece := await self.read():
            parts.append(piece)
        return b"".join(parts)

    async def read(self) -> bytes:
        """Some more of it, b"" at its end. Raises whatever went wrong, with the connection closed."""
        if self._first:
            return self._first.pop(0) or await self.read()
        return b"" if self._ended else await self._next()

    def close(self) -> None:
        """Give up what was not read."""
        if not self._ended:
            self._conn.close()

    async def _next(self) -> bytes:
        try:
            piece = await (self._payload.readany() if self._payload.is_eof() else self._watched())
            # Only reading tells that a body at its end is broken.
            if not piece or self._payload.at_eof():
                _require_whole(self._protocol, self._message, self._payload)
                self._ended = True
                _give_back(self._conn, self._reusable)
        except Exception:
            self._conn.close()
            raise
        return piece

    async def _watched(self) -> bytes:
        """aiohttp never wakes the reader of a chunked body that turns to garbage: a silent second is worth a look."""
        while True:
            try:
                async with asyncio.timeout(_LOOK_EVERY):
                    return await self._payload.readany()
            except (TimeoutError, RuntimeError) as gone:  # the latter: it refuses to wait on a closed connection
                if (error := self._protocol.exception()) is not None:
                    raise ClientPayloadError("the body is not framed as it should be") from error
                if isinstance(gone, RuntimeError):
                    raise


async def converse(
    conn: Connection, head: bytes, body: bytes | BinaryIO, *, no_body: bool, progress: Progress
) -> tuple[RawResponseMessage, Body]:
    """Write the request and read the head of its answer.

    no_body: the answer to this method (HEAD) has none, whatever its fields say.
    Raises whatever went wrong, with the connection closed and `progress` telling how far it got.
    """
    try:
        protocol = _protocol(conn)
        protocol.set_response_params(
            skip_payload=no_body,
            read_until_eof=True,
            auto_decompress=False,
            max_line_size=MAX_LINE,
            max_field_size=MAX_LINE,
            max_headers=MAX_FIELDS,
        )
        progress.sent = True
        if isinstance(body, bytes):
            _write(conn, head, body)
            message, payload = await _final_head(protocol)
            taken = True
        else:
            message, payload, taken = await _upload(conn, protocol, head, body)
        progress.head = (message.code, message.raw_headers)
        if message.headers.get(hdrs.TRANSFER_ENCODING, "chunked").strip().lower() != "chunked":
            raise ClientPayloadError("its body is in a transfer coding that nobody asked for")
        return message, Body(conn, message, payload, taken)
    except BaseException:
        conn.close()
        raise


def _protocol(conn: Connection) -> ResponseHandler:
    if conn.protocol is None:
        raise ConnectionAbortedError("the connection is gone")
    return conn.protocol


def _write(conn: Connection, head: bytes, body: bytes) -> None:
    transport = conn.transport
    if transport is None:
        raise ConnectionAbortedError("the connection is gone")
    if len(body) < _JOIN_BELOW:
        transport.write(head + body)
    else:
        transport.write(head)
        transport.write(body)


async def _final_head(protocol: ResponseHandler) -> tuple[RawResponseMessage, StreamReader]:
    """Read heads until one is final: 1xx announce it, except 101, which we never asked for."""
    while True:
        message, payload = await protocol.read()
        if message.code == 101:
            raise ConnectionAbortedError("it switched protocols unasked")
        if message.code >= 200:
            return message, payload


async def _upload(
    conn: Connection, protocol: ResponseHandler, head: bytes, body: BinaryIO
) -> tuple[RawResponseMessage, StreamReader, bool]:
    """Write a body that is not in memory, at the pace of the upstream; an answer that comes earlier ends it.

    The third tells whether all of it was written.
    """
    writing = asyncio.create_task(_write_file(conn, protocol, head, body))
    reading = asyncio.create_task(_final_head(protocol))
    try:
        await asyncio.wait((writing, reading), return_when=asyncio.FIRST_COMPLETED)
        if not reading.done():
            await writing
        return *await reading, writing.done()
    finally:
        for task in (writing, reading):
            task.cancel()
        await asyncio.gather(writing, reading, return_exceptions=True)


async def _write_file(conn: Connection, protocol: ResponseHandler, head: bytes, body: BinaryIO) -> None:
    writer = StreamWriter(protocol, asyncio.get_running_loop())
    _write(conn, head, b"")
    while piece := body.read(_PIECE):
        await writer.write(piece)
        await writer.drain()


def _comes_bit_by_bit(message: RawResponseMessage) -> bool:
    return message.headers.get(hdrs.CONTENT_TYPE, "").partition(";")[0].strip().lower() in COMES_BIT_BY_BIT


def _require_whole(protocol: ResponseHandler, message: RawResponseMessage, payload: StreamReader) -> None:
    """Refuse a body that only a broken connection ended: aiohttp takes a reset for its regular end."""
    framed = message.chunked or payload is EMPTY_PAYLOAD or hdrs.CONTENT_LENGTH in message.headers
    if not framed and isinstance(error := protocol.exception(), OSError):
        raise ClientPayloadError("the connection was reset") from error


def _give_back(conn: Connection, reusable: bool) -> None:
    """Return the connection to the pool, unless the upstream answered before it had read everything."""
    transport = conn.transport
    if not reusable or (transport is not None and transport.get_write_buffer_size()):
        conn.close()
    else:
        conn.release()
