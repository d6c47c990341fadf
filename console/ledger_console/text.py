"""Recorded text made harmless and short for a screen. Pure."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

SHORT = 12
"""Characters of a record's id that the proxy's answers and the screens show."""

_HARMFUL = {"Cc", "Cf", "Cs", "Zl", "Zp"}
"""Unicode categories that move a cursor, colour, reorder or split a line."""


def visible(text: str) -> str:
    """`text` with control characters, ANSI escapes and direction marks spelled out, so that they do nothing."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_spelled(c) if unicodedata.category(c) in _HARMFUL else c for c in text)


def _spelled(character: str) -> str:
    code = ord(character)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def age(seconds: float) -> str:
    """A duration in its largest whole unit: 5s, 12m, 3h, 4d."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds >= size:
            return f"{int(seconds // size)}{unit}"
    return f"{max(0, int(seconds))}s"


def short_ids(ids: Sequence[str]) -> dict[str, str]:
    """Each id cut to `SHORT` characters, or to as many as tell these ids apart."""
    length = SHORT
    while len({i[:length] for i in ids}) < len(set(ids)):
        length += 1
    return {i: i[:length] for i in ids}


def pairs(detail: Mapping[str, Any]) -> str:
    """An event's detail as `name=value`, values as JSON unless they are plain words."""
    return " ".join(f"{name}={_value(value)}" for name, value in detail.items() if value is not None)


def _value(value: Any) -> str:
    if isinstance(value, str) and value and not any(c.isspace() or c in '"=' for c in value):
        return value
    return json.dumps(value, ensure_ascii=False)
