"""What a body says, apart from how it is spelled: one reading, whether it comes whole, in pieces or from a file.

`read(body, …)` reads bytes, `read_file(file, …)` a binary file in pieces, and `Digest(…)`, `feed`, `finish` whatever
arrives; equal bytes give equal readings, however they were cut. Raw and multipart bodies are hashed as they pass;
others are kept up to `MAX_WHOLE`. What each format means lives in modules of its own.

Large bodies take their time (1 MB of JSON some 30 ms): an event loop has them read in a thread. Hashing and decoding
let the others run meanwhile.

A false merge drops a real payment: whatever is not understood completely is compared as raw bytes. No body makes any
of this raise; only a library that is missing does (ImportError): to compare otherwise without it would merge and split
operations, so nothing is compared then.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple, Self

from ledger_rules import mediatypes
from ledger_rules.canonical import Part, as_bytes, part, several, text
from ledger_rules.encodings import Decoder, codings
from ledger_rules.jsontext import exact_json
from ledger_rules.mediatypes import MediaType
from ledger_rules.readers import MAX_WHOLE, Reader, Said, reader, whole
from ledger_rules.views import EVERYTHING, BodyView

__all__ = ["EVERYTHING", "MAX_WHOLE", "BodyView", "Digest", "Reading", "exact_json", "meaning", "read", "read_file"]

_PIECE = 256 << 10


class Reading(NamedTuple):
    """A body as it was read.

    format: `json`, `graphql`, `form`, `multipart`, `xml`, or `raw`: byte by byte.
    value: what counts of it, in one spelling. said: the same and its media type, encoded; equal for two bodies of one
        format that say the same, for no others.
    notes: for a person, in order: what was undone, what was left out, why it is compared byte by byte.
    sent: SHA-256 of the bytes as they were sent; size: how many.
    """

    media_type: str
    format: str
    value: tuple[object, ...]
    said: Part
    notes: tuple[str, ...]
    sent: bytes
    size: int

    @property
    def meaning(self) -> bytes:
        """Bytes that are equal for two bodies that say the same, and for no others."""
        return as_bytes(several(text(self.format), self.said))


def read(
    body: bytes,
    content_type: str | None = None,
    encoding: str | None = None,
    view: BodyView = EVERYTHING,
    length: str | None = None,
) -> Reading:
    """Read a whole body. Never raises.

    content_type, encoding, length: the headers Content-Type, Content-Encoding and Content-Length; None if absent.
    """
    media = mediatypes.read(content_type)
    if encoding or media.format == "multipart" or (length is not None and length != str(len(body))):
        digest = Digest(content_type, encoding, view, length)
        digest.feed(body)
        return digest.finish()
    # Nearly all come as they are: nothing to undo, no pieces to gather.
    sent = hashlib.sha256(body).digest()
    try:
        said = whole(body, media, view)
    except Exception as error:
        said = _raw(media, (), sent, error)
    return _reading(media, said, sent, len(body))


def read_file(
    file: BinaryIO,
    content_type: str | None = None,
    encoding: str | None = None,
    view: BodyView = EVERYTHING,
    length: str | None = None,
) -> Reading:
    """Read from where a file stands to its end, in pieces. Raises what reading the file raises (OSError)."""
    return Digest(content_type, encoding, view, length).feed_file(file).finish()


def meaning(body: bytes, content_type: str | None, encoding: str | None, view: BodyView = EVERYTHING) -> bytes:
    """Return bytes that are equal for two bodies that say the same, and for no others. Never raises."""
    return read(body, content_type, encoding, view).meaning


class Digest:
    """Reads one body as it arrives: `feed` any number of times, then `finish` once.

    Neither raises: whatever a library finds to raise about bytes from outside, comparing them raw is right. Only
    that a library is missing is told (ImportError).
    """

    def __init__(
        self,
        content_type: str | None = None,
        encoding: str | None = None,
        view: BodyView = EVERYTHING,
        length: str | None = None,
    ) -> None:
        self._length = length
        self._media = mediatypes.read(content_type)
        self._codings = codings(encoding)
        self._sent = self._plain = hashlib.sha256()
        self._size = self._plain_size = 0
        self._decoder: Decoder | None = None
        self._reader: Reader | None = None
        self._why: Exception = ValueError()
        try:
            if self._codings:
                self._decoder, self._plain = Decoder(self._codings), hashlib.sha256()
            self._reader = reader(self._media, view)
        except ValueError as error:
            self._compare_raw(error)

    def feed(self, data: bytes) -> None:
        """Take some more of the body."""
        self._sent.update(data)
        self._size += len(data)
        if self._decoder is not None:
            self._decode(self._decoder.feed(data))
        else:
            self._pass_on(data)

    def feed_file(self, file: BinaryIO) -> Self:
        """Take what a file holds from where it stands, in pieces. Raises what reading it raises (OSError)."""
        while piece := file.read(_PIECE):
            self.feed(piece)
        return self

    def finish(self) -> Reading:
        """Return what was read."""
        if self._decoder is not None:
            self._decode(self._decoder.finish())
        if self._length is not None and self._length.strip() != str(self._size):
            self._compare_raw(ValueError(f"Content-Length is {self._length}, but {self._size} bytes came"))
        said = self._understood() or self._compared_raw()
        if self._decoder is not None:
            undone = f"{' and '.join(self._codings)} decoded: {self._size} bytes became {self._plain_size}"
            said = said._replace(notes=(undone, *said.notes))
        return _reading(self._media, said, self._sent.digest(), self._size)

    def _decode(self, pieces: Iterator[bytes]) -> None:
        try:
            for piece in pieces:
                self._plain.update(piece)
                self._plain_size += len(piece)
                self._pass_on(piece)
        except Exception as error:
            self._decoder = None
            self._compare_raw(ValueError(f"Content-Encoding {', '.join(self._codings)}: {error}"))

    def _pass_on(self, data: bytes) -> None:
        try:
            if self._reader is not None:
                self._reader.feed(data)
        except Exception as error:
            self._compare_raw(error)

    def _compare_raw(self, why: Exception) -> None:
        self._reader = None
        self._why = why.with_traceback(None)  # which would keep what was being read, and this with it

    def _understood(self) -> Said | None:
        if self._reader is None:
            return None
        try:
            return self._reader.finish()
        except Exception as error:
            self._compare_raw(error)
            return None

    def _compared_raw(self) -> Said:
        encoded, plain = ((), self._plain) if self._decoder is not None else (self._codings, self._sent)
        return _raw(self._media, encoded, plain.digest(), self._why)


def _reading(media: MediaType, said: Said, sent: bytes, size: int) -> Reading:
    form, value, notes = said
    return Reading(media.essence, form, value, several(*media.said, *map(part, value)), notes, sent, size)


def _raw(media: MediaType, encoded: tuple[str, ...], sha256: bytes, why: Exception) -> Said:
    """Compare the bytes, decoded where that went well, and the whole media type: nothing is known of its format."""
    if isinstance(why, ImportError):
        raise why
    header = (media.charset, media.boundary, media.strange)
    return Said("raw", (*header, encoded, sha256), (f"compared byte by byte: {_words(why)}",))


def _words(why: Exception) -> str:
    if isinstance(why, UnicodeDecodeError):
        return f"byte {why.object[why.start]:#04x} at {why.start} is not UTF-8"
    return str(why) or type(why).__name__
