"""Records are looked for in short reads, in the page's order, for as long as a page may take; what was not is said."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ledger.ports import Query, Sort, cursor, place_of
from ledger.records import Record, rfc3339

if TYPE_CHECKING:
    from ledger.stores.sqlite_view import SqliteView

FIRST, WIDTH = 500, 2_000
"""Records of the first read, which fills most pages, and of each that follows: some ten milliseconds.

Where none of them is in memory yet, the disk is asked once for each: some hundred more.
"""
SECONDS = 0.6
"""After so long no further read begins."""


@dataclass(frozen=True, slots=True)
class Found:
    """A page. next: the cursor of what follows; None: nothing does.

    unfinished: not all records were looked at. searched: how many were, at least. upto: back to when, in the order
    of time.
    """

    records: list[Record]
    next: str | None
    unfinished: bool = False
    searched: int = 0
    upto: str = ""


def find(view: SqliteView, query: Query, page: int) -> Found:
    """A page of it. Raises what the view raises."""
    found: list[Record] = []
    searched, width, end = 0, min(FIRST, WIDTH), time.monotonic() + SECONDS
    while True:
        records, edge = view.scan(replace(query, limit=page + 1 - len(found)), width)
        found += records
        if edge is None or len(found) > page:
            return _page(found, page, query.sort)
        at = place_of(edge, query.sort)
        # The beginning of an order's next stretch: there were fewer in the one before.
        searched += width if at.id else 0
        query, width = replace(query, before=edge), WIDTH
        if time.monotonic() > end:
            return Found(found, edge, True, searched, rfc3339(at.key) if query.sort is Sort.CREATED else "")


def _page(records: list[Record], page: int, sort: Sort) -> Found:
    shown = records[:page]
    return Found(shown, cursor(shown[-1], sort) if len(records) > page else None)
