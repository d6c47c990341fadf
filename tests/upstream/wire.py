"""Raw HTTP/1.1 for the oracle: requests read as they came, answers written (or broken) byte by byte.

Standard library only; knows nothing of behaviours or effects.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import unquote, urlsplit


@dataclass(frozen=True)
class Request:
    """One request as received; `body` is whole."""

    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes
    nth: int  # 1 for the first request of this path

    @property
    def path(self) -> str:
        return unquote(urlsplit(self.target).path)

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key.lower() == name), None)


@dataclass
class Answer:
    """One whole answer; `kind` says what it stands for, "effect" that something happened. A lost one is never sent."""

    status: int
    body: bytes
    headers: list[tuple[str, str]] = field(default_factory=list)
    kind: str = "effect"
    lost: bool = False


def head(answer: Answer, length: int | None) -> bytes:
    """Status line and headers; a length of None means chunked."""
    known = answer.status in HTTPStatus._value2member_map_
    phrase = HTTPStatus(answer.status).phrase if known else "Status"
    framing = ("Transfer-Encoding", "chunked") if length is None else ("Content-Length", str(length))
    lines = [f"HTTP/1.1 {answer.status} {phrase}"]
    lines += [f"{name}: {value}" for name, value in [*answer.headers, framing]]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


async def stream(writer: asyncio.StreamWriter, answer: Answer, chunks: int, pause_ms: int) -> None:
    """Server-sent events, one chunk each, with a pause before every one but the first."""
    events = Answer(answer.status, b"", [("Content-Type", "text/event-stream")])
    writer.write(head(events, None))
    for number in range(chunks):
        if number:
            await asyncio.sleep(pause_ms / 1000)
        data = f"data: {number}\n\n".encode()
        writer.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        await writer.drain()
    writer.write(b"0\r\n\r\n")
    await writer.drain()


async def read_head(reader: asyncio.StreamReader) -> tuple[str, str, list[tuple[str, str]]]:
    """Request line and headers, in order and spelled as they came."""
    raw = await reader.readuntil(b"\r\n\r\n")
    first, *rest = raw.decode("latin-1").split("\r\n")[:-2]
    try:
        method, target, _version = first.split(" ")
    except ValueError:
        raise ConnectionError("not a request line") from None
    pairs = [line.partition(":") for line in rest]
    return method, target, [(name, value.strip()) for name, _, value in pairs]


async def read_body(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, headers: list[tuple[str, str]]
) -> bytes:
    """The whole body, by length or chunks. Raises IncompleteReadError when the client leaves before its end."""
    fields = {name.lower(): value for name, value in headers}
    if fields.get("expect", "").lower() == "100-continue":
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        await writer.drain()
    if "chunked" not in fields.get("transfer-encoding", "").lower():
        return await reader.readexactly(int(fields.get("content-length", "0")))
    body = b""
    while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
        body += await reader.readexactly(size)
        await reader.readexactly(2)
    while await reader.readuntil(b"\r\n") != b"\r\n":
        pass  # trailers
    return body
