"""One injective encoding of plain values and the keyed hash over it. Every identity is made here, and only here.

What is hashed again and again in other company is encoded once: a `Part`. To encode costs more than to hash.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING, NewType

if TYPE_CHECKING:
    from hashlib import _Hash as Hash

MAX_DEPTH = 100
"""Deeper values are refused (ValueError): recursion stays bounded, whatever a client sends."""

Part = NewType("Part", str)
"""A value, encoded. The encoding of several is made of those of each."""


def keyed_hash(secret: bytes, *values: object) -> str:
    """Return the hex HMAC-SHA256 of values; other values, or the same ones cut otherwise, give another hash."""
    return keyed(secret, *[part(value) for value in values])


def keyed(secret: bytes, *parts: Part) -> str:
    """Return the `keyed_hash` of the values that these are the parts of."""
    inner, outer = _begun(secret)
    whole = inner.copy()
    whole.update(f"l{len(parts)};{''.join(parts)}".encode("utf-8", "surrogatepass"))
    hashed = outer.copy()
    hashed.update(whole.digest())
    return hashed.hexdigest()


def encode(values: Sequence[object]) -> bytes:
    """Return bytes that no other values have: every part is tagged with its type and its length.

    Takes None, bool, int, str, bytes, lists, tuples and dicts with text keys; a list and a tuple of the same are one.
    Raises ValueError for values nested too deeply, TypeError for any others.
    """
    return as_bytes(_listed(values, 0))


def part(value: object) -> Part:
    """Encode one value. Raises what `encode` raises."""
    return text(value) if type(value) is str else Part(_tagged(value, 1))


def text(value: str) -> Part:
    """Encode a text."""
    return Part(f"s{len(value)}:{value}")


def several(*parts: Part) -> Part:
    """Encode a list, or a tuple, of the values that these are the parts of."""
    return Part(f"l{len(parts)};{''.join(parts)}")


def raw(value: bytes) -> Part:
    """Encode bytes."""
    return Part(f"b{len(value)}:{value.hex()}")


def as_bytes(encoded: str) -> bytes:
    """Return the bytes that are hashed."""
    return encoded.encode("utf-8", "surrogatepass")


@lru_cache(maxsize=8)
def _begun(secret: bytes) -> tuple[Hash, Hash]:
    """Return both hashes of an HMAC (RFC 2104), the key taken in.

    It happens several times for every request: to go on from here takes half the time of copying the library's HMAC.
    """
    block = sha256().block_size
    key = (secret if len(secret) <= block else sha256(secret).digest()).ljust(block, b"\0")
    return sha256(key.translate(_INNER)), sha256(key.translate(_OUTER))


_INNER, _OUTER = (bytes(byte ^ pad for byte in range(256)) for pad in (0x36, 0x5C))


def _listed(values: Sequence[object], depth: int) -> str:
    if depth >= MAX_DEPTH:
        raise ValueError("nested too deeply")
    # The commonest first, and no call for each of them: this runs several times for every request.
    parts = [
        f"s{len(value)}:{value}"
        if type(value) is str
        else _listed(value, depth + 1)
        if type(value) is tuple
        else _tagged(value, depth + 1)
        for value in values
    ]
    return f"l{len(parts)};{''.join(parts)}"


def _tagged(value: object, depth: int) -> str:
    if isinstance(value, bytes):
        return raw(value)
    if value is None or isinstance(value, int):
        return f"{value};"
    if isinstance(value, (tuple, list)):
        return _listed(value, depth)
    if isinstance(value, str):
        return f"s{len(value)}:{value}"
    if isinstance(value, dict):
        pairs = [part for key in sorted(value) for part in (key, value[key])]
        return f"d{len(value)};{_listed(pairs, depth)}"
    raise TypeError(f"no canonical form for {type(value).__name__}")
