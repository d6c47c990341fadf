"""One injective encoding of plain values and the keyed hash over it. Every identity is made here, and only here."""

from __future__ import annotations

import hmac
from functools import lru_cache

MAX_DEPTH = 100
"""Deeper values are refused (ValueError): recursion stays bounded, whatever a client sends."""


def keyed_hash(secret: bytes, *values: object) -> str:
    """Return the hex HMAC-SHA256 of values; other values, or the same ones cut otherwise, give another hash."""
    keyed = _keyed(secret).copy()
    keyed.update(encode(values))
    return keyed.hexdigest()


@lru_cache(maxsize=8)
def _keyed(secret: bytes) -> hmac.HMAC:
    """Begun once for all: to copy it costs less than to begin anew, and it happens several times for every request."""
    return hmac.new(secret, digestmod="sha256")


def encode(value: object) -> bytes:
    """Return bytes that no other value has: every part is tagged with its type and its length.

    Takes None, bool, int, str, bytes, lists, tuples and dicts with text keys; a list and a tuple of the same are one.
    Raises ValueError for values nested too deeply, TypeError for any others.
    """
    parts: list[str] = []
    _encode(value, parts, 0)
    return "".join(parts).encode("utf-8", "surrogatepass")


def _encode(value: object, parts: list[str], depth: int) -> None:
    # The commonest first, and without a call: this runs several times for every request.
    if isinstance(value, (tuple, list)):
        if depth >= MAX_DEPTH:
            raise ValueError("nested too deeply")
        parts.append(f"l{len(value)};")
        for item in value:
            kind = type(item)
            if kind is str:
                parts.append(f"s{len(item)}:{item}")
            elif kind is int:
                parts.append(f"{item};")
            else:
                _encode(item, parts, depth + 1)
    elif isinstance(value, str):
        parts.append(f"s{len(value)}:{value}")
    elif isinstance(value, bytes):
        parts.append(f"b{len(value)}:{value.hex()}")
    elif isinstance(value, dict):
        parts.append(f"d{len(value)};")
        _encode([part for key in sorted(value) for part in (key, value[key])], parts, depth)
    elif value is None or isinstance(value, int):
        parts.append(f"{value};")
    else:
        raise TypeError(f"no canonical form for {type(value).__name__}")
