"""The records that a query means, some at a time: however many there are, few are in memory. Prints a bar at most."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING

from ledger_console.progress import bar

if TYPE_CHECKING:
    from ledger.ports import Query
    from ledger.records import Record
    from ledger_console.ledgers import Reader

PAGE = 2000
FOUND = 200
"""Records with a text that are gathered before they are shown: whoever reads a pipe need not wait for the last."""
WIDTH = 10_000
"""Records that are searched at a time: some tens of milliseconds."""


def batches(store: Reader, query: Query) -> Iterator[list[Record]]:
    """Every record, in the query's order. While a text is looked for for long, a terminal is told how far it came."""
    from ledger.ports import cursor

    if query.grep is not None:
        yield from _search(store, query)
        return
    left = query.limit
    while left != 0:
        size = PAGE if left is None else min(PAGE, left)
        found = store.page(replace(query, limit=size))
        if found:
            yield found
        if len(found) < size:
            return
        left = None if left is None else left - size
        query = replace(query, before=cursor(found[-1], query.sort))


def every(store: Reader, query: Query) -> Iterator[Record]:
    """As `batches`, one by one."""
    return chain.from_iterable(batches(store, query))


def _search(store: Reader, query: Query) -> Iterator[list[Record]]:
    total = store.stats(replace(query, grep=None, before=None, limit=None))["actions"]
    left, searched, rest = query.limit, 0, True
    while rest and left != 0:
        size = FOUND if left is None else min(FOUND, left)
        found: list[Record] = []
        # Around the reading only: what is printed must not fall into the bar.
        with bar("searching") as advance:
            while rest and len(found) < size:
                more, query, rest = _look(store, replace(query, limit=size - len(found)))
                found += more
                searched += WIDTH
                advance(min(searched, total), total)
        left = None if left is None else left - len(found)
        if found:
            yield found


def _look(store: Reader, query: Query) -> tuple[list[Record], Query, bool]:
    """What is found among the next ones, the query that goes on behind them, and whether anything is behind them."""
    from ledger.ports import cursor

    found, edge = store.scan(query, WIDTH)
    if len(found) == query.limit:
        edge = cursor(found[-1], query.sort)
    return found, replace(query, before=edge), edge is not None
