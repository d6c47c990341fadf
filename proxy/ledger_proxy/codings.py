"""A recorded answer in a coding that its reader did not ask for: undone, where that can be done. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from ledger_rules.encodings import decoded
from ledger_rules.redaction import DESCRIBES_BODY

type Header = tuple[bytes, bytes]


def readable(headers: Sequence[Header], body: bytes, accept_encoding: str | None) -> tuple[list[Header], bytes]:
    """Return headers and body as this reader can take them; as they are if it can, or if they cannot be decoded.

    RFC 9110 section 12.5.3 lets a request without Accept-Encoding be answered in any coding; most clients that send
    none can read none, and the plain body suits every reader.
    """
    coding = ", ".join(value.decode("latin-1") for name, value in headers if name.lower() == b"content-encoding")
    if not coding or _accepts(accept_encoding or "", coding):
        return list(headers), body
    try:
        plain = decoded(body, coding)
    except ValueError:
        return list(headers), body
    return [(n, v) for n, v in headers if n.decode("latin-1").lower() not in DESCRIBES_BODY], plain


def _accepts(accept_encoding: str, coding: str) -> bool:
    """Whether every coding in turn is named, or covered by `*`, and not with a weight of 0."""
    weights = dict(_weighed(part) for part in accept_encoding.split(","))
    return all(weights.get(one, weights.get("*", False)) for one in _names(coding))


def _weighed(part: str) -> tuple[str, bool]:
    name, _, weight = part.partition(";")
    try:
        return _plain(name), float(weight.strip().lower().removeprefix("q=") or 1) > 0
    except ValueError:
        return _plain(name), True


def _names(coding: str) -> list[str]:
    return [name for part in coding.split(",") if (name := _plain(part)) not in ("", "identity")]


def _plain(name: str) -> str:
    return name.strip().lower().removeprefix("x-")
