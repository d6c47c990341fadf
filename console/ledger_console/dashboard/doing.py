"""What a person does here: settle, let run again, remove. Through the same functions as the command line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from aiohttp import web

from ledger import clock
from ledger.ports import CLOSED, Query
from ledger.records import Result, Status
from ledger_console import actions, ledgers
from ledger_console.actions import Reason
from ledger_console.dashboard.filters import Filters
from ledger_console.dashboard.keys import GATE, PAGES, SOURCE
from ledger_console.problems import Problem
from ledger_console.waiting import totals as totals_of

if TYPE_CHECKING:
    from ledger.stores.sqlite import SqliteStore
    from ledger.stores.sqlite_view import SqliteView

_NOTE, _NAME = 500, 100
"""Characters of a reason and of a name."""


async def resolve(request: web.Request) -> web.Response:
    """Settle an unknown."""
    form = await _form(request)
    id, done, reason, answer = _id(request), form.get("done"), _reason(form), _answer(form)
    if done not in ("yes", "no"):
        raise web.HTTPBadRequest(text="Say what happened: done is yes or no.")
    happened = done == "yes"
    if answer and not happened:
        raise web.HTTPBadRequest(text="What did not happen has no answer.")
    await _write(request, lambda store, place: actions.resolve(store, place, id, happened, reason, answer))
    return _back(f"/operations/{quote(id, safe='')}", "resolved")


async def retry(request: web.Request) -> web.Response:
    """Let the next attempt run."""
    form = await _form(request)
    id, reason = _id(request), _reason(form)
    await _write(request, lambda store, place: actions.retry(store, place, id, reason))
    return _back(f"/operations/{quote(id, safe='')}", "released")


async def remove(request: web.Request) -> web.Response:
    """Remove one record; an unknown only by force."""
    form = await _form(request)
    id, reason, force = _id(request), _reason(form), form.get("force") == "yes"

    def work(store: SqliteStore, place: ledgers.Place) -> None:
        record = ledgers.find(store, id, place)
        if record.status not in CLOSED and not (force and record.status is Status.UNKNOWN):
            raise Problem(f"it is {record.status}: its effect may have happened, and would happen again")
        if not actions.remove(store, [record], reason).total():
            raise Problem("it changed meanwhile, and was not removed")

    await _write(request, work)
    return _back("/operations", "removed")


async def confirm_clear(request: web.Request) -> web.StreamResponse:
    """What the filters would remove, and the form that does it."""
    _refuse_where_only_read(request)
    filters = _filters(request)
    now = clock.now().wall

    def read(view: SqliteView) -> tuple[Counter[Status], Counter[Status], int]:
        return *actions.removable(view, filters.query(now)), totals_of(view, Query())["open"]

    going, kept, waiting = await request.app[SOURCE].read(read)
    return request.app[PAGES].page(
        request,
        "clear.html",
        {"at": "/operations", "waiting": waiting},
        query=filters.address(),
        chosen=filters.words(),
        removable=bool(going),
        what=actions.told(going),
        kept=actions.told(kept),
        kept_count=kept.total(),
    )


async def clear(request: web.Request) -> web.Response:
    """Remove what has ended and fits the filters; what is open stays."""
    form = await _form(request)
    if form.get("sure") != "yes":
        raise web.HTTPBadRequest(text="Say that you are sure.")
    query, reason = _filters(request).query(clock.now().wall), _reason(form)
    await _write(request, lambda store, _: actions.remove_all(store, query, reason))
    return _back("/operations", "removed")


ROUTES = (
    web.get("/clear", confirm_clear),
    web.post("/clear", clear),
    web.post("/operations/{id:.+}/resolve", resolve),
    web.post("/operations/{id:.+}/retry", retry),
    web.post("/operations/{id:.+}/remove", remove),
)


async def _form(request: web.Request) -> Mapping[str, Any]:
    """The form, if it may do anything at all."""
    _refuse_where_only_read(request)
    form = await request.post()
    if not request.app[GATE].own_form(form.get("csrf")):
        raise web.HTTPForbidden(text="This form is from another run of the dashboard. Go back, reload and try again.")
    return form


def _refuse_where_only_read(request: web.Request) -> None:
    if why := request.app[SOURCE].why_not_written():
        raise web.HTTPForbidden(text=why)


async def _write[T](request: web.Request, work: Callable[[SqliteStore, ledgers.Place], T]) -> T:
    """Do it on a store that is open no longer than that: the dashboard is no writer."""
    source = request.app[SOURCE]

    def on_store() -> T:
        with ledgers.opened(source.place) as store:
            return work(store, source.place)

    return await source.run(on_store)


def _id(request: web.Request) -> str:
    return str(request.match_info["id"])


def _reason(form: Mapping[str, Any]) -> Reason:
    note, by = (str(form.get(name) or "").strip() for name in ("note", "by"))
    if not note or not by:
        raise web.HTTPBadRequest(text="Say why, and who you are: the journal keeps both.")
    return Reason(note[:_NOTE], by[:_NAME])


def _answer(form: Mapping[str, Any]) -> Result | None:
    body = str(form.get("body") or "").replace("\r\n", "\n")
    if not body:
        return None
    status = str(form.get("status") or "200")
    if not (status.isascii() and status.isdigit() and 200 <= int(status) <= 599):
        raise web.HTTPBadRequest(text="An HTTP status is a number from 200 to 599.")
    return actions.answer_of(int(status), body.encode())


def _filters(request: web.Request) -> Filters:
    try:
        return Filters.given_in({**request.query, "before": ""})
    except ValueError as error:
        raise web.HTTPBadRequest(text=str(error)) from None


def _back(path: str, flash: str) -> web.Response:
    return web.Response(status=303, headers={"Location": f"{path}?flash={flash}"})
