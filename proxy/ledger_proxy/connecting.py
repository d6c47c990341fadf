"""The hooks of connections: who opens one, where it leads, whether it is looked into. Thin; no request is known here.

What no rule names is tunnelled. A refusal closes the connection, or is the answer to its CONNECT.
"""

from __future__ import annotations

import logging
import time

import ledger_proxy.light  # noqa: F401 - before mitmproxy

# isort: split
from mitmproxy import connection, http, tls
from mitmproxy.proxy import layer, layers, server_hooks
from mitmproxy.proxy.layers import modes

from ledger_proxy import answers
from ledger_proxy.agreement import may_name_a_host
from ledger_proxy.destinations import Destinations, is_address
from ledger_proxy.exchange import Caller
from ledger_proxy.fronting import front
from ledger_proxy.identity import from_proxy_authorization
from ledger_proxy.limits import HEAD_SECONDS, MAX_CONNECTIONS, Patience
from ledger_proxy.settings import Address, Settings
from ledger_rules.ruleset import Ruleset

logger = logging.getLogger(__name__)


class Connections:
    """Hooks of the sidecar. opened: how many connections were accepted. patience: until when each must have spoken."""

    def __init__(self, settings: Settings, destinations: Destinations) -> None:
        self.destinations = destinations
        self._settings, self._rules = settings, settings.rules
        self._auth, self._origin = settings.auth, settings.mode.origin
        self._default = Caller(settings.workflow, settings.caller)
        self._callers: dict[str, Caller] = {}
        self._named: dict[str, Address] = {}
        self._open = 0
        self.patience = Patience()
        self.opened = 0
        self.pinned: set[str] = set()
        self.unspoken: set[str] = set()

    def take(self, rules: Ruleset) -> None:
        """From now on connections are judged by these; tunnels that are open stay."""
        self._rules = rules
        self.destinations.take(rules.egress)

    def client_connected(self, client: connection.Client) -> None:
        self.opened += 1
        self._open += 1
        if self._open > MAX_CONNECTIONS:
            client.error = "too many connections"
        self.patience.expect(client.id, time.monotonic() + HEAD_SECONDS)

    def client_disconnected(self, client: connection.Client) -> None:
        self._open -= 1
        self.patience.met(client.id)
        self._callers.pop(client.id, None)

    async def http_connect(self, flow: http.HTTPFlow) -> None:
        self.patience.expect(flow.client_conn.id, time.monotonic() + HEAD_SECONDS)
        host, port = flow.request.host, flow.request.port
        direct = self._settings.upstream_proxy is None and (host.lower(), port) not in self._settings.resolve
        caller = self.who(flow.client_conn, flow.request.headers.get("Proxy-Authorization"))
        if caller is None:
            flow.response = front(answers.problem(answers.AUTHENTICATE))
        elif refused := await self.destinations.tunnel_refusal(host, port, direct):
            flow.response = front(refused)
        else:
            self._callers[flow.client_conn.id] = caller

    def socks5_auth(self, data: modes.Socks5AuthData) -> None:
        caller = self._auth.admit_pair(data.username, data.password, self._default) if self._auth else self._default
        if caller is not None:
            data.valid = True
            self._callers[data.client_conn.id] = caller

    def next_layer(self, nextlayer: layer.NextLayer) -> None:
        """A tunnel to a host that no rule names is not looked into: the agent sees the origin's certificate."""
        context = nextlayer.context
        address = context.server.address
        if self._origin is not None:
            context.server.sni = self._origin.host
            return
        socks = isinstance(context.layers[0], modes.Socks5Proxy)
        tunnelled = len(context.layers) > (0 if socks else 2)
        if not tunnelled or address is None:
            return
        if socks and self.destinations.refusal("https", *address) and self.destinations.refusal("http", *address):
            context.server.error = "the destination may not be reached"
            self._tunnel(nextlayer)
        # A SOCKS client may have looked a ruled name up itself: then what it says inside tells.
        elif not self._rules.intercepts(address[0].lower(), address[1]) and not (
            socks and is_address(address[0]) and may_name_a_host(nextlayer.data_client())
        ):
            self._tunnel(nextlayer)

    def _tunnel(self, nextlayer: layer.NextLayer) -> None:
        nextlayer.layer = layers.TCPLayer(nextlayer.context, ignore=True)
        self.patience.met(nextlayer.context.client.id)

    def tls_clienthello(self, data: tls.ClientHelloData) -> None:
        """A SOCKS client that looked the name up itself gives it in TLS: that is where it goes, if a rule names it."""
        address, name = data.context.server.address, (data.client_hello.sni or "").lower()
        looked_up = self._origin is None and address is not None and is_address(address[0])
        if not looked_up or address is None or self._rules.intercepts(*address):
            return
        if name and self._rules.intercepts(name, address[1]):
            data.context.server.address = (name, address[1])
        else:
            data.ignore_connection = True
            self.patience.met(data.context.client.id)

    def tls_failed_client(self, data: tls.TlsData) -> None:
        host = _host(data)
        if host and host not in self.pinned:
            self.pinned.add(host)
            logger.warning(
                "a client refused Ledger's certificate for %s: it trusts other roots only. "
                "Let it trust the CA that `--ca-dir` holds, or take %s out of the rules",
                host,
                host,
            )

    def tls_established_client(self, data: tls.TlsData) -> None:
        """A client that offers HTTP/2 alone, as gRPC does, gets no further on a host that a rule names: say why."""
        host, offered = _host(data), data.conn.alpn_offers
        if offered and not data.conn.alpn and host not in self.unspoken:
            self.unspoken.add(host)
            logger.warning(
                "a client offered %s no protocol but %s; hosts that rules name are spoken to in HTTP/1.1. "
                "Let it offer http/1.1 too, or take %s out of the rules: it is tunnelled untouched then",
                host,
                ", ".join(protocol.decode("ascii", "replace") for protocol in offered),
                host,
            )

    async def server_connect(self, data: server_hooks.ServerConnectionHookData) -> None:
        address = data.server.address
        if address is None or data.server.error:
            return
        self._named[data.server.id] = address
        try:
            reached = self._settings.resolve.get((address[0].lower(), address[1]), address)
            data.server.address = await self.destinations.reach(reached)
        except OSError as error:
            data.server.error = error.strerror or str(error)

    def server_connected(self, data: server_hooks.ServerConnectionHookData) -> None:
        # By its name the front finds the connection again for the next request; otherwise it opens one for each.
        # mitmproxy guards the address of an open connection against being changed by accident.
        object.__setattr__(data.server, "address", self._named.pop(data.server.id, data.server.address))

    def server_connect_error(self, data: server_hooks.ServerConnectionHookData) -> None:
        self.server_connected(data)

    def who(self, client: connection.Client, authorization: str | None) -> Caller | None:
        """Who asks on a connection, by what this request says or its tunnel said; None for who may not."""
        known = self._callers.get(client.id)
        if self._auth is None:
            return from_proxy_authorization(authorization, self._default) if authorization else known or self._default
        return self._auth.admit(authorization, self._default) or known


def _host(data: tls.TlsData) -> str:
    return data.conn.sni or (data.context.server.address or ("",))[0]
