"""What turns out to be unruled when its body is here already: it is sent on once, and nothing is recorded."""

from __future__ import annotations

from ledger_proxy import answers
from ledger_proxy.answers import Response, Streamed
from ledger_proxy.headers import end_to_end
from ledger_proxy.recording import BrokenOff
from ledger_proxy.sending import reason_of
from ledger_proxy.spool import Spool
from ledger_proxy.upstream import Answer, MaybeSent, NotSent, Stream, Upstream
from ledger_rules.operation import LEDGER_HEADERS
from ledger_rules.request import Request


class Passer:
    """Answers unruled requests from their origin."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream

    async def answer(self, request: Request, spool: Spool) -> Response | Streamed:
        """Send the request, its body from `spool`, and give back what comes."""
        headers = [(n, v) for n, v in end_to_end(request.headers) if n.lower() not in LEDGER_HEADERS]
        try:
            came = await self._upstream.send(request, headers=headers, resendable=False, body=spool)
        except (NotSent, MaybeSent) as error:
            return answers.problem(answers.UNREACHABLE, detail=f"{error}.")
        fields = tuple(end_to_end(came.headers))
        if isinstance(came, Answer):
            return answers.framed(came.status, reason_of(came), fields, came.body)
        return answers.chunked(Streamed(came.status, reason_of(came), fields, _Passing(came.body)))


class _Passing:
    """The agent's side of a body that nobody records."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    async def read(self) -> bytes:
        try:
            return await self._stream.read()
        except MaybeSent as error:
            raise BrokenOff from error

    def leave(self) -> None:
        self._stream.close()
