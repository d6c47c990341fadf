"""Header fields on their way through Ledger: which of them travel end to end, and how bytes become text. No I/O."""

from __future__ import annotations

from collections.abc import Iterable

type RawHeaders = tuple[tuple[bytes, bytes], ...]
"""Fields as they came over the wire: in order, with their case, hop-by-hop ones included."""

# RFC 9110 §7.6.1. What a `Connection` field names is added per message, every `Proxy-*` field by its prefix.
HOP_BY_HOP = frozenset({"connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"})
_OF_EVERY_HOP = frozenset({"host", "content-length"})
"""What no `Connection` field takes away: without them a body would be read as the next request, or for another host."""
_TO_US = ("proxy-", "ledger-")


def to_text(raw: bytes) -> str:
    """Decode a field name or value so that `to_bytes` gives the same bytes back, whatever they are."""
    return raw.decode("latin-1")


def to_bytes(text: str) -> bytes:
    """Encode a field name or value decoded as latin-1, or as ASCII with surrogateescape, to the bytes it came from.

    Raises UnicodeEncodeError for a character that no byte stands for.
    """
    return text.encode("latin-1", "surrogateescape")


def end_to_end[T: (str, bytes)](headers: Iterable[tuple[T, T]]) -> tuple[tuple[T, T], ...]:
    """Return the fields without those meant for one connection only (RFC 9110 §7.6.1), in order, for str or bytes."""
    fields = tuple(headers)
    dropped = HOP_BY_HOP | named_by_connection(fields)
    return tuple(
        (name, value) for name, value in fields if (key := _lower(name)) not in dropped and not key.startswith("proxy-")
    )


def said_to_origin[T: (str, bytes)](headers: Iterable[tuple[T, T]]) -> tuple[tuple[T, T], ...]:
    """Return the fields without those that a `Connection` field keeps from the origin, except what is said to a proxy.

    A request means what its origin will see of it: a key that never gets there, say, makes nothing idempotent.
    """
    fields = tuple(headers)
    kept = named_by_connection(fields)
    return (
        tuple((n, v) for n, v in fields if (key := _lower(n)) not in kept or key.startswith(_TO_US)) if kept else fields
    )


def named_by_connection[T: (str, bytes)](fields: tuple[tuple[T, T], ...]) -> frozenset[str]:
    """Return what the message's own `Connection` fields name, in lower case: options, and fields of one hop."""
    values = [_lower(value) for name, value in fields if _lower(name) == "connection"]
    return frozenset(option.strip() for value in values for option in value.split(",")) - _OF_EVERY_HOP


def _lower(text: str | bytes) -> str:
    return (text if isinstance(text, str) else to_text(text)).lower()
