"""What every way of a ruled request shares: whether it is welcome, who asks, what it is answered. No flows here."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import ledger_proxy.light  # noqa: F401 - before mitmproxy

# isort: split
from mitmproxy import connection

from ledger_proxy import answers, rings
from ledger_proxy.agreement import agrees, named
from ledger_proxy.connecting import Connections
from ledger_proxy.exchange import Caller, Exchange
from ledger_proxy.receiving import Spooled
from ledger_proxy.settings import Address, Settings
from ledger_rules.request import Request
from ledger_rules.rule import Rule
from ledger_rules.ruleset import Ruleset


class Reception:
    """answering: ruled requests being answered now."""

    def __init__(self, settings: Settings, exchange: Exchange, connections: Connections) -> None:
        self._exchange, self._connections, self.patience = exchange, connections, connections.patience
        self._auth, self._origin = settings.auth, settings.mode.origin
        self._enforced = settings.rules.enforced()
        self.answering = 0

    def take(self, rules: Ruleset) -> None:
        """From now on connections are judged by these."""
        self._enforced = rules.enforced()
        self._connections.take(rules)

    @contextlib.contextmanager
    def counted(self) -> Iterator[None]:
        """One more is being answered."""
        self.answering += 1
        try:
            yield
        finally:
            self.answering -= 1

    def unwelcome(self, request: Request, client: connection.Client, target: str = "") -> answers.Response | None:
        """Why a request is not taken at all. target: the authority of one in absolute form."""
        if self._auth is not None and self.asking(request, client) is None:
            return answers.problem(answers.AUTHENTICATE)
        if rings.came_by_us(request.header(rings.FIELD)):
            return answers.problem(answers.LOOP)
        if refused := self._connections.destinations.refusal(request.scheme, request.host, request.port):
            return refused
        return None if self._agrees(request, client, target) else answers.problem(answers.MISDIRECTED)

    def _agrees(self, request: Request, client: connection.Client, target: str) -> bool:
        """Also where no rule means it: one may mean it at the host that it names, which can be on the same machine."""
        if agrees(request, None if self._origin else client.sni, target):
            return True
        places = ((request.host, request.port), *named(request, target))
        return not any(self._enforced.intercepts(*place) for place in places)

    def meant(self, client: connection.Client, address: Address, name: str) -> Address:
        """Where a request goes that came for an address, and names a host in plain text."""
        self._connections.says(client, name)
        return self._connections.meant(address, name)

    def asking(self, request: Request, client: connection.Client) -> Caller | None:
        """Who asks; None for who may not."""
        return self._connections.who(client, request.header("Proxy-Authorization"))

    async def answer(
        self,
        rule: Rule,
        request: Request,
        client: connection.Client,
        caller: Caller | None,
        body: Spooled | None = None,
    ) -> answers.Response | answers.Streamed:
        """Through the exchange, for who was welcome."""
        if caller is None:
            return answers.problem(answers.AUTHENTICATE)
        return await self._exchange.answer(rule, request, caller, lambda: left(client), body)


def left(client: connection.Client) -> bool:
    """Whether a client is gone; its FIN counts."""
    return not client.state & connection.ConnectionState.CAN_READ
