"""The pages of workflows: all of them, and one run on a time axis. Changes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from aiohttp import web

from ledger import clock
from ledger.ports import Query, place_of
from ledger.records import Event, Record, Status
from ledger_console.dashboard import drawing, shapes, summary
from ledger_console.dashboard.axis import Axis
from ledger_console.dashboard.drawing import Bar, Mark
from ledger_console.dashboard.keys import PAGES, SOURCE
from ledger_console.waiting import gone
from ledger_console.waiting import totals as totals_of

if TYPE_CHECKING:
    from ledger.stores.sqlite_view import SqliteView

MOST_WORKFLOWS = 50
MOST_OPERATIONS = 200
"""Operations that are drawn. What one person can look at, and one read can hold."""


@dataclass(frozen=True, slots=True)
class Row:
    """One operation on the run's axis. told: the drawing in words."""

    record: Record
    bars: list[Bar]
    marks: list[Mark]
    told: str


@dataclass(frozen=True, slots=True)
class Stopped:
    """Where a run stopped."""

    record: Record
    what: str


async def workflows(request: web.Request) -> web.StreamResponse:
    """Workflows, the one that began an operation last on top."""
    before = request.query.get("before") or None
    try:
        if before:
            place_of(before)
    except ValueError:
        raise web.HTTPBadRequest(text="The address asks for a page that is not there.") from None

    def read(view: SqliteView) -> tuple[dict[str, float], dict[str, dict[str, int]], str | None, int]:
        names, end = summary.latest_workflows(view, before, MOST_WORKFLOWS)
        return names, {name: view.stats(Query(wf=name)) for name in names}, end, totals_of(view, Query())["open"]

    began, rows, end, waiting = await request.app[SOURCE].read(read)
    following = f"/workflows?{urlencode({'before': end})}" if end else None
    shell = {"at": "/workflows", "waiting": waiting}
    return request.app[PAGES].page(
        request, "workflows.html", shell, rows=rows, began=began, next=following, first=not before
    )


async def workflow(request: web.Request) -> web.StreamResponse:
    """Every operation of `?wf=` on one axis: what ran, what was replayed, where it stopped."""
    wf = request.query.get("wf", "")

    def read(view: SqliteView) -> tuple[list[Record], dict[str, list[Event]], dict[str, int], int]:
        records = view.page(Query(wf=wf, limit=MOST_OPERATIONS))
        events = {record.id: view.timeline(record.id) for record in records}
        return records, events, shapes.told(view.stats(Query(wf=wf))), totals_of(view, Query())["open"]

    records, events, totals, waiting = await request.app[SOURCE].read(read)
    records.reverse()
    rows, axis = drawn(records, events, clock.now().wall)
    return request.app[PAGES].page(
        request,
        "workflow.html",
        {"at": "/workflows", "waiting": waiting},
        wf=wf,
        totals=totals,
        rows=rows,
        drawn={"ticks": axis.ticks(20.0)},
        stopped=stopped(records),
        more=totals["actions"] > len(rows),
    )


def drawn(records: Sequence[Record], events: Mapping[str, list[Event]], now: float) -> tuple[list[Row], Axis]:
    """A row for each record, all on one axis. records: oldest first. events: each one's own, oldest first."""
    moments = [event.at for record in records for event in events[record.id]]
    axis = Axis([*moments, *([now] if any(r.status is Status.RUNNING for r in records) else [])])

    def row(record: Record) -> Row:
        own = events[record.id]
        bars = drawing.bars(list(drawing.spans(own, now)), axis)
        seen = [event for event in own if event.event in drawing.ANSWERS or event.event in drawing.BY_PERSON]
        return Row(record, bars, drawing.marks(seen, axis), drawing.told(record))

    return [row(record) for record in records], axis


def stopped(records: Sequence[Record]) -> Stopped | None:
    """The first operation that keeps the run from having succeeded. records: oldest first."""
    said: dict[Status, Any] = {
        Status.UNKNOWN: "It stopped here: nobody knows whether this happened",
        Status.FAILED: "It stopped here: this failed",
    }
    for record in records:
        if record.status is Status.RUNNING and gone(record):
            return Stopped(record, "It stopped here: its process ended while this ran")
        if record.status is Status.UNKNOWN or (record.status is Status.FAILED and record is records[-1]):
            return Stopped(record, said[record.status])
    return None


ROUTES = (web.get("/workflows", workflows), web.get("/workflow", workflow))
