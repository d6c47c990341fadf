"""A raw origin in a process of its own: it writes down every byte it is sent and answers from a script.

Run as a script; shares no code with Ledger. The last word of the path names the answer: `/anything/<answer>`.
What it saw is appended to a file, one JSON line for each request: its head and body as they came, base64, and the
number of the connection it came on.
"""

from __future__ import annotations

import argparse
import base64
import gzip
import itertools
import json
import random
import socket
import ssl
import struct
import threading
import time
import zlib
from typing import Any

BIG = bytes(range(256)) * 2048
GZIPPED = gzip.compress(b'{"hello": "world"}', mtime=0)


def _sized(body: bytes, *fields: bytes, status: bytes = b"200 OK", version: bytes = b"HTTP/1.1") -> bytes:
    return b"\r\n".join((version + b" " + status, *fields, b"Content-Length: %d" % len(body), b"", body))


def _chunked(*chunks: bytes, fields: tuple[bytes, ...] = (), trailers: bytes = b"", extension: bytes = b"") -> bytes:
    head = b"\r\n".join((b"HTTP/1.1 200 OK", *fields, b"Transfer-Encoding: chunked", b"", b""))
    coded = b"".join(b"%x%s\r\n%s\r\n" % (len(chunk), extension, chunk) for chunk in chunks)
    return head + coded + b"0\r\n" + trailers + b"\r\n"


def _bodiless(status: bytes, *fields: bytes) -> bytes:
    return b"\r\n".join((b"HTTP/1.1 " + status, *fields, b"", b""))


JSON = b"Content-Type: application/json"
ANSWERS: dict[str, bytes] = {
    "plain": _sized(b"hello", b"Content-Type: text/plain"),
    "empty": _sized(b""),
    "json": _sized(b'{"id": 1}', JSON),
    "large": _sized(BIG, b"Content-Type: application/octet-stream"),
    "longer": _sized(BIG[:70_000]),
    "chunked": _chunked(b"hello ", b"world", fields=(JSON,)),
    "chunked-empty": _chunked(),
    "chunked-large": _chunked(BIG, BIG),
    "chunk-extensions": _chunked(b"hello", extension=b";name=value"),
    "trailers": _chunked(b"hello", fields=(b"Trailer: X-Sum",), trailers=b"X-Sum: 5\r\n"),
    "no-content": _bodiless(b"204 No Content", b"X-Kept: yes"),
    "not-modified": _bodiless(b"304 Not Modified", b'ETag: "1"'),
    "not-modified-sized": _bodiless(b"304 Not Modified", b"Content-Length: 1234"),
    "reset-content": _sized(b"", status=b"205 Reset Content"),
    "partial": _sized(b"ell", b"Content-Range: bytes 1-3/5", status=b"206 Partial Content"),
    "moved": _sized(b"", b"Location: /elsewhere?a=b#c", status=b"302 Found"),
    "see-other": _sized(b"", b"Location: https://other.test/", status=b"303 See Other"),
    "unauthorized": _sized(
        b"no", b"WWW-Authenticate: Basic realm=a", b"WWW-Authenticate: Bearer", status=b"401 Unauthorized"
    ),
    "missing": _sized(b"nothing here", status=b"404 Not Found"),
    "declined": _sized(b'{"error": 1}', JSON, status=b"402 Payment Required"),
    "too-many": _sized(b"", b"Retry-After: 3", status=b"429 Too Many Requests"),
    "broken": _sized(b"oops", status=b"500 Internal Server Error"),
    "odd-status": _sized(b"odd", status=b"299 Strange"),
    "cookies": _sized(b"ok", b"Set-Cookie: a=1; Path=/", b"Set-Cookie: b=2, c", b"Set-Cookie: a=3"),
    "lists": _sized(b"ok", b"X-List: 1", b"X-Other: x", b"X-List: 2", b"Vary: A", b"Vary: B, C"),
    "latin": _sized(b"ok", b"X-Name: caf\xe9", b"X-Utf: caf\xc3\xa9", status=b"200 Tr\xe8s bien"),
    "no-reason": _sized(b"ok", status=b"200 "),
    "odd-case": _sized(b"ok", b"x-LOWER-upper: v", b"ETAG: W/\"x\""),
    "empty-value": _sized(b"ok", b"X-Empty:", b"X-Spaces:   a  b  "),
    "gzip": _sized(GZIPPED, JSON, b"Content-Encoding: gzip"),
    "gzip-chunked": _chunked(GZIPPED, fields=(JSON, b"Content-Encoding: gzip")),
    "brotli-bytes": _sized(b"\x8b\x03\x80notreally\x03", b"Content-Encoding: br"),
    "many-fields": _sized(b"ok", *(b"X-%d: %d" % (n, n) for n in range(90))),
    "long-field": _sized(b"ok", b"X-Long: " + b"v" * 30_000),
    "early-hints": _bodiless(b"103 Early Hints", b"Link: </a>") + _sized(b"final", b"X-Final: yes"),
    "processing": _bodiless(b"102 Processing") * 3 + _sized(b"final"),
    "stray-continue": _bodiless(b"100 Continue") + _sized(b"final"),
    "length-of-one-hop": _sized(b"hello", b"Connection: Content-Length"),
    "hop-by-hop": _sized(b"ok", b"Connection: X-Private", b"X-Private: 1", b"Keep-Alive: timeout=5", b"X-End: 1"),
}  # fmt: skip
"""What it can be asked for, byte for byte."""
CLOSING: dict[str, bytes] = {
    "until-close": b"HTTP/1.1 200 OK\r\nX-A: 1\r\n\r\nuntil the end",
    "old": b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nold",
    "close": _sized(b"bye", b"Connection: close"),
    "folded": _sized(b"ok", b"X-Folded: one\r\n two"),
    "bare-lf": b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
}
"""The same, and then the connection is closed."""
UNSOUND: dict[str, bytes] = {
    "two-framings": _chunked(b"hello", fields=(b"Content-Length: 3",)),
    "two-lengths": _sized(b"hello", b"Content-Length: 3"),
    "same-lengths": _sized(b"hello", b"Content-Length: 5"),
}
"""What reads in two ways, so that no proxy may pass it on."""


