"""What an open page asks for by itself: the stream of events (server-sent events) and the chart's numbers."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

from aiohttp import web

from ledger import clock
from ledger.errors import LedgerError
from ledger_console.dashboard import shapes, summary
from ledger_console.dashboard.following import Place, news
from ledger_console.dashboard.keys import RECENT, SOURCE, STREAMS
from ledger_console.dashboard.troubles import state_of

POLL_SECONDS = 0.1
SUMMARY_SECONDS = 1.0
"""How often the totals follow at most, however fast events come."""
SILENCE_SECONDS = 15.0
"""After so long without news a comment keeps the connection known as alive."""
MOST_STREAMS = 32


async def events(request: web.Request) -> web.StreamResponse:
    """The journal from `Last-Event-ID`, else from `?after=`, else from now; and what the ledger's state is."""
    streams = request.app[STREAMS].tasks
    if len(streams) >= MOST_STREAMS:
        raise web.HTTPServiceUnavailable(text="Too many dashboards are open; close some.")
    task = asyncio.current_task()
    assert task is not None
    streams.add(task)
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"})
    try:
        await response.prepare(request)
        await response.write(b"retry: 1000\n\n")
        stream = _Stream(request, response)
        while True:
            await stream.step()
            await asyncio.sleep(POLL_SECONDS)
    except ConnectionResetError:
        # The browser left: there is nobody to answer.
        return response
    finally:
        streams.discard(task)


async def activity(request: web.Request) -> web.Response:
    """The chart's bars for `?range=`."""
    name = request.query.get("range", "15m")
    if name not in summary.RANGES:
        raise web.HTTPBadRequest(text=f"range is one of {', '.join(summary.RANGES)}")
    recent, now = request.app[RECENT], clock.now().wall
    return web.json_response(await request.app[SOURCE].read(lambda view: summary.activity(view, recent, name, now)))


async def end_streams(app: web.Application) -> None:
    """Open streams would keep the dashboard from stopping."""
    for task in list(app[STREAMS].tasks):
        task.cancel()


ROUTES = (web.get("/events", events), web.get("/api/activity", activity))


class _Stream:
    """One browser's stream: its place in the journal and what it was told last."""

    def __init__(self, request: web.Request, response: web.StreamResponse) -> None:
        self._source, self._response = request.app[SOURCE], response
        given = request.headers.get("Last-Event-ID") or request.query.get("after") or ""
        self._place = Place.parsed(given)
        self._state: str | None = None
        self._owed = True
        self._told = self._summed = 0.0

    async def step(self) -> None:
        """Look once, and tell what is new."""
        try:
            await self._look()
        except LedgerError as error:
            await self._tell_state(state_of(error).value, str(error))
        if time.monotonic() - self._told > SILENCE_SECONDS:
            await self._write(": still here\n\n")

    async def _look(self) -> None:
        since = self._place
        found = await self._source.read(lambda view: news(view, since))
        await self._tell_state("ok")
        self._place = found.place
        if found.another:
            await self._tell("replaced", {})
        if found.events:
            self._owed = True
            told = {"skipped": found.skipped, "events": [shapes.line(event) for event in found.events]}
            await self._tell("journal", told, found.place)
        if self._owed and time.monotonic() - self._summed >= SUMMARY_SECONDS:
            self._owed, self._summed = False, time.monotonic()
            await self._tell("summary", await self._source.read(summary.summary))

    async def _tell_state(self, state: str, what: str = "") -> None:
        if state != self._state:
            self._state = state
            await self._tell("state", {"state": state, "what": what})

    async def _tell(self, event: str, data: dict[str, Any], place: Place | None = None) -> None:
        id = f"id: {place}\n" if place else ""
        await self._write(f"{id}event: {event}\ndata: {json.dumps(data)}\n\n")

    async def _write(self, text: str) -> None:
        self._told = time.monotonic()
        await self._response.write(text.encode())
