"""A raw HTTP/1.1 origin that records every byte it is sent and answers from a script, however badly."""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable

type Script = Callable[[Peer], Awaitable[None]]

LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


class Peer:
    """One accepted connection; `request` is the one being answered."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer, self.request = reader, writer, b""

    async def write(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    def reset(self) -> None:
        linger = struct.pack("ii", 1, 0)
        self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.writer.transport.abort()


class Origin:
    """Serves on a loopback port; request n gets script n, the last script repeats. The greeting comes before any."""

    def __init__(self, *scripts: Script, greeting: Script | None = None, tls: ssl.SSLContext | None = None) -> None:
        self.scripts, self.greeting, self.tls = scripts, greeting, tls
        self.requests: list[bytes] = []
        self.names: list[str | None] = []
        self.connections = 0
        self.hung_up = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        if tls is not None:
            tls.sni_callback = lambda _sock, name, _ctx: self.names.append(name)

    async def __aenter__(self) -> Origin:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self.tls, backlog=512)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    @property
    def request(self) -> bytes:
        (only,) = self.requests
        return only

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        peer = Peer(reader, writer)
        try:
            if self.greeting is not None:
                await self.greeting(peer)
            while not writer.is_closing():
                peer.request = await _read_request(reader)
                self.requests.append(peer.request)
                await self.scripts[min(len(self.requests), len(self.scripts)) - 1](peer)
        except (asyncio.IncompleteReadError, ConnectionError):
            self.hung_up.set()
        except asyncio.CancelledError:
            pass
        finally:
            writer.transport.abort()


async def _read_request(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    length = LENGTH.search(head)
    return head + (await reader.readexactly(int(length[1])) if length else b"")


def replies(data: bytes) -> Script:
    """Answer with these bytes and keep the connection."""

    async def script(peer: Peer) -> None:
        await peer.write(data)

    return script


def then(*parts: bytes) -> Script:
    """Answer in parts that arrive one by one."""

    async def script(peer: Peer) -> None:
        for part in parts:
            await peer.write(part)
            await asyncio.sleep(0.02)

    return script


def ok(body: bytes = b"", *fields: bytes, status: bytes = b"200 OK") -> Script:
    """Answer with a well-formed head and this body."""
    lines = [b"HTTP/1.1 " + status, *fields, b"Content-Length: %d" % len(body), b"", body]
    return replies(b"\r\n".join(lines))


def closes(after: bytes = b"") -> Script:
    """Send these bytes, then end the connection in an orderly way."""

    async def script(peer: Peer) -> None:
        await peer.write(after)
        peer.writer.close()

    return script


def resets(after: bytes = b"") -> Script:
    """Send these bytes, then break the connection."""

    async def script(peer: Peer) -> None:
        await peer.write(after)
        await asyncio.sleep(0.05 if after else 0)
        peer.reset()

    return script


def stalls(after: bytes = b"") -> Script:
    """Send these bytes, then nothing until the client leaves."""

    async def script(peer: Peer) -> None:
        await peer.write(after)
        await peer.reader.readexactly(1)

    return script


async def stays_mute(peer: Peer) -> None:
    """Neither read nor say anything until the client leaves."""
    await peer.reader.read()
    peer.writer.close()
