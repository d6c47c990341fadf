"""What the values of a request look like: where each stands, a keyed hash of it and a class of shape. Never a value.

Enough to say later what varied between two attempts, and nothing that could be read back.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Any

from ledger_rules import mediatypes
from ledger_rules.canonical import keyed_hash
from ledger_rules.contents import Content
from ledger_rules.keys import generated
from ledger_rules.request import Request
from ledger_rules.urls import form_pairs, split_target

MAX_FIELDS = 64
"""How many values of one request are looked at; a body of a million members costs no more than one of these."""
_DEPTH = 8
_DAY = 86_400.0
_DIGEST = 16

_TRACE = re.compile(r"(?:^|[-_.])(?:trace|span|request|correlation|transaction)[-_]?id$|^traceparent$|^nonce$", re.I)
_COUNTER = re.compile(r"(?:^|[-_.])(?:attempts?|tries|retry|retries|retry[-_]count|seq|sequence|counter)$", re.I)
_UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.I)
_ULID = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}")
_TOKEN = re.compile(r"(?=.*[0-9])(?=.*[A-Za-z])[0-9A-Za-z+/_=-]{16,}")
_SECONDS = re.compile(r"[0-9]{1,19}(?:\.[0-9]{1,9})?")
_NAME = re.compile(r"[A-Za-z_]\w*", re.A)
KEY_HEADERS = ("Idempotency-Key", "X-Idempotency-Key", "X-Request-Id")
"""Headers that clients mint for every call; no others are looked at, and none belongs to a fingerprint unasked."""


class Shape(StrEnum):
    """What a value looks like. The first five may change between two attempts of one operation."""

    TIME = "a time"
    RANDOM = "random"
    UUID = "a random id"
    TRACE = "called like a trace id"
    COUNTER = "called like a counter"
    NUMBER = "a number"
    TEXT = "text"
    OTHER = "neither number nor text"


VOLATILE = frozenset((Shape.TIME, Shape.RANDOM, Shape.UUID, Shape.TRACE, Shape.COUNTER))


@dataclass(frozen=True, slots=True)
class Field:
    """One value. place: a JSONPath, or `query.NAME`, or `header.NAME`; digest: keyed, of the value."""

    place: str
    digest: str
    shape: Shape


def fields(request: Request, secret: bytes, now: float) -> tuple[Field, ...]:
    """Look at a request's query, minted headers and body, `MAX_FIELDS` values at most. Never raises.

    now: Unix seconds; a number is a time only when it is about now.
    """
    found = []
    for place, name, value in _values(request):
        found.append(Field(place, keyed_hash(secret, "field", place, repr(value))[:_DIGEST], shape(name, value, now)))
        if len(found) == MAX_FIELDS:
            break
    return tuple(found)


def shape(name: str, value: object, now: float) -> Shape:
    """Say what a value looks like, by itself and by what it is called."""
    if _COUNTER.search(name) and isinstance(value, int | str):
        return Shape.COUNTER
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return Shape.OTHER
    if _is_time(value, now):
        return Shape.TIME
    if isinstance(value, str):
        return _text(name, value)
    return Shape.NUMBER


def _text(name: str, value: str) -> Shape:
    if _UUID.fullmatch(value) or _ULID.fullmatch(value):
        return Shape.UUID
    if _TRACE.search(name):
        return Shape.TRACE
    if generated(value) or (_TOKEN.fullmatch(value) and _entropy(value) > 3.0):
        return Shape.RANDOM
    return Shape.TEXT


def _is_time(value: float | str, now: float) -> bool:
    if isinstance(value, str):
        return _is_time(float(value), now) if _SECONDS.fullmatch(value) else _is_date(value)
    return any(abs(value / unit - now) < _DAY for unit in (1, 1e3, 1e6, 1e9))


def _is_date(value: str) -> bool:
    """RFC 3339 with a time of day, or an HTTP date."""
    if not 16 <= len(value) <= 40:
        return False
    for read in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            read(value)
        except (ValueError, IndexError, TypeError):
            continue
        return True
    return False


def _entropy(text: str) -> float:
    """Bits per character."""
    return -sum(n / len(text) * math.log2(n / len(text)) for n in Counter(text).values())


def _values(request: Request) -> Iterator[tuple[str, str, Any]]:
    for name, text in form_pairs(split_target(request.target)[1]) or ():
        yield f"query.{name}", name, text
    for name in KEY_HEADERS:
        value = request.header(name)
        if value is not None:
            yield f"header.{name}", name, value
    documents = Content(request).documents
    if documents is not None and len(documents) == 1:
        form = mediatypes.read(request.header("Content-Type")).format in ("form", "multipart")
        yield from _form(documents[0]) if form else _walk("$", "", documents[0], _DEPTH)


def _form(document: Any) -> Iterator[tuple[str, str, Any]]:
    """Fields of a form are lists, nearly always of one."""
    for key, values in document.items():
        yield _member("$", key), key, values[0] if len(values) == 1 else repr(values)


def _walk(place: str, name: str, value: Any, depth: int) -> Iterator[tuple[str, str, Any]]:
    """Leaves in document order; what lies deeper than `depth` is one value."""
    if depth and isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _walk(_member(place, key), key, inner, depth - 1)
    elif depth and isinstance(value, list) and value:
        for index, inner in enumerate(value):
            yield from _walk(f"{place}[{index}]", name, inner, depth - 1)
    else:
        yield place, name, value


def _member(place: str, key: str) -> str:
    """RFC 9535 section 2.3.1: shorthand for plain names, quotes for the rest."""
    if _NAME.fullmatch(key):
        return f"{place}.{key}"
    return f"{place}['" + key.replace("\\", "\\\\").replace("'", "\\'") + "']"
