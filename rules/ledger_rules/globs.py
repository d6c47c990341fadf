"""Wildcards, without regular expressions: cost is bounded by pattern times text, whatever a pattern says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

_ANYTHING = "\U0010ffff"
"""Stands for the `*` of another glob. A noncharacter: no text on the wire has it."""


@dataclass(frozen=True, slots=True)
class TextGlob:
    """A text in which `*` stands for any characters, also none."""

    pieces: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the glob of a text; every text is one."""
        return cls(tuple(text.split("*")))

    @property
    def literal(self) -> bool:
        """True without any `*`."""
        return len(self.pieces) == 1

    def __str__(self) -> str:
        return "*".join(self.pieces)

    def matches(self, text: str) -> bool:
        """Say whether the whole text fits."""
        first, last = self.pieces[0], self.pieces[-1]
        if len(self.pieces) == 1:
            return text == first
        if len(text) < len(first) + len(last) or not text.startswith(first) or not text.endswith(last):
            return False
        at, end = len(first), len(text) - len(last)
        for piece in self.pieces[1:-1]:
            at = text.find(piece, at, end)
            if at < 0:
                return False
            at += len(piece)
        return True

    def covers(self, other: TextGlob) -> bool:
        """Say whether this certainly fits every text that the other fits: where it is hard to tell, no."""
        if any(_ANYTHING in piece for piece in self.pieces):
            return False
        return self.matches(_ANYTHING.join(other.pieces))


ANY_DEPTH = None
"""The segment `**`: any number of segments, also none."""

type Segments = Sequence[TextGlob | None]


def segments_match(pattern: Segments, path: Sequence[str]) -> bool:
    """Match a path's segments against a pattern's."""
    return _bound(pattern, path, TextGlob.matches) is not None


def segments_bound(pattern: Segments, path: Sequence[str]) -> Sequence[int] | None:
    """Return for each segment of a pattern the index of the path's segment it took; None where the path does not fit.

    What stands behind a `**` takes the first segments it can.
    """
    return _bound(pattern, path, TextGlob.matches)


def segments_cover(pattern: Segments, other: Segments) -> bool:
    """Say whether a pattern certainly fits every path that the other fits."""
    return _bound(pattern, other, lambda glob, item: item is not None and glob.covers(item)) is not None


def _bound[Item](
    pattern: Segments, path: Sequence[Item], fits: Callable[[TextGlob, Item], bool]
) -> Sequence[int] | None:
    """Only the latest `**` is ever retried: an earlier one gains nothing by taking more."""
    p = s = retry = 0
    deep = -1
    length = len(pattern)
    taken = [0] * length
    while s < len(path):
        glob = pattern[p] if p < length else None
        if glob is None and p < length:
            deep, retry, p = p, s, p + 1
            if p == length:
                break  # nothing follows: it takes all that is left
        elif glob is not None and fits(glob, path[s]):
            taken[p] = s
            p, s = p + 1, s + 1
        elif deep >= 0:
            retry += 1
            p, s = deep + 1, retry
        else:
            return None
    return taken if all(rest is ANY_DEPTH for rest in pattern[p:]) else None
