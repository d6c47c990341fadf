"""Content-Encoding: bodies decoded piece by piece, within bounds. What to do with the undecodable is for the caller.

gzip RFC 1952, deflate RFC 1950 (the zlib form, as RFC 9110 section 8.4.1.2 asks), br RFC 7932, zstd RFC 8878.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Protocol

FREE = 8 << 20
"""This much may come out of any body, in bytes; beyond it the ratio counts."""
MAX_RATIO = 100
"""Bytes that may come out for one that went in. Text compresses 3 to 20 times; bombs, a thousand times and more."""
MAX_DECODED = 1 << 30
"""In bytes. Decoding takes time as well as memory: this is some seconds of it."""
MAX_HELD = 8 << 20
"""In bytes, of a decoded body that is held in memory as a whole."""
MAX_CODINGS = 3
MAX_MEMBERS = 1000
"""gzip members or zstd frames in one body. A stream of tiny ones costs as much as one of a thousand times its size."""

MORE_FOLLOWS = "bytes follow the end of the stream"

_BLOCK = 64 << 10
_ZSTD_SLICE = 512  # a block of 4 bytes can stand for 128 KiB, and the library takes no limit
_ZSTD_WINDOW = 8 << 20  # RFC 9659


class Undecodable(ValueError):
    """A body that is not encoded as its header says, is encoded in a way not known here, or grows too large."""


class Inflater(Protocol):
    """Decodes one stream."""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield what comes out, in pieces of bounded size."""
        ...

    def finish(self) -> None:
        """Raise Undecodable unless the stream is complete."""
        ...


