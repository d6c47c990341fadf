"""JSON in one spelling: keys sorted, no white space, escapes in ASCII, every number as it was written.

Numbers are never converted: `10`, `10.0` and `1e1` are three values here, integers beyond 2^53 stay exact.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Callable
from json.encoder import encode_basestring_ascii
from typing import Any, NamedTuple, NoReturn

import msgspec

MAX_DEPTH = 100
"""Deeper documents are refused: recursion stays bounded, and the same body is refused wherever it is read."""

_DEEP = f"nested more than {MAX_DEPTH} levels deep"
_LONGEST_INT = 300
_HIDDEN = re.compile(r"\\u00(?:3[aA]|2[dD])")
"""A colon or a hyphen as an escape: one that is not in the text and will be in what is written."""
_NO_MARKS = bytes(set(range(256)) - set(b":-[{"))
_NO_COLONS = bytes(set(range(256)) - set(b":-"))
"""All bytes but those that are counted: brackets, colons and hyphens; colons and hyphens alone."""
_FEW = 16
"""How much longer than its characters a text may be in UTF-8 for them to be escaped one after the other: many are
escaped at once, in a time that is the same for all of them.
"""

_CONTAINERS = frozenset({dict, list})
"""What the decoders make, and nothing that is one of them only by inheritance."""

type Writer = Callable[[Any], str]


class Text(NamedTuple):
    """A JSON text that was read. spelling: all of it in the one spelling; write: what spells it so, or parts of it."""

    document: Any
    spelling: str
    write: Writer


class ExactInt(int):
    """An integer of a JSON text that remembers how it was written."""

    text: str


class ExactFloat(float):
    """A number with fraction or exponent that remembers how it was written; `10.0` is not `10`."""

    text: str


def read(text: str) -> Text:
    """Parse. Raises ValueError for what is not JSON, duplicate keys, NaN and the like, and deep nesting."""
    try:
        return _plainly(text) or _exactly(text)
    except RecursionError:
        raise ValueError(_DEEP) from None


def exact_json(text: str) -> Any:
    """Parse JSON with numbers that remember their spelling; ValueError for duplicate keys and non-numbers."""
    return _EXACT.decode(text)


def _plainly(text: str) -> Text | None:
    """Go the fast way; None where a text has to be read exactly, or holds a mistake.

    Most documents hold only numbers that are written as they were. What else is lost shows in what is written: with a
    key that was there twice goes a colon, since each pair has one, and a negative zero loses its hyphen. Those inside
    texts stay as they are, unless they were escaped, so none is ever added.
    """
    if "\\" in text and _HIDDEN.search(text):
        return None
    try:
        document = _PLAIN.decode(text)
    except msgspec.MsgspecError:
        return None
    marks = text.encode().translate(None, _NO_MARKS)
    opened = marks.count(b"[") + marks.count(b"{")
    if opened > MAX_DEPTH and _too_deep(document):
        raise ValueError(_DEEP)
    written = _ENCODER.encode(document)
    if len(written.translate(None, _NO_COLONS)) != len(marks) - opened:
        return None
    return Text(document, _in_ascii(written), _spelled)


def _exactly(text: str) -> Text:
    document = exact_json(text)
    if _too_deep(document):
        raise ValueError(_DEEP)
    return Text(document, _written(document), _written)


def _too_deep(document: Any) -> bool:
    level = [document] if type(document) in _CONTAINERS else []
    for _ in range(MAX_DEPTH):
        # Not a call for each value: a megabyte has 50,000 of them.
        insides = [value.values() if type(value) is dict else value for value in level]
        level = [inner for values in insides for inner in values if type(inner) in _CONTAINERS]
        if not level:
            return False
    return True


def _written(value: Any) -> str:
    """Do what `_spelled` does, for exact numbers."""
    match value:
        case ExactInt() | ExactFloat():
            return value.text
        case dict():
            pairs = (f"{encode_basestring_ascii(key)}:{_written(value[key])}" for key in sorted(value))
            return "{" + ",".join(pairs) + "}"
        case list():
            return "[" + ",".join(map(_written, value)) + "]"
    return json.dumps(value)


def _spelled(document: Any) -> str:
    """Do what `_written` does, for numbers that need no remembering."""
    return _in_ascii(_ENCODER.encode(document))


def _in_ascii(written: bytes) -> str:
    text = written.decode()
    if "\x7f" in text:
        text = text.replace("\x7f", "\\u007f")
    if text.isascii():
        return text
    if len(written) - len(text) <= _FEW:
        return text.encode("ascii", _ESCAPED).decode("ascii")
    # Escaped as one text, and what that does to the quotes and backslashes there were is undone.
    return encode_basestring_ascii(text)[1:-1].replace('\\"', '"').replace("\\\\", "\\")


def _escape(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    return encode_basestring_ascii(error.object[error.start : error.end])[1:-1], error.end


_ESCAPED = "ledger.json"
codecs.register_error(_ESCAPED, _escape)


def _plain_float(text: str) -> float:
    number = float(text)
    # Of exponents there are several spellings, and msgspec does not choose Python's.
    if repr(number) != text or "e" in text:
        raise ValueError("not what would be written")
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


# Made once: each costs as much to make as a small document to read.
_PLAIN = msgspec.json.Decoder(float_hook=_plain_float)
_ENCODER = msgspec.json.Encoder(order="sorted")
_EXACT = json.JSONDecoder(
    parse_int=_exact_int, parse_float=_exact_float, parse_constant=_not_json, object_pairs_hook=_no_duplicates
)
