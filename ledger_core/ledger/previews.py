"""Arguments as a person is shown them: short, plain, without secrets. For eyes only; identity is `normal`'s."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from functools import lru_cache
from itertools import islice
from typing import Any

TEXT, ITEMS, DEPTH, WHOLE = 120, 12, 3, 40
"""Characters of one text, items of one container, levels, and values of the whole."""

_SECRET = re.compile(
    r"pass(word|wd|phrase)|secret|token|api_?key|authorization|credential|private_?key|^(pin|cvc|cvv)$"
)
MASKED = "***"
_CARD_DIGITS = 13
_CARD_NUMBER = 10 ** (_CARD_DIGITS - 1)
_LOWEST = -_CARD_NUMBER
"""What is shorter than a payment card's number is shown as it is, and not counted among the values of the whole."""


def preview(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """JSON-able and small, whatever the arguments are: a record must not grow with them."""
    told: dict[str, Any] = {}
    left = [WHOLE]
    for name, value in islice(arguments.items(), ITEMS):
        kind = type(value)
        if (kind is str and len(value) < _CARD_DIGITS) or (kind is int and _LOWEST < value < _CARD_NUMBER):
            told[name] = MASKED if _is_secret(name) else value
        else:
            told[str(name)] = _shown(str(name), value, DEPTH, left)
    return told


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
        return _whole_number(value)
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


def _whole_number(value: int) -> Any:
    if value.bit_length() > 64:
        return "int"
    text = str(value)
    masked = _without_cards(text)
    return value if masked == text else masked


def _cut(text: str) -> str:
    # A little more than is shown, so that no card number escapes by standing at the edge.
    near = _without_cards(text[: TEXT + _CARD_LENGTH])
    return near if len(text) <= TEXT else f"{near[:TEXT]}…"


_CARD_LENGTH = 19 + 18
_CARD = re.compile(r"(?<!\d)\d(?:[ -]?\d){12,18}(?!\d)")


def _without_cards(text: str) -> str:
    """Payment card numbers (ISO/IEC 7812: 13 to 19 digits, the last a Luhn check) by their last four digits."""
    return _CARD.sub(lambda found: _masked(found[0]), text)


def _masked(text: str) -> str:
    digits = [int(c) for c in text if c.isdigit()]
    doubled = (sum(divmod(2 * d, 10)) for d in digits[-2::-2])
    is_card = (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0
    return f"****{''.join(map(str, digits[-4:]))}" if is_card else text
