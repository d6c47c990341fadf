"""Numbers that a running sidecar keeps for its operators: bounded, and cheap enough for every request. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from ledger.steps import Answer

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Upper bounds of a histogram's buckets."""
NAMED = 200
"""So many rules, or tools, get numbers of their own; who makes them up must not fill a server of metrics."""
OTHER = "other"
"""The numbers of all further ones."""


def label(name: str, named: set[str], other: str = OTHER) -> str:
    """The name under which something is counted. named: those that have numbers of their own; may get one more."""
    if len(named) < NAMED:
        named.add(name)
    return name if name in named else other


@dataclass(slots=True)
class Histogram:
    """How long something took. counts: per bucket, the last one for what took longer than every bound."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(SECONDS) + 1))
    total: float = 0.0

    def add(self, seconds: float) -> None:
        """Take one into account."""
        self.counts[bisect_left(SECONDS, seconds)] += 1
        self.total += seconds

    def plus(self, other: Histogram) -> None:
        """Take all of another into account."""
        self.counts = [ours + theirs for ours, theirs in zip(self.counts, other.counts, strict=True)]
        self.total += other.total

    def cumulative(self) -> list[tuple[str, int]]:
        """Buckets as Prometheus has them: how many took at most so long."""
        bounds, seen, found = [*map(str, SECONDS), "+Inf"], 0, []
        for bound, count in zip(bounds, self.counts, strict=True):
            seen += count
            found.append((bound, seen))
        return found


@dataclass(slots=True)
class Measures:
    """Per rule: what was answered, and how long it took."""

    answers: Counter[tuple[str, Answer]] = field(default_factory=Counter)
    took: dict[str, Histogram] = field(default_factory=dict)
    writes: Histogram = field(default_factory=Histogram)
    refused: int = 0
    """Ruled requests that were turned away because the ledger could not be used."""
    named: set[str] = field(default_factory=set)

    def answered(self, rule: str, answer: Answer, seconds: float) -> None:
        """Take one answered attempt into account."""
        rule = label(rule, self.named)
        self.answers[rule, answer] += 1
        self.took.setdefault(rule, Histogram()).add(seconds)


@dataclass(slots=True)
class Numbers:
    """All that a scrape is told. connections: accepted so far. waiting: records by status, running or unknown now."""

    measures: Measures = field(default_factory=Measures)
    connections: int = 0
    waiting: Mapping[str, int] = field(default_factory=dict)

    def plus(self, other: Numbers) -> None:
        """Take what another process of the same ledger counted into account; what waits is the ledger's, not summed."""
        ours, theirs = self.measures, other.measures
        ours.answers.update(theirs.answers)
        for rule, histogram in theirs.took.items():
            ours.took.setdefault(rule, Histogram()).plus(histogram)
        ours.writes.plus(theirs.writes)
        ours.refused += theirs.refused
        self.connections += other.connections
        self.waiting = other.waiting or self.waiting

    def told(self) -> dict[str, Any]:
        """As a worker tells its parent."""
        m = self.measures
        return {
            "answers": [[rule, answer.value, count] for (rule, answer), count in m.answers.items()],
            "took": {rule: [h.counts, h.total] for rule, h in m.took.items()},
            "writes": [m.writes.counts, m.writes.total],
            "refused": m.refused,
            "connections": self.connections,
            "waiting": dict(self.waiting),
        }

    @classmethod
    def heard(cls, told: Mapping[str, Any]) -> Self:
        """The same from what was told."""
        measures = Measures(
            Counter({(rule, Answer(answer)): count for rule, answer, count in told["answers"]}),
            {rule: Histogram(*parts) for rule, parts in told["took"].items()},
            Histogram(*told["writes"]),
            told["refused"],
        )
        return cls(measures, told["connections"], told["waiting"])
