"""JSON in one spelling: keys sorted, no white space, escapes in ASCII, every number as it was written.

Numbers are never converted: `10`, `10.0` and `1e1` are three values here, integers beyond 2^53 stay exact.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from json.encoder import encode_basestring_ascii
from typing import Any, NoReturn

MAX_DEPTH = 100
"""Deeper documents are refused: recursion stays bounded, and the same body is refused wherever it is read."""

_DEEP = f"nested more than {MAX_DEPTH} levels deep"
_LONGEST_INT = 300
_NEGATIVE_ZERO = re.compile(r"-0[\s,\]}]|-0\Z")

type Writer = Callable[[Any], str]


class ExactInt(int):
    """An integer of a JSON text that remembers how it was written."""

    text: str


class ExactFloat(float):
    """A number with fraction or exponent that remembers how it was written; `10.0` is not `10`."""

    text: str


def read(text: str) -> tuple[Any, Writer]:
    """Parse; return the document and what writes it, or parts of it, in the one spelling.

    Raises ValueError for what is not JSON, duplicate keys, NaN and the like, and deep nesting.
    """
    try:
        document, writer = _read(text)
    except RecursionError:
        raise ValueError(_DEEP) from None
    if _too_deep(document, text):
        raise ValueError(_DEEP)
    return document, writer


def exact_json(text: str) -> Any:
    """Parse JSON with numbers that remember their spelling; ValueError for duplicate keys and non-numbers."""
    return _EXACT.decode(text)


def _read(text: str) -> tuple[Any, Writer]:
    """Most documents hold only numbers that Python writes as they were; those go the fast way through C."""
    if not ("-0" in text and _NEGATIVE_ZERO.search(text)):
        try:
            return _PLAIN.decode(text), _ENCODER.encode
        except ValueError:
            pass  # a number that Python would write otherwise, or a mistake, which the exact way reports
    return _EXACT.decode(text), _written


def _too_deep(document: Any, text: str) -> bool:
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return False
    level = [document]
    for _ in range(MAX_DEPTH):
        level = [inner for value in level for inner in _containers(value)]
        if not level:
            return False
    return True


def _containers(value: Any) -> list[Any]:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [one for one in inner if isinstance(one, dict | list)]


def _written(value: Any) -> str:
    """Do what `_ENCODER` does, for exact numbers."""
    match value:
        case ExactInt() | ExactFloat():
            return value.text
        case dict():
            pairs = (f"{encode_basestring_ascii(key)}:{_written(value[key])}" for key in sorted(value))
            return "{" + ",".join(pairs) + "}"
        case list():
            return "[" + ",".join(map(_written, value)) + "]"
    return _ENCODER.encode(value)


def _plain_float(text: str) -> float:
    number = float(text)
    if repr(number) != text:
        raise ValueError("not what Python would write")
    return number


def _exact_int(text: str) -> ExactInt | ExactFloat:
    # Python refuses to convert very long integers; as a float it only has to be comparable.
    if len(text) > _LONGEST_INT:
        return _exact_float(text)
    number = ExactInt(text)
    number.text = text
    return number


def _exact_float(text: str) -> ExactFloat:
    number = ExactFloat(text)
    number.text = text
    return number


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key is there twice in one object")
    return found


def _not_json(text: str) -> NoReturn:
    raise ValueError(f"{text} is not JSON")


# Made once: a decoder and an encoder cost as much to make as a small document to read.
_PLAIN = json.JSONDecoder(parse_float=_plain_float, parse_constant=_not_json, object_pairs_hook=_no_duplicates)
_EXACT = json.JSONDecoder(
    parse_int=_exact_int, parse_float=_exact_float, parse_constant=_not_json, object_pairs_hook=_no_duplicates
)
_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), check_circular=False)
