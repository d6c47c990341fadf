"""Moments placed on a line that people can read: milliseconds beside hours. Pure."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass

_SHORTEST = 0.001
"""Seconds: two moments closer than this are drawn at almost one place."""


@dataclass(frozen=True, slots=True)
class Tick:
    """A label under the axis. at: per cent. offset: seconds since the first moment.

    tight: beside the first or the last one, which stand inside the axis and not astride of their place: on a narrow
    screen there is no room for it.
    """

    at: float
    offset: float
    tight: bool = False


class Axis:
    """Places from 0 to 100 per cent. The gap between two moments grows with its logarithm, never linearly.

    A retry after 40 ms and one after 3 hours both stay visible; order is kept, lengths are only compared.
    """

    def __init__(self, moments: Iterable[float]) -> None:
        """moments: Unix seconds, in any order."""
        self._moments = sorted(set(moments)) or [0.0]
        places = [0.0]
        for before, after in zip(self._moments, self._moments[1:], strict=False):
            places.append(places[-1] + math.log1p((after - before) / _SHORTEST))
        whole = places[-1] or 1.0
        self._places = [round(100 * place / whole, 3) for place in places]

    def place(self, moment: float) -> float:
        """Per cent from the left; between two moments in proportion."""
        right = bisect_right(self._moments, moment)
        if right == 0:
            return 0.0
        if right == len(self._moments):
            return self._places[-1]
        before, after = self._moments[right - 1], self._moments[right]
        share = (moment - before) / (after - before)
        return round(self._places[right - 1] + share * (self._places[right] - self._places[right - 1]), 3)

    def ticks(self, apart: float = 18.0) -> list[Tick]:
        """Labels that do not touch: moments at least so many per cent apart, the first and the last among them."""
        chosen: list[Tick] = []
        for moment, place in zip(self._moments, self._places, strict=True):
            last = moment == self._moments[-1]
            if chosen and (place - chosen[-1].at < apart or (not last and 100 - place < apart)):
                continue
            tight = bool(chosen) and not last and not 1.5 * apart <= place <= 100 - 1.5 * apart
            chosen.append(Tick(round(place, 3), moment - self._moments[0], tight))
        return chosen
