"""What waits for a person: an unknown that nobody released, and what was running when its process ended. Reads only."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ledger.records import Record, Status

if TYPE_CHECKING:
    from ledger.ports import Query
    from ledger_console.ledgers import Reader

MOST = 1000
"""Running records that are looked at: as many as are in flight at once, and few of those are."""


def gone(record: Record) -> str | None:
    """Why the owner of a running record is believed gone; None while it is believed, or where nothing runs."""
    if record.status is not Status.RUNNING:
        return None
    from ledger import clock, lifecycle, owners

    return lifecycle.gone(record, owners.alive(record.owner), clock.now())


def waits(record: Record) -> bool:
    """Whether only a person can settle it."""
    return not record.released and (record.status is Status.UNKNOWN or gone(record) is not None)


def abandoned(store: Reader, query: Query, most: int = MOST) -> list[Record]:
    """The newest ones whose owner is gone, and which nobody marked as unknown yet."""
    if query.status not in (None, Status.RUNNING):
        return []
    return [r for r in store.page(replace(query, status=Status.RUNNING, limit=most)) if gone(r)]


def totals(store: Reader, query: Query) -> dict[str, int]:
    """As the store's, `open` being how many wait for a person."""
    found = store.stats(query)
    return {**found, "open": found["open"] + (len(abandoned(store, query)) if found["running"] else 0)}
