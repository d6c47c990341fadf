"""A record's journal as something to draw: executions with their ends, and what else happened when. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from ledger.records import Event, EventType, Record
from ledger_console.dashboard.axis import Axis

ENDS = {
    EventType.SUCCEEDED: "success",
    EventType.SETTLED: "success",
    EventType.FAILED: "failed",
    EventType.UNKNOWN: "unknown",
    EventType.EXPIRED: "unknown",
}
"""What an execution came to."""
SETTLES = frozenset({EventType.SUCCEEDED, EventType.SETTLED, EventType.FAILED, EventType.RESOLVED})
BY_PERSON = frozenset({EventType.RESOLVED, EventType.RELEASED, EventType.CLEARED})
ANSWERS = frozenset({EventType.REPLAYED, EventType.BLOCKED, EventType.HELD, EventType.CONFLICT})
"""An attempt that was answered without an execution."""


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time. kind: how an execution ended, `running`, or `open` while nobody knew its outcome."""

    start: float
    end: float
    kind: str


@dataclass(frozen=True, slots=True)
class Bar:
    """A span on the axis. left, width: per cent."""

    left: float
    width: float
    kind: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Mark:
    """An event on the axis. at: per cent."""

    at: float
    event: Event


def spans(events: Iterable[Event], now: float) -> Iterator[Span]:
    """Executions from claim to outcome, and from an unknown outcome to what settled it."""
    began: float | None = None
    lost: float | None = None
    for event in events:
        if event.event is EventType.CLAIMED:
            if lost is not None:
                yield Span(lost, event.at, "open")
            began, lost = event.at, None
            continue
        if lost is not None and event.event in SETTLES:
            yield Span(lost, event.at, "open")
            lost = None
        if began is not None and (end := ENDS.get(event.event)):
            yield Span(began, event.at, end)
            began, lost = None, event.at if end == "unknown" else None
    if began is not None:
        yield Span(began, now, "running")
    elif lost is not None:
        yield Span(lost, now, "open")


def bars(found: Sequence[Span], axis: Axis) -> list[Bar]:
    """Spans on the axis."""
    places = [(axis.place(span.start), axis.place(span.end), span) for span in found]
    return [Bar(left, right - left, span.kind, span.end - span.start) for left, right, span in places]


def marks(events: Iterable[Event], axis: Axis) -> list[Mark]:
    """Each event on the axis."""
    return [Mark(axis.place(event.at), event) for event in events]


def told(record: Record) -> str:
    """The drawing in words, for who cannot see it."""
    counts = ((record.runs, "executed"), (record.failed, "failed"), (record.unknown, "unknown"),
              (record.blocked, "answered without running"))  # fmt: skip
    said = ", ".join(f"{count} {word}" for count, word in counts if count) or "none ended yet"
    return f"{record.attempts} attempts: {said}; {record.status.value} now"
