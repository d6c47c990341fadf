"""The way of what streams: an endpoint inside the process that the front is pointed at, where a body may take its time.

mitmproxy's hooks give and take whole bodies. A flow whose request or answer should not be held in memory is sent here
instead, under a ticket that is good once; the front then streams both ways by itself, each side at the other's pace.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import web
from aiohttp.streams import StreamReader

from ledger_proxy import answers
from ledger_proxy.answers import Response, Streamed
from ledger_proxy.receiving import AgentLeft
from ledger_proxy.recording import BrokenOff

logger = logging.getLogger(__name__)

type Answering = Callable[[StreamReader], Awaitable[Response | Streamed]]

HOST = "127.0.0.1"


@dataclass(slots=True)
class Ticket:
    """One exchange on its way through the relay. told: its head, from when the relay answers.

    unused: what to do when nobody comes for it.
    """

    path: str
    answer: Answering
    told: Response | Streamed | None = None
    unused: Callable[[], None] | None = None


class Relay:
    """Listens on a free loopback port. busy: exchanges that are passing now."""

    def __init__(self) -> None:
        self._tickets: dict[str, Ticket] = {}
        self._runner = web.ServerRunner(web.Server(self._handle, access_log=None))
        self.port = 0
        self.busy = 0

    async def start(self) -> None:
        """Listen. Raises OSError."""
        await self._runner.setup()
        await web.TCPSite(self._runner, HOST, 0, shutdown_timeout=1.0).start()
        self.port = self._runner.addresses[0][1]

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        return HOST, self.port

    async def close(self) -> None:
        """Break off what is still passing."""
        await self._runner.cleanup()

    def issue(self, answer: Answering, unused: Callable[[], None] | None = None) -> Ticket:
        """A ticket for one exchange. answer: makes the response from the request's body. unused: see `Ticket`."""
        ticket = Ticket(f"/{secrets.token_urlsafe(24)}", answer, unused=unused)
        self._tickets[ticket.path] = ticket
        return ticket

    def withdraw(self, ticket: Ticket) -> None:
        """It will not be used; harmless when it was."""
        if self._tickets.pop(ticket.path, None) is not None and ticket.unused is not None:
            ticket.unused()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        ticket = self._tickets.pop(request.path, None)
        if ticket is None:
            return web.Response(status=404)
        self.busy += 1
        try:
            ticket.told = await _told(ticket, request)
            return await _pass(request, ticket.told)
        except AgentLeft:
            return web.Response(status=400)
        finally:
            self.busy -= 1


async def _told(ticket: Ticket, request: web.BaseRequest) -> Response | Streamed:
    try:
        return await ticket.answer(request.content)
    except AgentLeft:
        raise
    except Exception:
        logger.exception("an exchange failed; the agent is told that its outcome is unknown")
        return answers.problem(answers.BROKEN)


async def _pass(request: web.BaseRequest, told: Response | Streamed) -> web.StreamResponse:
    """Only the framing counts: the front puts the real head in the place of this one."""
    response = web.StreamResponse()
    sizes = [value for name, value in told.headers if name.lower() == b"content-length"]
    if isinstance(told, Response):
        response.content_length = len(told.body)
    elif sizes:
        response.content_length = int(sizes[0])
    else:
        response.enable_chunked_encoding()
    try:
        await response.prepare(request)
        if isinstance(told, Response):
            await response.write(told.body)
        else:
            while piece := await told.body.read():
                await response.write(piece)
        await response.write_eof()
    except BrokenOff:
        if request.transport is not None:
            request.transport.abort()
    except ConnectionError:
        pass
    finally:
        if isinstance(told, Streamed):
            told.body.leave()
    return response


def given(told: Response | Streamed) -> Answering:
    """What answers with this, whatever was asked."""

    async def answer(content: StreamReader) -> Response | Streamed:
        return told

    return answer
