"""The dashboard's application: its parts put together, its addresses, and every error as a page. No reading here."""

from __future__ import annotations

from collections.abc import AsyncIterator
from importlib.resources import files
from pathlib import Path

from aiohttp import web
from aiohttp.typedefs import Handler

from ledger.errors import LedgerError
from ledger_console import actions, ledgers
from ledger_console.dashboard import doing, live, runs, security, views
from ledger_console.dashboard.following import Recent, Streams
from ledger_console.dashboard.keys import GATE, PAGES, RECENT, SOURCE, STREAMS
from ledger_console.dashboard.rendering import Pages
from ledger_console.dashboard.security import Gate
from ledger_console.dashboard.source import Source
from ledger_console.dashboard.troubles import TROUBLES, not_done, state_of
from ledger_console.problems import Problem
from ledger_console.text import visible

MAX_FORM = 10 * 1024 * 1024
"""Bytes of the largest form: an answer that a person gives for duplicates."""


def application(place: ledgers.Place, gate: Gate, readonly: bool = False) -> web.Application:
    """The dashboard of one ledger, which need not exist yet."""
    guarded = security.middleware(gate, login)
    app = web.Application(middlewares=[errors, guarded, troubles], client_max_size=MAX_FORM)
    source = app[SOURCE] = Source(place, readonly)
    app[GATE] = gate
    app[RECENT], app[STREAMS] = Recent(), Streams()
    app[PAGES] = Pages(place.path, source.why_not_written, gate.csrf, actions.myself())
    app.add_routes([*doing.ROUTES, *views.ROUTES, *runs.ROUTES, *live.ROUTES, web.post("/login", login)])
    app.router.add_static("/static", Path(str(files(__package__) / "static")), append_version=False)
    app.on_response_prepare.append(security.on_prepare)
    app.on_shutdown.append(live.end_streams)
    app.cleanup_ctx.append(_closing)
    return app


async def _closing(app: web.Application) -> AsyncIterator[None]:
    yield
    app[SOURCE].close()


async def login(request: web.Request) -> web.StreamResponse:
    """The page for who has no cookie yet, and the answer to its form."""
    given = (await request.post()).get("token") if request.method == "POST" else None
    if isinstance(given, str) and request.app[GATE].opened_by(given.strip()):
        return request.app[GATE].let_in(web.Response(status=303, headers={"Location": "/"}))
    wrong = given is not None or "token" in request.query
    return request.app[PAGES].page(request, "login.html", {"inside": False}, 401, wrong=wrong)


@web.middleware
async def troubles(request: web.Request, handler: Handler) -> web.StreamResponse:
    """What keeps the ledger from being shown, as a page that says what and looks again."""
    try:
        return await handler(request)
    except LedgerError as error:
        trouble, what = TROUBLES[state_of(error)], f"{str(error)[:1].upper()}{str(error)[1:]}."
        if request.method == "POST":
            # Not looked at again by itself: a browser would ask for the form's address, where nothing is to be read.
            return _problem(request, 503, trouble.title, what, not_done(state_of(error), request.path), False)
        return _problem(request, 503, trouble.title, what, trouble.todo, trouble.waits)
    except Problem as problem:
        return _problem(request, 409, "That was not done", f"{str(problem)[:1].upper()}{str(problem)[1:]}.", "", False)


@web.middleware
async def errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Addresses that are not there, and everything else that a browser is refused."""
    try:
        return await handler(request)
    except web.HTTPRedirection:
        raise
    except web.HTTPException as error:
        what = error.text or error.reason
        return _problem(request, error.status, error.reason, what, "", False)
    except Exception as error:
        request.app.logger.exception("a bug in the dashboard")
        return _problem(request, 500, "A bug in the dashboard", f"{type(error).__name__}: {error}", "", False)


def _problem(request: web.Request, status: int, title: str, what: str, todo: str, waits: bool) -> web.Response:
    if request.path.startswith("/api/"):
        return web.json_response({"title": title, "what": visible(what), "waits": waits}, status=status)
    # What was sent from a record's page goes back to it.
    of_record = request.method == "POST" and request.path.startswith("/operations/")
    back = request.rel_url.raw_path.rpartition("/")[0] if of_record else "/"
    values = {"title": title, "what": what, "todo": todo, "waits": waits, "back": back}
    page = request.app[PAGES].page(request, "problem.html", {"inside": status not in {503, 421}}, status, **values)
    if waits:
        page.headers["Refresh"] = "5"
    return page
