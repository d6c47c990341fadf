"""Multipart bodies (RFC 2046, RFC 7578) as they stream: the parts in order, the boundary left out, files as hashes.

Only bodies that are written as the standard says to the last byte are taken apart. Where parsers are lenient they
differ (a preamble, an epilogue, padding after a boundary), and what a server would make of it is not known here.
"""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from python_multipart.multipart import MultipartParser, parse_options_header

MAX_PARTS = 10_000
MAX_TEXT = 64 << 10
"""Longer fields, in bytes, are to JSONPath what a file is: an object with a hash."""
MAX_TEXTS = 1 << 20
"""And so are all fields after the first that, in sum, would be more than this."""

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

# The parser logs what it does not like; that it does is in the notes of a reading.
_SILENT = logging.getLogger("ledger.multipart")
_SILENT.disabled = True


@dataclass(frozen=True, slots=True)
class Part:
    """One part. headers: (name in lower case, value), sorted by name; sha256: of its content, size: in bytes.

    name and filename are those of its Content-Disposition; text is its content where it is a field, not too long.
    """

    headers: tuple[tuple[str, str], ...]
    name: str
    filename: str | None
    size: int
    sha256: bytes
    text: str | None

    @property
    def said(self) -> tuple[object, ...]:
        """What it says: everything but the boundary around it."""
        return (self.headers, self.size, self.sha256)

    @property
    def value(self) -> Any:
        """What it is to JSONPath: a text, or an object with a hash."""
        if self.text is not None:
            return self.text
        return {"filename": self.filename, "size": self.size, "sha256": self.sha256.hex()}


class Reader:
    """Takes a multipart body apart; memory is bounded by the number of parts, never by their size."""

    def __init__(self, boundary: str) -> None:
        """Raises ValueError for a boundary that cannot be one."""
        if not boundary:
            raise ValueError("no boundary in the Content-Type")
        raw = boundary.encode("latin-1")
        self._parser = MultipartParser(raw, self._callbacks())
        self._parser.logger = _SILENT
        self._delimiter = len(raw) + 2
        self._parts: list[Part] = []
        self._texts = 0
        self._open = _OpenPart()
        self._first = self._last = b""
        self._ended = False
        self._taken = self._accounted = 0

    def _callbacks(self) -> MultipartCallbacks:
        return {
            "on_part_begin": self._part_begin,
            "on_header_begin": lambda: self._open.headers.append((bytearray(), bytearray())),
            "on_header_field": lambda data, start, end: self._header(0, data[start:end]),
            "on_header_value": lambda data, start, end: self._header(1, data[start:end]),
            "on_header_end": lambda: self._account(4),  # ": " and the line's end
            "on_headers_finished": lambda: self._account(2),
            "on_part_data": self._part_data,
            "on_part_end": self._part_end,
            "on_end": self._end,
        }

    def feed(self, data: bytes) -> None:
        """Take some more bytes; raises ValueError."""
        if len(self._first) < 2:
            self._first = (self._first + data[:2])[:2]
        self._last = (self._last + data[-2:])[-2:]
        self._taken += len(data)
        self._parser.write(data)

    def finish(self) -> list[Part]:
        """Return the parts; raises ValueError for a body with anything in it that is no part of one."""
        if not self._ended:
            raise ValueError("the last boundary is missing")
        line_end = 2 if self._last == b"\r\n" else 0
        if self._first != b"--" or self._taken != self._accounted + line_end:
            raise ValueError("something stands before, between or after the parts, or is written in an uncommon way")
        return self._parts

    def _account(self, size: int) -> None:
        self._accounted += size

    def _part_begin(self) -> None:
        if len(self._parts) >= MAX_PARTS:
            raise ValueError(f"more than {MAX_PARTS} parts")
        self._account(self._delimiter + 2)
        self._open = _OpenPart()

    def _header(self, side: int, data: bytes) -> None:
        self._account(len(data))
        self._open.headers[-1][side].extend(data)

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        self._account(end - start)
        self._open.feed(memoryview(data)[start:end])

    def _part_end(self) -> None:
        self._account(2)
        part = self._open.closed(MAX_TEXTS - self._texts)
        self._texts += part.size if part.text is not None else 0
        self._parts.append(part)

    def _end(self) -> None:
        self._account(self._delimiter + 2)
        self._ended = True


class _OpenPart:
    """A part of which more is to come."""

    def __init__(self) -> None:
        self.headers: list[tuple[bytearray, bytearray]] = []
        self._hash = hashlib.sha256()
        self._size = 0
        self._start = bytearray()

    def feed(self, data: memoryview) -> None:
        self._hash.update(data)
        self._size += len(data)
        if self._size <= MAX_TEXT:
            self._start += data

    def closed(self, text_left: int) -> Part:
        read = [(name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in self.headers]
        _, options = parse_options_header(dict(read).get("content-disposition"))
        name, filename = options.get(b"name", b""), options.get(b"filename")
        return Part(
            headers=tuple(sorted(read, key=lambda header: header[0])),
            name=name.decode("utf-8", "surrogateescape"),
            filename=None if filename is None else filename.decode("utf-8", "surrogateescape"),
            size=self._size,
            sha256=self._hash.digest(),
            text=self._text() if filename is None and self._size <= min(MAX_TEXT, text_left) else None,
        )

    def _text(self) -> str | None:
        try:
            return self._start.decode("utf-8")
        except UnicodeDecodeError:
            return None
