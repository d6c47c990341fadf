"""Raw bytes out and raw bytes back: connections to the recorder, direct or through a sidecar, and what came of them."""

from __future__ import annotations

import base64
import contextlib
import json
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.upstream import make_certificate
from tests.wire.sidecars import Sidecar

HOST = "api.test"
INTERNATIONAL = "xn--bcher-kva.test"
"""As `bücher.test` goes over the wire."""
ADDRESS = "192.0.2.7"
"""One that rules may name; what it has is a recorder's, as the host has."""
SCRIPT = Path(__file__).with_name("recorder.py")

type Fields = list[tuple[bytes, bytes]]


@dataclass(frozen=True)
class Seen:
    """One request as the recorder saw it."""

    connection: int
    head: bytes
    body: bytes

    @property
    def line(self) -> bytes:
        return self.head.partition(b"\r\n")[0]

    @property
    def fields(self) -> Fields:
        return fields_of(self.head)


@dataclass(frozen=True)
class Origin:
    """The running recorder. `ca_file` is None without TLS."""

    port: int
    file: Path
    ca_file: Path | None
    address: str = "127.0.0.1"

    def requests(self, word: bytes = b"") -> list[Seen]:
        """What it saw, in order, if `word` is in the request line."""
        if not self.file.exists():
            return []
        lines = [json.loads(line) for line in self.file.read_text().splitlines()]
        seen = [Seen(n["connection"], base64.b64decode(n["head"]), base64.b64decode(n["body"])) for n in lines]
        return [one for one in seen if word in one.line]

    def go(self, events: int) -> None:
        """Let an event stream go on after this many events."""
        Path(f"{self.file}.go").write_bytes(b"." * events)

    def resolve(self, host: str = HOST) -> str:
        shown = f"[{self.address}]" if ":" in self.address else self.address
        return f"{host}:{443 if self.ca_file else 80}:{shown}:{self.port}"


@dataclass(frozen=True)
class Answer:
    """One final answer. interim: the 1xx before it. whole: whether its framing says that it is complete."""

    status: int
    reason: bytes
    fields: Fields
    body: bytes
    interim: tuple[int, ...]
    whole: bool

    def values(self, name: bytes) -> list[bytes]:
        return [value for key, value in self.fields if key.lower() == name.lower()]

    def value(self, name: bytes) -> bytes:
        return b", ".join(self.values(name))