class Recorder:
    """The file and its lock."""

    def __init__(self, file: str) -> None:
        self._file, self._lock = file, threading.Lock()
        self._numbers = itertools.count(1)

    def number(self) -> int:
        return next(self._numbers)

    def note(self, connection: int, head: bytes, body: bytes) -> None:
        line = {
            "connection": connection,
            "head": base64.b64encode(head).decode(),
            "body": base64.b64encode(body).decode(),
        }
        with self._lock, open(self._file, "a") as out:
            out.write(json.dumps(line) + "\n")


class Connection:
    """One accepted connection; reads requests as plainly as can be and answers each."""

    def __init__(self, raw: socket.socket, recorder: Recorder) -> None:
        self.socket, self.recorder, self.number = raw, recorder, recorder.number()
        self.file = raw.makefile("rb")

    def serve(self) -> None:
        while head := self._head():
            name = head.split(b" ", 2)[1].partition(b"?")[0].rpartition(b"/")[2].decode("latin-1")
            if name == "upgrade":
                return self._upgrade(head)
            if name in SIZED:
                self.recorder.note(self.number, head, b"" if name == "swallow" else self._body(head))
                return SIZED[name](self, int(head.split(b" ")[1].split(b"/")[-2]))
            if name.endswith("-early"):
                return MISBEHAVIOUR[name](self)
            if b"\r\nexpect: 100-continue" in head.lower():
                self.socket.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
            self.recorder.note(self.number, head, self._body(head))
            if name in MISBEHAVIOUR:
                return MISBEHAVIOUR[name](self)
            if not self._answer(name, head):
                return None
        return None

    def _answer(self, name: str, head: bytes) -> bool:
        data = {**ANSWERS, **CLOSING, **UNSOUND}.get(name) or ANSWERS["plain"]
        if head.startswith(b"HEAD "):
            end = data.rfind(b"\r\n\r\n", 0, data.find(b"final")) if b"final" in data else data.find(b"\r\n\r\n")
            data = data[: end + 4]
        self.socket.sendall(data)
        return name not in CLOSING and b"\r\nconnection: close" not in head.lower()

    def _head(self) -> bytes:
        lines = []
        while (line := self.file.readline()) not in (b"\r\n", b"\n", b""):
            lines.append(line)
        return b"".join(lines)

    def _body(self, head: bytes) -> bytes:
        lowered = head.lower()
        if b"\r\ntransfer-encoding:" in lowered:
            return self._chunks()
        _, found, rest = lowered.partition(b"\r\ncontent-length:")
        return self.file.read(int(rest.split(b"\r\n")[0])) if found else b""

    def _chunks(self) -> bytes:
        body = b""
        while size := int(self.file.readline().partition(b";")[0], 16):
            body += self.file.read(size)
            self.file.readline()
        while self.file.readline() not in (b"\r\n", b""):
            pass
        return body

    def swallow(self, size: int) -> None:
        left = size
        while left and (data := self.file.read(min(left, 1 << 20))):
            left -= len(data)
        self.socket.sendall(_sized(b"swallowed %d" % (size - left)))

    def _upgrade(self, head: bytes) -> None:
        """Switch to a protocol that says everything back."""
        self.recorder.note(self.number, head, b"")
        protocol = b"websocket" if b"websocket" in head else b"echo"
        self.socket.sendall(
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: %s\r\n\r\n" % protocol
        )
        while data := self.file.readline():
            self.socket.sendall(b"echo " + data)


