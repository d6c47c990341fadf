"""One injective encoding of plain values and the keyed hash over it. Every identity is made here, and only here."""

from __future__ import annotations

import hmac

MAX_DEPTH = 100
"""Deeper values are refused (ValueError): recursion stays bounded, whatever a client sends."""


class ExactInt(int):
    """An integer of a JSON text that remembers how it was written."""

    text: str


class ExactFloat(float):
    """A number with fraction or exponent that remembers how it was written; `10.0` is not `10`."""

    text: str


def keyed_hash(secret: bytes, *values: object) -> str:
    """Return the hex HMAC-SHA256 of values; other values, or the same ones cut otherwise, give another hash."""
    return hmac.digest(secret, encode(values), "sha256").hex()


def encode(value: object) -> bytes:
    """Return bytes that no other value has: every part is tagged with its type and its length.

    Takes None, bool, int, str, bytes, lists, tuples, dicts with text keys and the exact numbers above.
    Raises ValueError for values nested too deeply.
    """
    parts: list[bytes] = []
    _encode(value, parts, 0)
    return b"".join(parts)


def _encode(value: object, parts: list[bytes], depth: int) -> None:
    if depth > MAX_DEPTH:
        raise ValueError("nested too deeply")
    match value:
        case str():
            _sized(b"s", value.encode("utf-8", "surrogatepass"), parts)
        case dict():
            parts.append(b"d%d;" % len(value))
            for key in sorted(value):
                _encode(key, parts, depth + 1)
                _encode(value[key], parts, depth + 1)
        case list() | tuple():
            parts.append(b"l%d;" % len(value))
            for item in value:
                _encode(item, parts, depth + 1)
        case _:
            _encode_scalar(value, parts)


def _encode_scalar(value: object, parts: list[bytes]) -> None:
    match value:
        case ExactInt() | ExactFloat():
            _sized(b"n", value.text.encode("ascii"), parts)
        case None | True | False:
            parts.append(b"%s;" % str(value).encode("ascii"))
        case int():
            parts.append(b"i%d;" % value)
        case bytes():
            _sized(b"b", value, parts)
        case _:
            raise TypeError(f"no canonical form for {type(value).__name__}")


def _sized(tag: bytes, data: bytes, parts: list[bytes]) -> None:
    parts.append(b"%s%d:" % (tag, len(data)))
    parts.append(data)
