"""A text is looked for in short reads, newest first, for as long as a page may take; what was not searched is said."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ledger.ports import Query, cursor, place_of
from ledger.records import Record, rfc3339

if TYPE_CHECKING:
    from ledger.stores.sqlite_view import SqliteView

WIDTH = 10_000
"""Records of one read: some tens of milliseconds."""
SECONDS = 0.6
"""After so long no further read begins."""


@dataclass(frozen=True, slots=True)
class Found:
    """A page. next: the cursor of what follows; None: nothing does. searched: records that were looked at, and back
    to when, where the search was not finished.
    """

    records: list[Record]
    next: str | None
    searched: int = 0
    upto: str = ""


def find(view: SqliteView, query: Query, page: int) -> Found:
    """A page of it. Raises what the view raises."""
    if query.grep is None:
        return _page(view.page(replace(query, limit=page + 1)), page)
    found: list[Record] = []
    searched, end = 0, time.monotonic() + SECONDS
    while True:
        records, edge = view.scan(replace(query, limit=page + 1 - len(found)), WIDTH)
        found += records
        if edge is None or len(found) > page:
            return _page(found, page)
        searched += WIDTH
        query = replace(query, before=edge)
        if time.monotonic() > end:
            return Found(found, edge, searched, rfc3339(place_of(edge)[0]))


def _page(records: list[Record], page: int) -> Found:
    shown = records[:page]
    return Found(shown, cursor(shown[-1]) if len(records) > page else None)
