"""Following a journal: what is new since a place in it, and how much happened lately. No HTTP."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from ledger.records import Event, EventType

if TYPE_CHECKING:
    from ledger.stores.sqlite_view import SqliteView

BATCH = 500
"""Events of one message."""
MUCH = 2000
"""A stream that is further behind skips to what is new: nobody reads that many lines, and the totals count them."""

LATELY_SECONDS = 900
STEP_SECONDS = 15
_READ_BACK = 20_000
"""Events read at most for the latest minutes. Before them the drawing is empty."""

_KINDS: Mapping[EventType, str] = {
    EventType.SUCCEEDED: "executed",
    EventType.SETTLED: "executed",
    EventType.FAILED: "failed",
    EventType.UNKNOWN: "unknown",
    EventType.EXPIRED: "unknown",
    EventType.REPLAYED: "blocked",
    EventType.BLOCKED: "blocked",
    EventType.HELD: "blocked",
    EventType.CONFLICT: "blocked",
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a reader is in a journal. file: which one; seq: the last line it has."""

    file: str
    seq: int

    def __str__(self) -> str:
        return f"{self.file}.{self.seq}"

    @classmethod
    def parsed(cls, text: str) -> Self | None:
        """The place that a browser gives back, None when it is none of ours."""
        file, _, seq = text.rpartition(".")
        return cls(file, int(seq)) if file and seq.isascii() and seq.isdigit() and len(seq) < 19 else None


@dataclass(frozen=True, slots=True)
class News:
    """What came since a place. skipped: lines left out. another: it is another journal than the reader's."""

    place: Place
    events: list[Event]
    skipped: int = 0
    another: bool = False


def place_now(view: SqliteView) -> Place:
    """The end of the journal."""
    return Place(view.file, view.last_seq())


def news(view: SqliteView, since: Place | None) -> News:
    """What came since then; from the end on for a reader who has no place."""
    if since is None:
        return News(place_now(view), [])
    events = view.events(since.seq, BATCH)
    if view.file != since.file or (not events and view.last_seq() < since.seq):
        return News(place_now(view), [], another=True)
    if len(events) == BATCH and (end := view.last_seq()) - since.seq > MUCH:
        events = view.events(end - BATCH, BATCH)
        skipped = max(0, events[0].seq - since.seq - 1)
        return News(Place(view.file, events[-1].seq), events, skipped)
    return News(Place(view.file, events[-1].seq if events else since.seq), events)


class Streams:
    """The streams that are open now."""

    def __init__(self) -> None:
        self.tasks: set[asyncio.Task[Any]] = set()


class Recent:
    """What happened in the latest minutes, by stretches of `STEP_SECONDS`. The journal is read once. For threads."""

    def __init__(self) -> None:
        self._place = Place("", 0)
        self._sums: dict[float, Counter[str]] = {}
        self._lock = threading.Lock()

    def read(self, view: SqliteView, now: float) -> dict[float, dict[str, int]]:
        """Sums by the start of each stretch, up to now."""
        with self._lock:
            end = view.last_seq()
            if view.file != self._place.file or end < self._place.seq:
                self._place, self._sums = Place(view.file, 0), {}
            seq = max(self._place.seq, end - _READ_BACK)
            while events := view.events(seq, 1000):
                self._add(events, now)
                seq = events[-1].seq
            self._place = Place(view.file, max(seq, self._place.seq))
            self._sums = {at: sums for at, sums in self._sums.items() if at > now - LATELY_SECONDS - STEP_SECONDS}
            return {at: dict(sums) for at, sums in self._sums.items()}

    def _add(self, events: Iterable[Event], now: float) -> None:
        for event in events:
            kind = _KINDS.get(event.event)
            if kind and event.at > now - LATELY_SECONDS:
                self._sums.setdefault(event.at // STEP_SECONDS * STEP_SECONDS, Counter())[kind] += 1
