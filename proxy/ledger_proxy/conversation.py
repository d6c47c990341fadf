"""One request and its answer over one pooled aiohttp connection: written once, read whole, given back or closed."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from aiohttp import ClientPayloadError, hdrs
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from aiohttp.http import RawResponseMessage
from aiohttp.streams import EMPTY_PAYLOAD, StreamReader

from ledger_proxy.headers import RawHeaders

# aiohttp's own limits would turn the answer to an executed request with long headers into an unknown outcome.
MAX_LINE = 65_536
MAX_FIELDS = 1_000
# Below this one copy is cheaper than a second write (and its TLS record).
_JOIN_BELOW = 65_536
_LOOK_EVERY = 1.0


@dataclass(slots=True)
class Progress:
    """How far one exchange got. `sent` is set before the first byte can go, never after."""

    sent: bool = False
    head: tuple[int, RawHeaders] | None = None


def usable(conn: Connection) -> bool:
    """Tell whether nothing waits to be read on it: that would pass for the answer to our request."""
    return not _protocol(conn).should_close


async def converse(
    conn: Connection, head: bytes, body: bytes, *, no_body: bool, progress: Progress
) -> tuple[RawResponseMessage, bytes]:
    """Write the request, read the answer, and give the connection back only if both are whole.

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
        _write(conn, head, body)
        message, payload = await _final_head(protocol)
        progress.head = (message.code, message.raw_headers)
        content = await _content(protocol, payload)
        _require_whole(protocol, message, payload)
    except BaseException:
        conn.close()
        raise
    _give_back(conn)
    return message, content


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


async def _content(protocol: ResponseHandler, payload: StreamReader) -> bytes:
    """Read the body to its end.

    aiohttp never wakes the reader of a chunked body that turns to garbage, so a silent second is worth a look.
    """
    parts: list[bytes] = []
    while not parts or not payload.at_eof():  # once at least: only reading tells that a body at its end is broken
        try:
            async with asyncio.timeout(_LOOK_EVERY):
                parts.append(await payload.readany())
        except TimeoutError:
            if (error := protocol.exception()) is not None:
                raise ClientPayloadError("the body is not framed as it should be") from error
    return b"".join(parts)


def _require_whole(protocol: ResponseHandler, message: RawResponseMessage, payload: StreamReader) -> None:
    """Refuse a body that only a broken connection ended: aiohttp takes a reset for its regular end."""
    framed = message.chunked or payload is EMPTY_PAYLOAD or hdrs.CONTENT_LENGTH in message.headers
    if not framed and isinstance(error := protocol.exception(), OSError):
        raise ClientPayloadError("the connection was reset") from error


def _give_back(conn: Connection) -> None:
    """Return the connection to the pool, unless the upstream answered before it had read everything."""
    transport = conn.transport
    if transport is not None and transport.get_write_buffer_size():
        conn.close()
    else:
        conn.release()
