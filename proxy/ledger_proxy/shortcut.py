"""The hooks of the short way: which connections get a `lane`, and what its requests are answered.

What a lane cannot do is done by a flow, see `addon`; until then nothing has been sent, or all that is sent streams.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence

import ledger_proxy.light  # noqa: F401 - before mitmproxy

# isort: split
from mitmproxy import connection
from mitmproxy.proxy import layer, layers

from ledger_proxy import answers
from ledger_proxy.lane import Asked, Lane
from ledger_proxy.limits import BODY_SECONDS, HEAD_SECONDS
from ledger_proxy.receiving import read
from ledger_proxy.reception import Reception, left
from ledger_proxy.settings import Settings
from ledger_rules.request import Request
from ledger_rules.rule import Rule
from ledger_rules.ruleset import Ruleset, decide

logger = logging.getLogger(__name__)

_HTTP1 = (None, b"", b"http/1.1")


class Shortcut:
    """streams: answers to plain requests that turned out to stream, by client; its next flow is to have them.

    coming: clients whose request has begun and whose body has not come.
    """

    def __init__(self, settings: Settings, reception: Reception) -> None:
        self._reception, self._patience = reception, reception.patience
        self._rules, self._origin = settings.rules, settings.mode.origin
        self.streams: dict[str, answers.Streamed] = {}
        self.coming: set[str] = set()

    def take(self, rules: Ruleset) -> None:
        """From now on requests are matched by these."""
        self._rules = rules

    def next_layer(self, nextlayer: layer.NextLayer) -> None:
        """Behind TLS, on a ruled host, requests have the short way first."""
        context = nextlayer.context
        address = context.server.address
        inside = bool(context.layers) and isinstance(context.layers[-1], layers.ClientTLSLayer)
        if nextlayer.layer is not None or not inside or address is None or self._origin is not None:
            return
        if context.client.alpn in _HTTP1 and self._rules.intercepts(address[0].lower(), address[1]):
            nextlayer.layer = Lane(context, self)

    def begun(self, client: connection.Client) -> None:
        """See `lane.Admission`."""
        self._patience.begun(client.id, time.monotonic() + HEAD_SECONDS)

    def admit(self, client: connection.Client, request: Request, whole: bool) -> Sequence[Rule]:
        """See `lane.Admission`: none also for what must be refused, which is a flow's to say."""
        try:
            welcome = self._reception.unwelcome(request, client) is None
            candidates = self._rules.candidates(request) if welcome else ()
        except Exception:
            logger.exception("a request could not be matched")
            return ()
        if all(rule.mode == "observe" for rule in candidates):
            return ()
        if whole:
            self._patience.met(client.id)
        else:
            self._patience.expect(client.id, time.monotonic() + BODY_SECONDS)
            self.coming.add(client.id)
        return candidates

    async def ruled_request(self, asked: Asked) -> None:
        """Answer it. What raises leaves it without an answer, and the lane never asks twice."""
        request, client = asked.request, asked.client
        self._patience.met(client.id)
        self.coming.discard(client.id)
        try:
            with self._reception.counted():
                # Asked before anything waits: an agent that leaves takes with it what its connection said.
                caller = self._reception.asking(request, client)
                rule = await read(len(request.body), decide, asked.candidates, request)
                if rule is None or rule.mode == "observe":
                    asked.elsewhere = True
                    return
                told = await self._reception.answer(rule, request, client, caller)
                if isinstance(told, answers.Streamed):
                    asked.elsewhere = self._leave_to_flow(client, told)
                else:
                    asked.answer = told
        except Exception:
            logger.exception("an exchange failed; the agent is told that its outcome is unknown")

    def client_disconnected(self, client: connection.Client) -> None:
        """Nobody takes what was to stream to it, and its body will not come."""
        self.coming.discard(client.id)
        told = self.streams.pop(client.id, None)
        if told is not None:
            told.body.leave()

    def _leave_to_flow(self, client: connection.Client, told: answers.Streamed) -> bool:
        if left(client):
            told.body.leave()
            return False
        self.streams[client.id] = told
        return True
