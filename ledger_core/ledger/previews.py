"""Arguments as a person is shown them: short, plain, without secrets. For eyes only; identity is `normal`'s."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

TEXT, ITEMS, DEPTH, WHOLE = 120, 12, 3, 40
"""Characters of one text, items of one container, levels, and values of the whole."""

_SECRET = re.compile(
    r"pass(word|wd|phrase)|secret|token|api_?key|authorization|credential|private_?key|^(pin|cvc|cvv)$"
)
MASKED = "***"


def preview(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """JSON-able and small, whatever the arguments are: a record must not grow with them."""
    left = [WHOLE]
    return {str(name): _shown(str(name), value, DEPTH, left) for name, value in list(arguments.items())[:ITEMS]}


def _shown(name: str, value: Any, depth: int, left: list[int]) -> Any:
    if _is_secret(name):
        return MASKED
    left[0] -= 1
    kind = type(value)
    if value is None or kind is bool:
        return value
    if kind is float:
        return value if math.isfinite(value) else str(value)
    if kind is int:
        return value if value.bit_length() <= 64 else "int"
    if kind is str:
        return _cut(value)
    if depth > 0 and left[0] > 0:
        if kind is dict:
            return {_cut(str(k)): _shown(str(k), v, depth - 1, left) for k, v in list(value.items())[:ITEMS]}
        if kind in (list, tuple, set, frozenset):
            return [_shown("", item, depth - 1, left) for item in list(value)[:ITEMS]]
    return f"<{kind.__qualname__}>"


@lru_cache(1024)
def _is_secret(name: str) -> bool:
    return _SECRET.search(name.lower()) is not None


def _cut(text: str) -> str:
    return text if len(text) <= TEXT else f"{text[:TEXT]}…"
