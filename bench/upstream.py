"""The origin, a process of its own: TLS, fixed answers, a count of effects; as little work as asyncio allows.

`python -m bench.upstream CERTIFICATE-AND-KEY` prints its port, then serves until it is terminated.
POST is an effect and is counted, and one that accepts a STREAMED type is answered in pieces, the first of which says
when it was sent; `GET /effects` tells the count; `GET /bytes/N` sends N bytes; any other GET is small.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import sys
import time

CHUNK = bytes(256 * 1024)
HEAD = (
    b"HTTP/1.1 200 OK\r\nServer: origin\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\nContent-Type: application/json\r\n"
    b"Request-Id: req_2f8a9c\r\nCache-Control: no-cache, no-store\r\nContent-Length: %d\r\n\r\n"
)
BODY = (
    b'{"id": "or_%012d", "object": "order", "status": "accepted", "amount": 1299, "currency": "eur", "created": '
    b'1704067200, "livemode": false, "metadata": {}, "customer": "cus_9s6XKzkNRiz8i3", "lines": []}'
)

STREAMED = (b"text/event-stream", b"application/x-ndjson", b"application/json")
STREAM = b"HTTP/1.1 200 OK\r\nServer: origin\r\nContent-Type: %s\r\nTransfer-Encoding: chunked\r\n\r\n"
REST_SECONDS = 0.15
"""Until the rest of a streamed answer follows its first piece: nothing on the way may wait for that."""

_counted = 0


class Origin(asyncio.Protocol):
    """One connection."""

    def __init__(self) -> None:
        self._buffer = b""
        self._owed = 0
        self._paused = False
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.set_write_buffer_limits(high=4 * len(CHUNK))
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (request := self._next_request()) is not None:
            self._answer(*request)

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        self._send_owed()

    def _next_request(self) -> tuple[bytes, bytes, bytes] | None:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return None
        head = self._buffer[:end].lower()
        _, _, length = head.partition(b"\r\ncontent-length:")
        whole = end + 4 + int(length.split(b"\r\n", 1)[0] or b"0")
        if len(self._buffer) < whole:
            return None
        method, target, _ = self._buffer.split(b" ", 2)
        self._buffer = self._buffer[whole:]
        return method, target, head

    def _answer(self, method: bytes, target: bytes, head: bytes) -> None:
        global _counted  # noqa: PLW0603
        if method == b"POST":
            _counted += 1
            streamed = [kind for kind in STREAMED if b"\r\naccept: " + kind in head]
            self._stream(streamed[0]) if streamed else self._send(BODY % _counted)
        elif target == b"/effects":
            self._send(b"%d" % _counted)
        elif target.startswith(b"/bytes/"):
            self._owed = int(target[7:])
            self._transport.write(HEAD % self._owed)
            self._send_owed()
        else:
            self._send(b"{}")

    def _send(self, body: bytes) -> None:
        self._transport.write(HEAD % len(body) + body)

    def _stream(self, kind: bytes) -> None:
        piece = b"data: @%d@\n\n" % time.monotonic_ns()
        self._transport.write(STREAM % kind + b"%x\r\n%s\r\n" % (len(piece), piece))
        rest = b"a\r\ndata: end\n\r\n0\r\n\r\n"
        asyncio.get_running_loop().call_later(REST_SECONDS, self._transport.write, rest)

    def _send_owed(self) -> None:
        while self._owed and not self._paused:
            piece = CHUNK[: self._owed]
            self._owed -= len(piece)
            self._transport.write(piece)


async def main(certificate: str) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    context.set_alpn_protocols(["http/1.1"])
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Origin, "127.0.0.1", 0, ssl=context, backlog=512)
    port = server.sockets[0].getsockname()[1]
    # Who looks `localhost` up may try IPv6 first; a refusal there must not cost one side more than the other.
    with contextlib.suppress(OSError):
        await loop.create_server(Origin, "::1", port, ssl=context, backlog=512)
    print(port, flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
