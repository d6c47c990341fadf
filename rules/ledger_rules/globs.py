"""Wildcards, without regular expressions: cost is bounded by pattern times text, whatever a pattern says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self


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

    def matches(self, text: str) -> bool:
        """Say whether the whole text fits."""
        first, last = self.pieces[0], self.pieces[-1]
        if self.literal:
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


ANY_DEPTH = None
"""The segment `**`: any number of segments, also none."""


def segments_match(pattern: Sequence[TextGlob | None], path: Sequence[str]) -> bool:
    """Match a path's segments against a pattern's.

    Only the latest `**` is ever retried: an earlier one gains nothing by taking more.
    """
    p = s = retry = 0
    deep = -1
    while s < len(path):
        ended = p == len(pattern)
        glob = None if ended else pattern[p]
        if glob is ANY_DEPTH and not ended:
            deep, retry, p = p, s, p + 1
        elif glob is not None and glob.matches(path[s]):
            p, s = p + 1, s + 1
        elif deep >= 0:
            retry += 1
            p, s = deep + 1, retry
        else:
            return False
    return all(rest is ANY_DEPTH for rest in pattern[p:])
