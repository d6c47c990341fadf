"""One reader for each format: what a decoded body says, in one spelling. Which reader is whose is at the end.

A reader may raise whatever its parser raises; `bodies` then compares the body byte by byte.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import NamedTuple, Protocol

from ledger_rules import graphql, jsontext, multipart, xmltext
from ledger_rules.mediatypes import UTF8, MediaType
from ledger_rules.urls import form_pairs, sorted_pairs
from ledger_rules.views import EVERYTHING, BodyView, NothingLeft, business_key, entries, reduced

MAX_WHOLE = 8 << 20
"""Larger bodies, in bytes once decoded, are compared raw unless they can be read as they pass (multipart)."""
MAX_VALUES = 500_000
"""Members and items of a JSON document: what takes time and memory is their number rather than the bytes."""
MAX_FIELDS = 100_000
"""Pairs of a form."""

_TOO_LONG = f"larger than {MAX_WHOLE >> 20} MiB"
NOTHING_LEFT = "the paths to ignore leave nothing: the whole body counts"


class Said(NamedTuple):
    """What a body says. format: how it was read; value: in one spelling; notes: for a person."""

    format: str
    value: tuple[object, ...]
    notes: tuple[str, ...]


class Reader(Protocol):
    """Reads one body."""

    def feed(self, data: bytes) -> None:
        """Take some more of it."""
        ...

    def finish(self) -> Said:
        """Return what it says."""
        ...


def reader(media: MediaType, view: BodyView) -> Reader:
    """Return a reader for bodies of a type; raises ValueError, which says why, where they are compared raw."""
    if media.format == "raw" or media.charset not in UTF8:
        raise ValueError(_why_raw(media))
    return _Parts(media.boundary, view) if media.format == "multipart" else _Whole(media, view)


def whole(body: bytes, media: MediaType, view: BodyView) -> Said:
    """Read a body that is there as a whole, of a type that is not read in parts. Raises what its parser raises."""
    understand = _WHOLE.get(media.format)
    if understand is None or media.charset not in UTF8:
        raise ValueError(_why_raw(media))
    if len(body) > MAX_WHOLE:
        raise ValueError(_TOO_LONG)
    text = body.decode("utf-8")
    try:
        return understand(text, view)
    except NothingLeft:
        return _all_counts(understand(text, EVERYTHING))


def _why_raw(media: MediaType) -> str:
    if media.format == "raw":
        return f"{media.essence or 'a body without a media type'} is not a format that is read here"
    return f"the charset {media.charset} is not read here"


class _Whole:
    """Keeps a body, up to a bound, and reads it at the end."""

    def __init__(self, media: MediaType, view: BodyView) -> None:
        self._media, self._view = media, view
        self._pieces: list[bytes] = []
        self._size = 0

    def feed(self, data: bytes) -> None:
        self._size += len(data)
        if self._size > MAX_WHOLE:
            raise ValueError(_TOO_LONG)
        self._pieces.append(data)

    def finish(self) -> Said:
        return whole(b"".join(self._pieces), self._media, self._view)


class _Parts:
    """Reads a multipart body as it passes."""

    def __init__(self, boundary: str, view: BodyView) -> None:
        self._parts, self._view = multipart.Reader(boundary), view
        self.feed = self._parts.feed

    def finish(self) -> Said:
        parts = self._parts.finish()
        names, values = [part.name for part in parts], [part.value for part in parts]
        said = [part.said for part in parts]
        try:
            key, left, rests, notes = entries(names, values, self._view)
        except NothingLeft:
            return _all_counts(Said("multipart", tuple(said), ()))
        if key is not None:
            return Said("multipart", ("only", key), notes)
        kept = ((parts[index].headers, rests[index]) if index in rests else said[index] for index in left)
        return Said("multipart", tuple(kept), notes)


def _all_counts(said: Said) -> Said:
    """Tell it from a body of which just this is left."""
    return Said(said.format, ("all", *said.value), (NOTHING_LEFT,))


def _json(text: str, view: BodyView) -> Said:
    if len(text) > MAX_VALUES and text.count(",") + text.count("{") + text.count("[") > MAX_VALUES:
        raise ValueError(f"more than {MAX_VALUES:,} values")
    read = jsontext.read(text)
    form = "graphql" if graphql.normalise(read.document) else "json"
    if form == "json" and view.is_everything:
        return Said(form, (read.spelling,), ())
    key, missing = business_key(read.document, view)
    if key is not None:
        return Said(form, ("only", read.write(key)), missing)
    left, notes = reduced(read.document, view)
    return Said(form, (read.write(left),), (*missing, *notes))


def _graphql(text: str, view: BodyView) -> Said:
    """The media type `application/graphql`: the bare text of a document."""
    request = {"query": text}
    if not graphql.normalise(request):
        raise ValueError("not a GraphQL mutation")
    return Said("graphql", (request["query"],), _not_for(view))


def _is_no_form(text: str) -> bool:
    """Say whether JSON or XML is called a form, as curl -d does.

    A server may read it as what it is, and there `+`, `&` and their order mean something. Forms escape what these begin
    with, but for brackets.
    """
    start = text.lstrip()
    if not start.startswith("["):
        return start.startswith(("{", '"', "<"))
    try:
        json.loads(text)
    except json.JSONDecodeError:
        return False
    return True


def _form(text: str, view: BodyView) -> Said:
    if _is_no_form(text):
        raise ValueError("it looks like JSON or XML, not like the form that its Content-Type names")
    if text.count("&") >= MAX_FIELDS:
        raise ValueError(f"more than {MAX_FIELDS:,} fields")
    pairs = form_pairs(text)
    if pairs is None:
        raise ValueError("an escape is malformed")
    key, left, rests, notes = entries([name for name, _ in pairs], [value for _, value in pairs], view)
    if key is not None:
        return Said("form", ("only", key), notes)
    kept = ((pairs[index][0], rests.get(index, pairs[index][1])) for index in left)
    return Said("form", sorted_pairs(kept), notes)


def _xml(text: str, view: BodyView) -> Said:
    return Said("xml", (xmltext.canonical(text),), _not_for(view))


def _not_for(view: BodyView) -> tuple[str, ...]:
    return () if view.is_everything else ("the paths of the rule say nothing about this format: all of it counts",)


_WHOLE: dict[str, Callable[[str, BodyView], Said]] = {"json": _json, "graphql": _graphql, "form": _form, "xml": _xml}
