"""Durations as people write them (`24h`, `500ms`, `30`). Text in, seconds out."""

from __future__ import annotations

import math
import re

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_FORM = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,6})?)\s*(ms|s|m|h|d|w)")
_EXPECTED = "expected a duration such as 500ms, 30s, 5m, 24h or 7d, or a number of seconds"


def seconds(value: object) -> float:
    """Return a duration in seconds; raises ValueError that says what was expected and what was found."""
    if isinstance(value, str) and (form := _FORM.fullmatch(value.strip())):
        return float(form[1]) * _UNITS[form[2]]
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value >= 0:
        return float(value)
    raise ValueError(_EXPECTED)
