"""The pages: each reads what it shows and gives it to a template. Changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiohttp import web

from ledger import clock
from ledger.ports import Dimension, Query
from ledger.records import Record, Status
from ledger_console.dashboard import bodies, drawing, following, shapes, summary, words
from ledger_console.dashboard.axis import Axis
from ledger_console.dashboard.curl import curl, settling
from ledger_console.dashboard.filters import ORDERS, PAGE, TIMES, Filters
from ledger_console.dashboard.keys import PAGES, SOURCE
from ledger_console.dashboard.searching import Found, find
from ledger_console.text import visible
from ledger_console.waiting import abandoned, gone, totals, waits

if TYPE_CHECKING:
    from ledger.stores.sqlite_view import SqliteView

JOURNAL_LINES = 40
"""Events that the overview begins with."""
FLASHES = {
    "resolved": "Settled. The journal keeps who said it and why.",
    "released": "The next attempt runs.",
    "removed": "Removed.",
}
"""What an action did, said on the page that follows it."""
_SUGGESTED = 50


async def overview(request: web.Request) -> web.StreamResponse:
    """Totals, the chart, the journal, the breakdowns."""

    def read(view: SqliteView) -> dict[str, Any]:
        place = following.place_now(view)
        events = view.events(max(0, place.seq - JOURNAL_LINES), JOURNAL_LINES)
        return {
            "after": str(place),
            "events": shapes.newest(events),
            "totals": summary.totals(view),
            "groups": summary.groups(view),
        }

    found = await request.app[SOURCE].read(read)
    ranges = [(name, label) for name, (label, _, _) in summary.RANGES.items()]
    shell = {"at": "/", "waiting": found["totals"]["waiting"]}
    return request.app[PAGES].page(
        request, "overview.html", shell, ranges=ranges, dimensions=shapes.DIMENSIONS, **found
    )


async def operations(request: web.Request) -> web.StreamResponse:
    """A page of records, newest first unless another order is asked for."""
    try:
        filters = Filters.given_in(request.query)
    except ValueError as error:
        raise web.HTTPBadRequest(text=f"The address asks for something that is not there: {error}.") from None
    now = clock.now().wall

    def read(view: SqliteView) -> dict[str, Any]:
        return _paged(find(view, filters.query(now), PAGE), filters) | {
            "waiting": totals(view, Query())["open"],
            "tools": list(view.breakdown(Query(limit=_SUGGESTED), Dimension.TOOL, standing=False)),
            "callers": summary.callers(view, _SUGGESTED),
        }

    found = await request.app[SOURCE].read(read)
    shell = {"at": "/operations", "waiting": found.pop("waiting"), "q": filters.q}
    return request.app[PAGES].page(
        request,
        "operations.html",
        shell,
        heading="Operations",
        lead="",
        filters=filters,
        statuses=list(Status),
        times=TIMES.items(),
        orders=ORDERS.items(),
        flash=FLASHES.get(request.query.get("flash", "")),
        **found,
    )


def _paged(found: Found, filters: Filters) -> dict[str, Any]:
    return {
        "records": found.records,
        "searched": found,
        "next": f"/operations?{filters.address(found.next)}" if found.next else None,
        "newest": f"/operations?{filters.address()}" if filters.before else None,
        "ordered": {order: f"/operations?{address}" for order, address in filters.ordered().items()},
        "clear": f"/clear?{filters.address()}",
    }


async def unknown(request: web.Request) -> web.StreamResponse:
    """What waits for a person: also what was running when its process ended, which nobody marked yet."""

    def read(view: SqliteView) -> tuple[list[Record], Found, int]:
        ended = abandoned(view, Query(), PAGE)
        return ended, find(view, Query(status=Status.UNKNOWN), PAGE), totals(view, Query())["open"]

    ended, found, waiting = await request.app[SOURCE].read(read)
    rest = Filters(status=Status.UNKNOWN.value).address(found.next) if found.next else ""
    return request.app[PAGES].page(
        request,
        "operations.html",
        {"at": "/unknown", "waiting": waiting},
        heading="Unknown",
        lead="Sent, and no answer came back: the effect may have happened. Ask the provider, then say which it was.",
        filters=None,
        flash=FLASHES.get(request.query.get("flash", "")),
        records=[*ended, *filter(waits, found.records)],
        next=f"/operations?{rest}" if rest else None,
        searched=None,
        ordered=None,
        newest=None,
        clear=None,
    )


async def operation(request: web.Request) -> web.StreamResponse:
    """Everything about one record."""
    id = request.match_info["id"]

    def read(view: SqliteView) -> tuple[Record | None, list[Any], int]:
        record = view.get(id)
        if record is None:
            alike = view.page(Query(id_prefix=id, limit=2)) if id.isalnum() else []
            record = view.get(alike[0].id) if len(alike) == 1 else None
        return record, view.timeline(record.id if record else id), totals(view, Query())["open"]

    record, events, waiting = await request.app[SOURCE].read(read)
    if record is None:
        raise web.HTTPNotFound(text=f"There is no record {visible(id)} in this ledger.")
    now = clock.now().wall
    axis = Axis([*(event.at for event in events), *([now] if record.status is Status.RUNNING else [])])
    drawn = {
        "bars": drawing.bars(list(drawing.spans(events, now)), axis),
        "marks": drawing.marks(events, axis),
        "ticks": axis.ticks(),
        "told": drawing.told(record),
    }
    body, no_body = bodies.answer(record)
    return request.app[PAGES].page(
        request,
        "operation.html",
        {"at": "/operations", "waiting": waiting},
        record=record,
        events=events,
        drawn=drawn,
        answers=drawing.ANSWERS,
        verdict=words.verdict(record, gone(record)),
        curl=curl(record),
        settling=settling(record, request.app[SOURCE].place),
        request_facts=words.request_facts(record),
        identity=words.identity(record),
        body=body,
        no_body=no_body,
        flash=FLASHES.get(request.query.get("flash", "")),
    )


async def body(request: web.Request) -> web.StreamResponse:
    """The recorded body as it is, to be saved: a browser must not show what somebody else wrote."""
    id = request.match_info["id"]
    record = await request.app[SOURCE].read(lambda view: view.get(id))
    if record is None or record.result is None or record.result.body is None:
        raise web.HTTPNotFound(text="There is no recorded body here.")
    name = "".join(c for c in record.id if c.isalnum())[:32] or "body"
    headers = {"Content-Disposition": f'attachment; filename="{name}.bin"', "Content-Type": "application/octet-stream"}
    return web.Response(body=record.result.body, headers=headers)


ROUTES = (
    web.get("/", overview),
    web.get("/operations", operations),
    web.get("/operations/{id:.+}/body", body),
    web.get("/operations/{id:.+}", operation),
    web.get("/unknown", unknown),
)