def _reset(connection: Connection) -> None:
    connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    if isinstance(connection.socket, ssl.SSLSocket):
        raw = socket.socket(fileno=connection.socket.detach())
        raw.close()


def _events(connection: Connection) -> None:
    """Server-sent events, each when the file named after the recording says so: `<file>.go` grows by a byte."""
    connection.socket.sendall(
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    for number in range(5):
        event = b"data: event %d\n\n" % number
        connection.socket.sendall(b"%x\r\n%s\r\n" % (len(event), event))
        _await_go(connection, number + 1)
    connection.socket.sendall(b"0\r\n\r\n")


def _await_go(connection: Connection, size: int) -> None:
    go = connection.recorder._file + ".go"
    while True:
        try:
            with open(go, "rb") as file:
                if len(file.read()) >= size:
                    return
        except FileNotFoundError:
            pass
        time.sleep(0.005)


def _holds(before: bytes, after: bytes) -> Any:
    """Answers in two parts, the second when it is told to."""

    def hold(connection: Connection) -> None:
        connection.socket.sendall(before)
        _await_go(connection, 1)
        connection.socket.sendall(after)

    return hold


def _in_two(answer: bytes) -> Any:
    """Answers in two parts, with more time between them than one has that is to come at once."""

    def answers(connection: Connection) -> None:
        connection.socket.sendall(answer[:-10])
        time.sleep(0.3)
        connection.socket.sendall(answer[-10:])

    return answers


def _half_events(connection: Connection) -> None:
    """A stream that begins well and is reset in its middle."""
    connection.socket.sendall(
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n6\r\ndata: \r\n"
    )
    _await_go(connection, 1)
    _reset(connection)


def _ten_mebibytes(connection: Connection) -> None:
    _flood(connection, 10 << 20)


def _flood(connection: Connection, size: int) -> None:
    connection.socket.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % size)
    block = b"x" * 65536
    for _ in range(size // len(block)):
        connection.socket.sendall(block)
    connection.socket.sendall(block[: size % len(block)])


def _flood_in_chunks(connection: Connection, size: int) -> None:
    connection.socket.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n")
    for start in range(0, size, 65536):
        block = b"x" * min(65536, size - start)
        connection.socket.sendall(b"%x\r\n%s\r\n" % (len(block), block))
    connection.socket.sendall(b"0\r\n\r\n")


def bomb() -> bytes:
    """Some 3 MiB of gzip that become 300: packed no tighter than a text may be that says the same over and over."""
    chance, packed = random.Random(300), zlib.compressobj(1, wbits=31)
    pieces = [packed.compress(chance.randbytes(80).hex().encode() + b"0" * 10_000) for _ in range(30_950)]
    return b"".join((*pieces, packed.flush()))


def _bomb(connection: Connection) -> None:
    body = bomb()
    connection.socket.sendall(_sized(body, JSON, b"Content-Encoding: gzip", b"Connection: close"))


def _giant(field: bytes) -> Any:
    """A head of so many bytes, of this over and over."""

    def answer(connection: Connection, size: int) -> None:
        connection.socket.sendall(b"HTTP/1.1 200 OK\r\nX: ")
        for _ in range(size >> 16):
            connection.socket.sendall(field * ((1 << 16) // len(field)))
        connection.socket.sendall(b"\r\nContent-Length: 0\r\n\r\n")

    return answer


def _then(after: bytes, end: Any) -> Any:
    def misbehave(connection: Connection) -> None:
        if after:
            connection.socket.sendall(after)
            time.sleep(0.05)
        end(connection)

    return misbehave


def _ends(connection: Connection) -> None:
    return None


def _stalls(connection: Connection) -> None:
    connection.file.read()


def _half_closes(connection: Connection) -> None:
    """Ends its own direction alone, and goes on listening."""
    raw = connection.socket
    if isinstance(raw, ssl.SSLSocket):
        raw = socket.socket(fileno=raw.detach())
    raw.shutdown(socket.SHUT_WR)
    while raw.recv(65536):
        pass
    raw.close()


SIZED: dict[str, Any] = {
    "flood": _flood,
    "flood-in-chunks": _flood_in_chunks,
    "swallow": Connection.swallow,
    "giant-field": _giant(b"y"),
    "giant-head": _giant(b"\r\nX-A: y"),
}
"""What is about so many bytes as the word before it says."""
_PART = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart"
_CHUNK = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"
MISBEHAVIOUR: dict[str, Any] = {
    "events": _events,
    "half-events": _half_events,
    "ten-mebibytes": _ten_mebibytes,
    "bomb": _bomb,
    "slow-json": _in_two(_chunked(b'{"id": 1', b"}", fields=(JSON,))),
    "held": _holds(b"", ANSWERS["json"]),
    "held-in-body": _holds(ANSWERS["json"][:-4], ANSWERS["json"][-4:]),
    **{
        f"{how}-{when}": _then(after, end)
        for how, end in {"reset": _reset, "end": _ends, "stall": _stalls, "half-close": _half_closes}.items()
        for when, after in {
            "early": b"",
            "before": b"",
            "in-head": b"HTTP/1.1 200 OK\r\nContent-Le",
            "in-body": _PART,
            "in-chunk": _CHUNK,
            "after-interim": b"HTTP/1.1 103 Early Hints\r\n\r\n",
        }.items()
    },
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--file", required=True)
    parser.add_argument("--tls", nargs=2)
    parser.add_argument("--host", default="127.0.0.1")
    options = parser.parse_args()
    context = None
    if options.tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*options.tls)
        context.set_alpn_protocols(["http/1.1"])
    recorder = Recorder(options.file)
    family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    with socket.create_server((options.host, 0), family=family, backlog=512) as server:
        print(f"listening on {server.getsockname()[1]}", flush=True)
        while True:
            raw, _ = server.accept()
            threading.Thread(target=_serve, args=(raw, context, recorder), daemon=True).start()


def _serve(raw: socket.socket, context: ssl.SSLContext | None, recorder: Recorder) -> None:
    try:
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connected = context.wrap_socket(raw, server_side=True) if context else raw
        with connected:
            Connection(connected, recorder).serve()
    except (OSError, ValueError):
        pass


if __name__ == "__main__":
    main()
