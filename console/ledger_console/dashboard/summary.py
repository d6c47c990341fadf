"""The numbers of the overview, each a short read of its own. No HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from ledger.errors import ReadTooLong
from ledger.ports import Dimension, Query
from ledger_console.dashboard import shapes
from ledger_console.dashboard.following import LATELY_SECONDS, STEP_SECONDS, Recent

if TYPE_CHECKING:
    from ledger.stores.sqlite_view import SqliteView

TOP = 8
"""Rows of a breakdown on the overview."""

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
    return shapes.told(view.stats(Query()))


def groups(view: SqliteView) -> dict[Dimension, list[dict[str, Any]] | None]:
    """The first rows by tool, workflow and caller; None for what takes too long to count."""
    return {dimension: _group(view, dimension) for dimension in Dimension}


def activity(view: SqliteView, recent: Recent, name: str, now: float) -> dict[str, Any]:
    """The bars of the chart for one of `RANGES`."""
    _, seconds, step = RANGES[name]
    start = now - seconds
    found = recent.read(view, now) if step == STEP_SECONDS else view.activity(Query(since=start), step)
    return shapes.stretches(found, start, now, step)


def summary(view: SqliteView) -> dict[str, Any]:
    """What an open overview is told again when something happened."""
    return {"totals": totals(view), "groups": {by.value: rows for by, rows in groups(view).items()}}


def _group(view: SqliteView, by: Dimension) -> list[dict[str, Any]] | None:
    try:
        rows = shapes.groups(view.breakdown(Query(limit=TOP), by))
    except ReadTooLong:
        return None
    for row in rows:
        page = "/workflow" if by is Dimension.WF else "/operations"
        row["href"] = f"{page}?{urlencode({by.value: row['name']})}" if row["name"] else "/operations"
    return rows
