"""Numbers that a running sidecar keeps for its operators: bounded, and cheap enough for every request. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field

from ledger.steps import Answer

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Upper bounds of a histogram's buckets."""


@dataclass(slots=True)
class Histogram:
    """How long something took. counts: per bucket, the last one for what took longer than every bound."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(SECONDS) + 1))
    total: float = 0.0

    def add(self, seconds: float) -> None:
        """Take one into account."""
        self.counts[bisect_left(SECONDS, seconds)] += 1
        self.total += seconds

    def cumulative(self) -> list[tuple[str, int]]:
        """Buckets as Prometheus has them: how many took at most so long."""
        bounds, seen, found = [*map(str, SECONDS), "+Inf"], 0, []
        for bound, count in zip(bounds, self.counts, strict=True):
            seen += count
            found.append((bound, seen))
        return found


@dataclass(slots=True)
class Measures:
    """Per rule, of which a rules file has so many and no more: what was answered, and how long it took."""

    answers: Counter[tuple[str, Answer]] = field(default_factory=Counter)
    took: dict[str, Histogram] = field(default_factory=dict)
    writes: Histogram = field(default_factory=Histogram)
    refused: int = 0
    """Ruled requests that were turned away because the ledger could not be written."""

    def answered(self, rule: str, answer: Answer, seconds: float) -> None:
        """Take one answered attempt into account."""
        self.answers[rule, answer] += 1
        self.took.setdefault(rule, Histogram()).add(seconds)
