"""The least a tunnel can cost in asyncio: a CONNECT relay that knows, checks and bounds nothing; `bench.workers`' peer.

`python -m bench.relay N` prints its port, then N processes serve it until they are terminated. Trusts its client.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys

PIECE = memoryview(bytearray(256 * 1024))


class End(asyncio.BufferedProtocol):
    """One of the two sockets; what comes goes to the other."""

    other: asyncio.Transport

    def get_buffer(self, sizehint: int) -> memoryview:
        return PIECE

    def buffer_updated(self, nbytes: int) -> None:
        self.other.write(bytes(PIECE[:nbytes]))

    def connection_lost(self, exc: Exception | None) -> None:
        self.other.close()


class Front(asyncio.Protocol):
    """A client that has not asked yet."""

    def __init__(self) -> None:
        self._head = b""
        self._transport: asyncio.Transport
        self._joining: asyncio.Task[None]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._head += data
        if self._head.endswith(b"\r\n\r\n"):
            self._joining = asyncio.create_task(self._join(int(self._head.split()[1].rpartition(b":")[2])))

    async def _join(self, port: int) -> None:
        here, there = End(), End()
        here.other, _ = await asyncio.get_running_loop().create_connection(lambda: there, "127.0.0.1", port)
        there.other = self._transport
        self._transport.set_protocol(here)
        self._transport.write(b"HTTP/1.1 200 OK\r\n\r\n")


async def serve(listening: socket.socket) -> None:
    # One at a time, as workers accept: each gets its share.
    server = await asyncio.get_running_loop().create_server(Front, sock=listening, backlog=1)
    await server.serve_forever()


def main(processes: int) -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listening:
        print(listening.getsockname()[1], flush=True)
        made = []
        for _ in range(processes - 1):
            child = os.fork()
            if not child:
                signal.signal(signal.SIGTERM, signal.SIG_DFL)
                break
            made.append(child)
        try:
            asyncio.run(serve(listening))
        finally:
            for child in made:
                os.kill(child, signal.SIGTERM)
                os.waitpid(child, 0)


if __name__ == "__main__":
    main(int(sys.argv[1]))