@contextlib.contextmanager
def recorder(
    folder: Path, *, tls: bool = True, address: str = "127.0.0.1", within: Sequence[str] = ()
) -> Iterator[Origin]:
    """A recorder for the length of a `with` block. within: words before its command."""
    folder.mkdir(parents=True, exist_ok=True)
    ca, words = None, [*within, sys.executable, str(SCRIPT), "--file", str(folder / "seen.jsonl"), "--host", address]
    if tls:
        ca, cert, key = make_certificate(folder, (HOST, "other.test", INTERNATIONAL, ADDRESS))
        words += ["--tls", str(cert), str(key)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            line = process.stdout.readline()
            assert line.startswith("listening on "), line
            yield Origin(int(line.rsplit(" ", 1)[1]), folder / "seen.jsonl", ca, address)
        finally:
            process.terminate()


def direct(origin: Origin, timeout: float = 20) -> socket.socket:
    """A connection to the recorder itself."""
    raw = socket.create_connection((origin.address, origin.port), timeout)
    return _tls(raw, origin.ca_file) if origin.ca_file else raw


def through(
    sidecar: Sidecar, host: str = HOST, timeout: float = 20, server_name: str | None = None, more: str = ""
) -> socket.socket:
    """A connection through the sidecar to a host that it intercepts. more: fields of the CONNECT."""
    raw = socket.create_connection(("127.0.0.1", sidecar.port), timeout)
    raw.sendall(f"CONNECT {host}:443 HTTP/1.1\r\nHost: {host}:443\r\n{more}\r\n".encode())
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += raw.recv(1)
    assert b" 200 " in head, head
    return _tls(raw, sidecar.ca / "ca-cert.pem", server_name or host)


def _tls(raw: socket.socket, ca: Path, host: str = HOST) -> socket.socket:
    context = ssl.create_default_context(cafile=str(ca))
    context.set_alpn_protocols(["http/1.1"])
    return context.wrap_socket(raw, server_hostname=host)


def post(target: str, body: bytes = b"", *fields: str, host: str = HOST, chunked: bool = False) -> bytes:
    """The bytes of a request. What is chunked does not go the short way."""
    framing = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {len(body)}"
    chunks = (b"%x\r\n%b\r\n" % (len(body), body) if body else b"") + b"0\r\n\r\n"
    lines = (f"POST {target} HTTP/1.1", f"Host: {host}", *fields, framing, "", "")
    return "\r\n".join(lines).encode() + (chunks if chunked else body)


def outcome(answer: Answer) -> bytes:
    """What Ledger says of it; nothing of what no rule means."""
    return answer.value(b"ledger-outcome")


def ask(connection: socket.socket, data: bytes) -> Answer:
    """Send these bytes and read one whole answer, or as much of it as comes."""
    connection.sendall(data)
    return read_answer(connection, data.startswith(b"HEAD "))


def read_answer(connection: socket.socket, headless: bool = False) -> Answer:
    """Read one answer; `headless` for a HEAD, whose answer has no body."""
    reader = _Reader(connection)
    interim: list[int] = []
    while True:
        head = reader.head()
        words = head.partition(b"\n")[0].rstrip(b"\r").split(b" ", 2)
        status = int(words[1])
        if status >= 200 or status == 101:
            break
        interim.append(status)
    fields = fields_of(head)
    body, whole = (b"", True) if headless or status in (101, 204, 304) else reader.body(fields)
    return Answer(status, words[2] if len(words) > 2 else b"", fields, body, tuple(interim), whole)


def fields_of(head: bytes) -> Fields:
    """The fields of a head, in order, without the white space around them."""
    lines = [line for line in head.replace(b"\r\n", b"\n").split(b"\n")[1:] if line]
    pairs: Fields = []
    for line in lines:
        if line[:1] in b" \t":
            name, value = pairs.pop()
            pairs.append((name, value + b" " + line.strip()))
        else:
            key, _, rest = line.partition(b":")
            pairs.append((key, rest.strip()))
    return pairs


class _Reader:
    """Reads byte by byte, so that nothing of a next answer is lost."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def head(self) -> bytes:
        lines = []
        while (line := self.line()) not in (b"\r\n", b"\n"):
            if not line:
                raise ConnectionError(f"closed after {b''.join(lines)!r}")
            lines.append(line)
        return b"".join(lines)

    def line(self) -> bytes:
        line = b""
        while not line.endswith(b"\n"):
            byte = self._some(1)
            if not byte:
                break
            line += byte
        return line

    def body(self, fields: Fields) -> tuple[bytes, bool]:
        names = {name.lower(): value for name, value in fields}
        if b"chunked" in names.get(b"transfer-encoding", b""):
            return self._chunks()
        if b"content-length" in names:
            size = int(names[b"content-length"])
            body = self.exactly(size)
            return body, len(body) == size
        parts = []
        while data := self._some(65536):
            parts.append(data)
        return b"".join(parts), True

    def _chunks(self) -> tuple[bytes, bool]:
        parts = []
        while line := self.line():
            size = int(line.partition(b";")[0], 16)
            if not size:
                while (line := self.line()) not in (b"\r\n", b""):
                    pass
                return b"".join(parts), line == b"\r\n"
            parts.append(self.exactly(size))
            self.exactly(2)
        return b"".join(parts), False

    def exactly(self, size: int) -> bytes:
        parts, left = [], size
        while left and (data := self._some(min(left, 65536))):
            parts.append(data)
            left -= len(data)
        return b"".join(parts)

    def _some(self, size: int) -> bytes:
        try:
            return self._connection.recv(size)
        except (ConnectionError, ssl.SSLEOFError, ssl.SSLZeroReturnError):
            return b""


def recorded(sidecar: Sidecar, word: str) -> list[tuple[str, int, int]]:
    """Status, attempts and runs of every record with this in its URL, the newest first."""
    found = [record for record in sidecar.records() if word in record["url"]]
    return [(record["status"], record["attempts"], record["runs"]) for record in found]


def require_recorded(sidecar: Sidecar, word: str, *wanted: tuple[str, int, int]) -> None:
    """They are these; what may be buffered for 100 ms, as counts of duplicates are, is waited for."""
    deadline = time.monotonic() + 5
    while (found := recorded(sidecar, word)) != list(wanted) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert found == list(wanted)


def wait_until(condition: object, timeout: float = 20) -> None:
    """Wait until a callable says yes. Raises AssertionError after `timeout` s."""
    assert callable(condition)
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, f"not within {timeout} s"
        time.sleep(0.01)
