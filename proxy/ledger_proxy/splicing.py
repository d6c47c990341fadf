"""Tunnels: what nobody looks at goes from socket to socket, where mitmproxy takes each piece through tasks and layers.

Only pieces. How a tunnel begins, is half-closed, ends or is given up is mitmproxy's to say: its readers wait for an end
that comes to them as ever. A piece that finds its reader away, or its way closed, goes through the layers, so that none
overtakes another. Of asyncio's readers and their protocols two private names are used; without them all goes that way,
only slower.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any
from weakref import WeakSet

_PIECE = memoryview(bytearray(256 * 1024))
"""Where every piece is read to, as large as asyncio reads: it is gone before the next is read."""

_tunnelled: WeakSet[Any] = WeakSet()
_encrypting: WeakSet[Any] = WeakSet()


def tunnel(client: Any) -> None:
    """Every byte that this client of mitmproxy's sends from now on, and is sent, is to pass as it is."""
    _tunnelled.add(client)


def tunnelled(client: Any) -> bool:
    """Whether that was said of it."""
    return client in _tunnelled


def encrypts(client: Any) -> None:
    """This client of mitmproxy's speaks TLS with the sidecar. It forgets that itself when TLS begins inside."""
    _encrypting.add(client)


def begin(handler: Any, server: Any) -> None:
    """Join the two sockets of a tunnel whose server is connected; nothing, for another connection.

    handler: mitmproxy's. Its layers have passed on what the client said so far.
    """
    client = handler.client
    # Who speaks TLS with the sidecar itself, as one may with a proxy, sends bytes for it to decrypt; and a proxy behind
    # it is asked for the tunnel first, on the same connection.
    through_another = client.proxy_mode.type_name == "upstream"
    if server is client or not tunnelled(client) or client in _encrypting or through_another:
        return
    ends = [handler.transports.get(connection) for connection in (client, server)]
    if any(end is None or end.writer.is_closing() or not _known(end) for end in ends):
        return
    heard = handler.timeout_watchdog.register_activity
    one, other = (_Spliced(end.reader, end.writer.transport, heard) for end in ends)
    one.join(other)
    other.join(one)


def _known(end: Any) -> bool:
    """Whether its reader and its protocol are asyncio's, as they were in 3.13."""
    names = (end.reader, "_waiter"), (end.reader, "_paused"), (end.writer.transport.get_protocol(), "_paused")
    return all(hasattr(*name) for name in names)


class _Spliced(asyncio.BufferedProtocol):
    """One end of a tunnel, and its way to the other. It goes on in place of asyncio's own protocol, which it feeds."""

    def __init__(self, reader: Any, way: asyncio.Transport, heard: Callable[[], None]) -> None:
        self._reader, self._way, self._heard = reader, way, heard
        self._kept: Any = way.get_protocol()

    def join(self, other: _Spliced) -> None:
        """From now on what comes here goes to the other end, no faster than it is taken there."""
        self._other, self._there = other, other._way
        self._way.set_protocol(self)
        # What was said while the other was not yet reached may be more already than is taken at once.
        if self._kept._paused:
            self._there.pause_reading()

    def get_buffer(self, sizehint: int) -> memoryview:
        return _PIECE

    def buffer_updated(self, nbytes: int) -> None:
        piece = bytes(_PIECE[:nbytes])
        if self._reader._waiter is None or self._there.is_closing():
            self._kept.data_received(piece)
        else:
            self._heard()
            self._there.write(piece)

    def pause_writing(self) -> None:
        self._kept.pause_writing()
        self._there.pause_reading()

    def resume_writing(self) -> None:
        self._kept.resume_writing()
        self._other.read_on()

    def read_on(self) -> None:
        """There is room at the other end. A reader that has too much for its layers goes on by itself, later."""
        if not self._reader._paused:
            self._way.resume_reading()

    def eof_received(self) -> bool | None:
        return self._kept.eof_received()  # type: ignore[no-any-return]

    def connection_lost(self, exc: Exception | None) -> None:
        self._kept.connection_lost(exc)
        # Nobody is left who could say that there is room again; what comes yet has its end in the layers.
        self._other.read_on()