class Decoder:
    """Undoes a Content-Encoding, several codings in turn; all of them together share the bounds.

    Bodies are taken in blocks of a fixed size, so that where a bound is met does not depend on how they arrived.
    """

    def __init__(self, codings: tuple[str, ...]) -> None:
        """Raises Undecodable for a coding that is not known, or too many of them."""
        if len(codings) > MAX_CODINGS:
            raise Undecodable(f"more than {MAX_CODINGS} Content-Encodings")
        self._inflaters = [_inflater(coding) for coding in reversed(codings)]
        self._waiting = bytearray()
        self._taken = self._given = self._allowed = 0

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield decoded bytes; raises Undecodable."""
        left = memoryview(data)
        while left:
            room = _BLOCK - len(self._waiting)
            self._waiting += left[:room]
            left = left[room:]
            if len(self._waiting) == _BLOCK:
                yield from self._block()

    def finish(self) -> Iterator[bytes]:
        """Yield the rest; raises Undecodable, also for a stream that was cut short."""
        yield from self._block()
        for inflater in self._inflaters:
            inflater.finish()

    def _block(self) -> Iterator[bytes]:
        block = bytes(self._waiting)
        self._waiting.clear()
        self._taken += len(block)
        self._allowed = min(max(FREE, MAX_RATIO * self._taken), MAX_DECODED)
        yield from self._through(block, len(self._inflaters))

    def _through(self, data: bytes, stages: int) -> Iterator[bytes]:
        """Yield what the first `stages` inflaters make of data. What comes out of each of them counts."""
        if stages == 0:
            yield data
            return
        for outer in self._through(data, stages - 1):
            for piece in self._inflaters[stages - 1].feed(outer):
                self._given += len(piece)
                if self._given > self._allowed:
                    raise Undecodable(f"more than {self._allowed} bytes come out of the first {self._taken}")
                yield piece


def codings(content_encoding: str | None) -> tuple[str, ...]:
    """Return the codings of a Content-Encoding header in the order they were applied, `identity` left out."""
    if not content_encoding:
        return ()
    names = (name.strip().lower() for name in content_encoding.split(","))
    return tuple(name for name in names if name not in ("", "identity"))


def decoded(body: bytes, content_encoding: str | None) -> bytes:
    """Return a whole body decoded; raises Undecodable, also for one that is larger than `MAX_HELD` then."""
    names = codings(content_encoding)
    if not names:
        return body
    decoder, held = Decoder(names), bytearray()
    for piece in chain(decoder.feed(body), decoder.finish()):
        held += piece
        if len(held) > MAX_HELD:
            raise Undecodable(f"larger than {MAX_HELD >> 20} MiB")
    return bytes(held)


class _Zlib:
    """gzip, of which several members may follow each other (RFC 1952 section 2.2), or one zlib stream."""

    def __init__(self, window_bits: int) -> None:
        self._bits = window_bits
        self._stream = zlib.decompressobj(window_bits)
        self._left = MAX_MEMBERS if window_bits > zlib.MAX_WBITS else 1

    def feed(self, data: bytes) -> Iterator[bytes]:
        while data:
            if self._stream.eof:
                self._next()
            yield self._piece(data)
            data = self._stream.unused_data if self._stream.eof else self._stream.unconsumed_tail
        # Output can be held back when the input is used up to its last byte.
        while not self._stream.eof and (piece := self._piece(b"")):
            yield piece

    def _piece(self, data: bytes) -> bytes:
        try:
            return self._stream.decompress(data, _BLOCK)
        except zlib.error as error:
            raise Undecodable(str(error)) from None

    def _next(self) -> None:
        self._left -= 1
        if self._left <= 0:
            raise Undecodable(MORE_FOLLOWS)
        self._stream = zlib.decompressobj(self._bits)

    def finish(self) -> None:
        if not self._stream.eof:
            raise Undecodable("cut short")


class _Brotli:
    def __init__(self) -> None:
        import brotli  # type: ignore[import-untyped]

        self._stream, self._error = brotli.Decompressor(), brotli.error

    def feed(self, data: bytes) -> Iterator[bytes]:
        if not data:
            return
        if self._stream.is_finished():
            raise Undecodable(MORE_FOLLOWS)
        while piece := self._piece(data):
            yield piece
            if self._stream.is_finished():
                return
            data = b""

    def _piece(self, data: bytes) -> bytes:
        try:
            piece: bytes = self._stream.process(data, output_buffer_limit=_BLOCK)
        except self._error as error:
            raise Undecodable(str(error)) from None
        return piece

    def finish(self) -> None:
        if not self._stream.is_finished():
            raise Undecodable("cut short")


class _Zstd:
    """One or more frames."""

    def __init__(self) -> None:
        import zstandard

        self._library = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW)
        self._stream, self._error = self._library.decompressobj(), zstandard.ZstdError
        self._left = MAX_MEMBERS

    def feed(self, data: bytes) -> Iterator[bytes]:
        for start in range(0, len(data), _ZSTD_SLICE):
            yield from self._slice(data[start : start + _ZSTD_SLICE])

    def _slice(self, data: bytes) -> Iterator[bytes]:
        while data:
            if self._stream.eof:
                self._next()
            try:
                piece = self._stream.decompress(data)
            except self._error as error:
                raise Undecodable(str(error)) from None
            data = self._stream.unused_data if self._stream.eof else b""
            yield piece

    def _next(self) -> None:
        self._left -= 1
        if self._left <= 0:
            raise Undecodable(MORE_FOLLOWS)
        self._stream = self._library.decompressobj()

    def finish(self) -> None:
        if not self._stream.eof:
            raise Undecodable("cut short")


_INFLATERS: dict[str, Callable[[], Inflater]] = {
    "gzip": lambda: _Zlib(zlib.MAX_WBITS | 16),
    "x-gzip": lambda: _Zlib(zlib.MAX_WBITS | 16),
    "deflate": lambda: _Zlib(zlib.MAX_WBITS),
    "br": _Brotli,
    "zstd": _Zstd,
}


def _inflater(coding: str) -> Inflater:
    make = _INFLATERS.get(coding)
    if make is None:
        raise Undecodable(f"the Content-Encoding {coding} is not known here")
    return make()
