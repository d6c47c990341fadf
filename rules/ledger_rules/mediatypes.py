"""Content-Type headers: what kind of body follows. Reads no body."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache

from ledger_rules import canonical
from ledger_rules.canonical import Part

# RFC 9110 section 5.6.6: parameters are `;name=value`, the value a token or a quoted string.
_NAME = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_ESSENCE = re.compile(rf"\s*({_NAME}/{_NAME})\s*")
_PARAMETER = re.compile(rf';[ \t]*(?:({_NAME})=({_NAME}|"(?:[^"\\]|\\.)*"))?[ \t]*')
_ESCAPED = re.compile(r"\\(.)")
_AWS_JSON = "application/x-amz-json-"
"""The AWS JSON protocols, by version: https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html"""
_CACHED_LENGTH = 256

UTF8 = frozenset(("", "utf-8", "utf8", "us-ascii", "ascii"))
"""Charsets that are read as UTF-8, lower case; none given is one of them."""


@dataclass(frozen=True, slots=True)
class MediaType:
    """A Content-Type, read.

    essence: `type/subtype` in lower case; empty where there is none or it cannot be read.
    parameters: names in lower case, sorted, without `charset` and `boundary`.
    charset: in lower case. boundary: as it stands. Both empty where they are not given.
    strange: the whole header where it does not follow the grammar, so that no two of them are taken for one.
    format: how such a body is read: `json`, `graphql`, `form`, `multipart`, `xml`, or `raw`: byte by byte.
    """

    essence: str
    parameters: tuple[tuple[str, str], ...] = ()
    charset: str = ""
    boundary: str = ""
    strange: str = ""
    format: str = "raw"
    said: tuple[Part, ...] = field(init=False, repr=False, compare=False)
    """What counts of it beside a body that is understood, encoded: essence and parameters."""

    def __post_init__(self) -> None:
        """Encode it once for all bodies of the type."""
        object.__setattr__(self, "said", (canonical.part(self.essence), canonical.part(self.parameters)))


def read(content_type: str | None) -> MediaType:
    """Return what a Content-Type header says. Never raises."""
    text = content_type or ""
    return _cached(text) if len(text) <= _CACHED_LENGTH else _read(text)


def essence(content_type: str | None) -> str:
    """Return the media type without parameters, lower case; empty when there is none."""
    return (content_type or "").partition(";")[0].strip().lower()


def _read(text: str) -> MediaType:
    found = _ESSENCE.match(text)
    if found is None:
        return MediaType("", strange=text)
    given: dict[str, str] = {}
    place = found.end()
    while part := _PARAMETER.match(text, place):
        place = part.end()
        name = (part[1] or "").lower()
        if name in given:
            break
        if name:
            given[name] = _unquoted(part[2])
    else:
        if place == len(text):
            charset, boundary = given.pop("charset", "").lower(), given.pop("boundary", "")
            name = found[1].lower()
            return MediaType(name, tuple(sorted(given.items())), charset, boundary, format=_format(name))
    return MediaType(found[1].lower(), strange=text)


_cached = lru_cache(maxsize=256)(_read)


def _unquoted(value: str) -> str:
    return _ESCAPED.sub(r"\1", value[1:-1]) if value.startswith('"') else value


def _format(essence: str) -> str:
    suffix = essence.rpartition("+")[2]
    if essence in ("application/json", "text/json") or suffix == "json" or essence.startswith(_AWS_JSON):
        return "json"
    if essence in ("application/xml", "text/xml") or suffix == "xml":
        return "xml"
    if essence.startswith("multipart/"):
        return "multipart"
    return {"application/x-www-form-urlencoded": "form", "application/graphql": "graphql"}.get(essence, "raw")
