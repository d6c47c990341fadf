"""Applying a change to a record that is in memory: its guard, its counters, its result. The SQL says the same."""

from __future__ import annotations

from collections.abc import Mapping

from ledger.lifecycle import Change, Guard
from ledger.records import Record
from ledger.stores.rows import COUNTERS, counter_row


def holds(change: Change, found: Record | None) -> bool:
    """Whether what the change was decided on is still true of the row as it is now."""
    was = change.was
    if found is None or was is None or (was.owner, was.epoch, was.status) != (found.owner, found.epoch, found.status):
        return False
    return change.guard is Guard.OWNER or (was.touched.wall, was.released) == (found.touched.wall, found.released)


def moved(change: Change, found: Record) -> Record:
    """The row after the change, but for its counters. A result stays with its epoch."""
    record = change.record
    if record.result is None and found.result is not None and found.epoch == record.epoch:
        return record.but(result=found.result)
    return record


def changed(change: Change, found: Record) -> Record:
    """The row after the change. Counters are added to what is there."""
    counts = counters(found)
    for name, delta in change.counts.items():
        counts[name] += delta
    return moved(change, found).but(**counts)


def counters(record: Record) -> dict[str, int]:
    """Its counters by name."""
    return dict(zip(COUNTERS, counter_row(record), strict=True))


def counted(record: Record, counts: Mapping[str, int]) -> Record:
    """A copy with this added to its counters."""
    return record.but(**{name: getattr(record, name) + delta for name, delta in counts.items()})
