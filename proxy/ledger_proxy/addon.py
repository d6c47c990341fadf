"""The hooks of requests: which go through the exchange, which pass. Thin, and fails closed.

mitmproxy forwards a request whose hook raised, so nothing here may raise: every path of `request` sets a response.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence

import ledger_proxy.light  # noqa: F401 - before mitmproxy

# isort: split
from aiohttp.streams import StreamReader
from mitmproxy import connection, http

from ledger_proxy import answers, rings
from ledger_proxy.destinations import is_address
from ledger_proxy.exchange import Caller
from ledger_proxy.fronting import front
from ledger_proxy.headers import said_to_origin, to_text
from ledger_proxy.limits import BODY_SECONDS
from ledger_proxy.observing import Observer
from ledger_proxy.passing import Passer
from ledger_proxy.receiving import TooLarge, chosen, read, receive, spooled
from ledger_proxy.reception import Reception
from ledger_proxy.relay import HOST, Answering, Relay, Ticket, given
from ledger_proxy.settings import Settings
from ledger_proxy.shortcut import Shortcut
from ledger_proxy.spool import IN_MEMORY, Spool
from ledger_proxy.watching import Watched
from ledger_rules.operation import LEDGER_HEADERS
from ledger_rules.request import Request
from ledger_rules.rule import Rule
from ledger_rules.ruleset import Ruleset, decide
from ledger_rules.urls import normal_host

logger = logging.getLogger(__name__)

_CANDIDATES, _LET_GO, _TICKET = "ledger.candidates", "ledger.let_go", "ledger.ticket"
_WATCHED = "ledger.watched"
_FRAMING = frozenset((b"content-length", b"transfer-encoding", b"expect"))
WRITE_SECONDS = 0.05
"""What the front gets to put a last answer on the wire; it tells nobody when it has."""
_PROXY_HEADERS = ("Proxy-Authorization", "Proxy-Connection")


class Gate:
    """Hooks of the sidecar. rules: those that hold now."""

    def __init__(
        self,
        settings: Settings,
        reception: Reception,
        relay: Relay,
        passer: Passer,
        shortcut: Shortcut,
        observer: Observer | None = None,
    ) -> None:
        self._reception, self._patience, self._shortcut = reception, reception.patience, shortcut
        self._relay, self._passer, self._observer = relay, passer, observer
        self.rules, self._origin = settings.rules, settings.mode.origin
        self._default = Caller(settings.workflow, settings.caller)
        self._chained = settings.upstream_proxy is not None
        self._flowing: dict[str, str] = {}

    def under_way(self) -> set[str]:
        """The clients, by id, with a request that has begun and is not answered, on either way."""
        return {*self._flowing.values(), *self._shortcut.coming}

    def take(self, rules: Ruleset) -> None:
        """From now on requests are matched by these."""
        self.rules = rules
        self._shortcut.take(rules)
        self._reception.take(rules)

    def requestheaders(self, flow: http.HTTPFlow) -> None:
        self._patience.met(flow.client_conn.id)
        self._flowing[flow.id] = flow.client_conn.id
        if flow.client_conn.id in self._shortcut.streams:
            return
        try:
            self._aim(flow)
            request = _request(flow, b"")
            if refused := self._reception.unwelcome(request, flow.client_conn, flow.request.authority):
                self._refuse(flow, refused)
                return
            candidates = self.rules.candidates(request)
        except Exception:
            logger.exception("a request could not be matched and is refused")
            flow.response = front(answers.problem(answers.UNAVAILABLE, detail="The rules could not be applied."))
            return
        if not candidates:
            self._let_go(flow)
            flow.request.stream = True
            return
        if all(rule.mode == "observe" for rule in candidates):
            watched = self._watch(flow, candidates, _request(flow, b""))
            flow.request.stream = watched.sent if watched else True
        elif _coded(flow.request):
            self._refuse(flow, answers.problem(answers.CODED))
        elif _small(flow.request):
            flow.metadata[_CANDIDATES] = candidates
            self._patience.expect(flow.client_conn.id, time.monotonic() + BODY_SECONDS)
        else:
            self._pass(flow, self._relay.issue(self._receiving(candidates, flow)), taking=True)

    async def request(self, flow: http.HTTPFlow) -> None:
        candidates: tuple[Rule, ...] = flow.metadata.pop(_CANDIDATES, ())
        self._patience.met(flow.client_conn.id)
        if (streamed := self._shortcut.streams.pop(flow.client_conn.id, None)) is not None:
            self._pass(flow, self._relay.issue(given(streamed), streamed.body.leave))
            return
        watched: Watched | None = flow.metadata.get(_WATCHED)
        if watched is not None:
            watched.sent_whole(flow.request.raw_content)
        if not candidates and not _settled(flow):
            logger.error("a request whose head could not be judged is refused")
            flow.response = front(answers.problem(answers.UNAVAILABLE))
        if not candidates or flow.response is not None:
            return
        told: answers.Response | answers.Streamed | None = None
        try:
            with self._reception.counted():
                request = _request(flow, flow.request.raw_content or b"")
                # Asked before anything waits: an agent that leaves takes with it what its connection said.
                caller = self._reception.asking(request, flow.client_conn)
                rule = await read(len(request.body), decide, candidates, request)
                if rule is None:
                    self._let_go(flow)
                    return
                if rule.mode == "observe":
                    if watched := self._watch(flow, (rule,), request):
                        watched.sent_whole(request.body)
                    return
                told = await self._reception.answer(rule, request, flow.client_conn, caller)
                if isinstance(told, answers.Streamed):
                    self._pass(flow, self._relay.issue(given(told), told.body.leave))
        except Exception:
            logger.exception("an exchange failed; the agent is told that its outcome is unknown")
        finally:
            if not _settled(flow):
                whole = told if isinstance(told, answers.Response) else None
                flow.response = front(whole or answers.problem(answers.BROKEN))

    def responseheaders(self, flow: http.HTTPFlow) -> None:
        ticket: Ticket | None = flow.metadata.get(_TICKET)
        if flow.response is None:
            return
        if ticket is not None and ticket.told is not None:
            head = flow.response.data
            head.status_code, head.reason = ticket.told.status, ticket.told.reason
            head.headers = http.Headers(ticket.told.headers)
        if ticket is not None or flow.metadata.get(_LET_GO):
            watched: Watched | None = flow.metadata.get(_WATCHED)
            flow.response.stream = watched.came if watched else True

    def response(self, flow: http.HTTPFlow) -> None:
        self._flowing.pop(flow.id, None)
        watched: Watched | None = flow.metadata.pop(_WATCHED, None)
        if watched is not None and flow.response is not None:
            headers = [(to_text(n), to_text(v)) for n, v in flow.response.headers.fields]
            watched.answered(flow.response.status_code, headers, flow.response.raw_content)

    def error(self, flow: http.HTTPFlow) -> None:
        self._flowing.pop(flow.id, None)
        ticket: Ticket | None = flow.metadata.get(_TICKET)
        if ticket is not None:
            # An agent that left before the head came: nobody will take what streams, and its record is not to wait.
            self._relay.withdraw(ticket)
        watched: Watched | None = flow.metadata.pop(_WATCHED, None)
        if watched is not None:
            why = flow.error.msg if flow.error else "the connection broke"
            watched.lost(why, sent=flow.server_conn.timestamp_tcp_setup is not None)

    async def answered(self, seconds: float) -> None:
        """Wait until nothing is being answered any more, also to who has left, bounded."""
        deadline = time.monotonic() + seconds
        while (self._reception.answering or self._relay.busy) and time.monotonic() < deadline:  # noqa: ASYNC110 - polled only while stopping
            await asyncio.sleep(0.01)

    async def settle(self, seconds: float) -> None:
        """Wait until every answer has been handed to its connection, bounded."""
        await self.answered(seconds)
        await asyncio.sleep(WRITE_SECONDS)

    def _watch(self, flow: http.HTTPFlow, candidates: Sequence[Rule], request: Request) -> Watched | None:
        """Let the request go its way, and follow it."""
        self._let_go(flow)
        if self._observer is None:
            return None
        caller = self._reception.asking(request, flow.client_conn) or self._default
        watched = Watched(self._observer, candidates, request, caller)
        flow.metadata[_WATCHED] = watched
        return watched

    def _let_go(self, flow: http.HTTPFlow) -> None:
        """No rule means this request: it goes its way, less what was said to us."""
        headers = flow.request.headers
        for name in (*_PROXY_HEADERS, *LEDGER_HEADERS):
            headers.pop(name, None)
        if self._chained and flow.request.scheme == "http":
            headers[rings.FIELD] = rings.passed(headers.get(rings.FIELD))
        flow.metadata[_LET_GO] = True

    def _receiving(self, candidates: Sequence[Rule], flow: http.HTTPFlow) -> Answering:
        """Answers a request when its body, which is not in memory, has come."""
        request = _request(flow, b"")
        # As above: under another name than its retry's, this would be another operation.
        caller = self._reception.asking(request, flow.client_conn)

        async def answer(content: StreamReader) -> answers.Response | answers.Streamed:
            spool = Spool()
            try:
                whole = await receive(request, content.iter_any(), spool)
                rule = await read(spool.size, chosen, candidates, whole, spool)
                if rule is None or rule.mode == "observe":
                    return await self._passer.answer(whole, spool)
                body = await spooled(rule, whole, spool)
                return await self._reception.answer(rule, whole, flow.client_conn, caller, body)
            except TooLarge:
                return answers.problem(answers.TOO_LARGE)
            finally:
                spool.close()

        return answer

    def _aim(self, flow: http.HTTPFlow) -> None:
        """Where a request goes that does not say it itself: to the reverse origin, or to the name behind an address.

        In TLS the name has been said, or none: what stands inside names no other host, see `agreement`.
        """
        target, client, named = flow.request.data, flow.client_conn, flow.request.host_header or ""
        if self._origin is not None:
            target.scheme = self._origin.scheme.encode()
            flow.request.host_header = self._origin.host_port_subcomponent or ""
            # What clients call the sidecar names nobody to the origin.
            flow.request.authority = ""
        elif not client.tls and not flow.request.authority and is_address(target.host):
            name = named.lower().removesuffix(f":{target.port}")
            target.host, _ = self._reception.meant(client, (target.host, target.port), name)

    def _refuse(self, flow: http.HTTPFlow, told: answers.Response) -> None:
        """Answer before the body has come; one that is large is not gathered for it."""
        if _small(flow.request):
            flow.response = front(told)
        else:
            self._pass(flow, self._relay.issue(given(told)), taking=True)

    def _pass(self, flow: http.HTTPFlow, ticket: Ticket, taking: bool = False) -> None:
        """Point a flow at the relay. taking: with its body, else only for the answer."""
        framing = _FRAMING if taking else frozenset()
        chunked = flow.request.headers.get("transfer-encoding") and (b"Transfer-Encoding", b"chunked")
        fields = [chunked or (n, v) for n, v in flow.request.headers.fields if n.lower() in framing]
        head = http.Headers([(b"Host", HOST.encode()), *fields])
        method = b"POST" if taking else b"GET"
        path = ticket.path.encode()
        # A new one: the old one still tells the front how to treat the agent's connection.
        flow.request = http.Request(
            HOST, self._relay.port, method, b"http", b"", path, b"HTTP/1.1", head, b"", None, time.time(), None
        )
        flow.request.stream = taking
        flow.server_conn = connection.Server(address=(HOST, self._relay.port))
        flow.metadata[_TICKET] = ticket


def _small(request: http.Request) -> bool:
    """Whether its body fits into memory, as far as its head tells."""
    if "transfer-encoding" in request.headers:
        return False
    length = request.headers.get("content-length")
    return length is None or int(length) <= IN_MEMORY


def _coded(request: http.Request) -> bool:
    """Whether its body came in a transfer coding that is no framing: Ledger would have to undo it to read the body."""
    coding: str = request.headers.get("transfer-encoding", "chunked")
    return coding.strip().lower() != "chunked"


def _settled(flow: http.HTTPFlow) -> bool:
    """Whether it was decided what becomes of a request; mitmproxy sends on what nobody decided on."""
    return flow.response is not None or _LET_GO in flow.metadata or _TICKET in flow.metadata


def _request(flow: http.HTTPFlow, body: bytes) -> Request:
    r = flow.request
    headers = said_to_origin((to_text(n), to_text(v)) for n, v in r.headers.fields)
    return Request(r.method, r.scheme, normal_host(r.host), r.port, r.path, headers, body)
