"""The numbers of the overview, each a short read of its own. No HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from ledger import clock
from ledger.errors import ReadTooLong
from ledger.ports import Dimension, Query, cursor
from ledger_console import waiting
from ledger_console.dashboard import shapes
from ledger_console.dashboard.following import LATELY_SECONDS, STEP_SECONDS, Recent

if TYPE_CHECKING:
    from ledger.stores.sqlite_view import SqliteView

TOP = 8
"""Rows of a breakdown on the overview."""
LATELY = 86400.0
"""Seconds that callers are counted over: their sums are kept by time, and all of it would take too long to add up."""
_LOOKED_AT, _LOOKS = 250, 4
"""Records read at once, and how often, to find workflows."""

RANGES: Mapping[str, tuple[str, int, int]] = {
    "15m": ("15 min", LATELY_SECONDS, STEP_SECONDS),
    "6h": ("6 h", 6 * 3600, 300),
    "24h": ("24 h", 86400, 1800),
    "7d": ("7 days", 7 * 86400, 3 * 3600),
    "30d": ("30 days", 30 * 86400, 12 * 3600),
}
"""Spans of the chart: label, seconds shown, seconds of one bar."""


def totals(view: SqliteView) -> dict[str, int]:
    """Of the whole ledger."""
    return shapes.told(waiting.totals(view, Query()))


def groups(view: SqliteView) -> dict[Dimension, list[dict[str, Any]] | None]:
    """The first rows by tool, workflow and caller; None for what takes too long to count."""
    return {dimension: _group(view, dimension) for dimension in Dimension}


def activity(view: SqliteView, recent: Recent, name: str, now: float) -> dict[str, Any]:
    """The bars of the chart for one of `RANGES`."""
    _, seconds, step = RANGES[name]
    start = now - seconds
    found = recent.read(view, now) if step == STEP_SECONDS else view.activity(Query(since=start), step)
    return shapes.stretches(found, start, now, step)


def callers(view: SqliteView, most: int) -> list[str]:
    """Who asked lately."""
    return [
        name
        for name in view.breakdown(Query(limit=most, since=clock.now().wall - LATELY), Dimension.CALLER, standing=False)
        if name
    ]


def summary(view: SqliteView) -> dict[str, Any]:
    """What an open overview is told again when something happened."""
    return {"totals": totals(view), "groups": {by.value: rows for by, rows in groups(view).items()}}


def latest_workflows(view: SqliteView, before: str | None, most: int) -> tuple[dict[str, float], str | None]:
    """Workflows whose operations began last before a cursor, and when; and the cursor to go on from, None at the end.

    A ledger may hold a workflow for every order there ever was: they are looked up in the order of their records, not
    counted. One that is on an earlier page may come again.
    """
    names: dict[str, float] = {}
    for _ in range(_LOOKS):
        records = view.page(Query(before=before, limit=_LOOKED_AT))
        for record in records:
            if record.wf not in names and len(names) == most:
                return names, before
            names.setdefault(record.wf, record.created.wall)
            before = cursor(record)
        if len(records) < _LOOKED_AT:
            return names, None
    return names, before


def _found(view: SqliteView, by: Dimension) -> Mapping[str, Mapping[str, int]]:
    if by is Dimension.WF:
        names, _ = latest_workflows(view, None, TOP)
        return {name: view.stats(Query(wf=name)) for name in names}
    lately = clock.now().wall - LATELY if by is Dimension.CALLER else None
    return view.breakdown(Query(limit=TOP, since=lately), by, standing=False)


def _group(view: SqliteView, by: Dimension) -> list[dict[str, Any]] | None:
    try:
        rows = shapes.groups(_found(view, by))
    except ReadTooLong:
        return None
    for row in rows:
        page = "/workflow" if by is Dimension.WF else "/operations"
        row["href"] = f"{page}?{urlencode({by.value: row['name']})}" if row["name"] else "/operations"
    return rows
