"""The hooks of connections: who opens one, where it leads, whether it is looked into. Thin; no request is known here.

What no rule names is tunnelled. A refusal closes the connection, or is the answer to its CONNECT.
"""

from __future__ import annotations

import asyncio
import logging
import time

import ledger_proxy.light  # noqa: F401 - before mitmproxy

# isort: split
from mitmproxy import connection, http, tls
from mitmproxy.proxy import layer, layers, server_hooks
from mitmproxy.proxy.layers import modes

from ledger_proxy import answers, rings, splicing
from ledger_proxy.agreement import may_name_a_host
from ledger_proxy.destinations import Destinations, Forbidden, is_address
from ledger_proxy.ends import Ends
from ledger_proxy.exchange import Caller
from ledger_proxy.fronting import front
from ledger_proxy.identity import from_proxy_authorization
from ledger_proxy.limits import HEAD_SECONDS, MAX_CONNECTIONS, Patience
from ledger_proxy.nameless import RuledAddresses
from ledger_proxy.nameserving import PORT, here
from ledger_proxy.redirected import RedirectedMode
from ledger_proxy.resolver import led
from ledger_proxy.settings import Address, Settings
from ledger_rules.request import place
from ledger_rules.ruleset import Ruleset

logger = logging.getLogger(__name__)

BY_ADDRESS = frozenset({"socks5", RedirectedMode.type_name})
"""Modes whose clients may have looked a name up themselves, and tell only its address."""
UNNAMED = 3
"""Hosts without a rule that are remembered, to be told of."""
_REFUSED = "the destination may not be reached"


class Connections:
    """Hooks of the sidecar. opened: how many connections were accepted. patience: until when each must have spoken.

    unnamed: the first few hosts to which tunnels went that no rule names.

    ends: tells which redirected connections are our own; None where none is redirected.
    """

    def __init__(self, settings: Settings, destinations: Destinations, ends: Ends | None = None) -> None:
        self.destinations = destinations
        self._ends = ends
        self._ruled = RuledAddresses()
        self._saying: set[str] = set()
        self._turned_away: set[int] = set()
        self._settings, self._rules = settings, settings.rules
        self._led_ports = frozenset(port for _, port in settings.resolve)
        self._auth, self._origin = settings.auth, settings.mode.origin
        self._default = Caller(settings.workflow, settings.caller)
        self._callers: dict[str, Caller] = {}
        self._came_by: dict[str, str | None] = {}
        self._named: dict[str, Address] = {}
        self._open = 0
        self.patience = Patience()
        self.opened = 0
        self.unnamed: set[str] = set()
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
        if not client.error and client.proxy_mode.type_name == RedirectedMode.type_name:
            # Its own end is what it was on its way to.
            client.error = self._turn_away(client.sockname[:2]) or self._loop(client)

    def client_disconnected(self, client: connection.Client) -> None:
        self._open -= 1
        self.patience.met(client.id)
        self._callers.pop(client.id, None)
        self._came_by.pop(client.id, None)
        self._saying.discard(client.id)

    async def http_connect(self, flow: http.HTTPFlow) -> None:
        self.patience.expect(flow.client_conn.id, time.monotonic() + HEAD_SECONDS)
        host, port = flow.request.host, flow.request.port
        direct = self._settings.upstream_proxy is None and led(self._settings.resolve, host, port) is None
        caller = self.who(flow.client_conn, flow.request.headers.get("Proxy-Authorization"))
        if caller is None:
            flow.response = front(answers.problem(answers.AUTHENTICATE))
        elif rings.came_by_us(flow.request.headers.get(rings.FIELD)):
            flow.response = front(answers.problem(answers.LOOP))
        elif refused := await self.destinations.tunnel_refusal(host, port, direct):
            flow.response = front(refused)
        else:
            self._callers[flow.client_conn.id] = caller
            self._came_by[flow.client_conn.id] = flow.request.headers.get(rings.FIELD)

    def http_connect_upstream(self, flow: http.HTTPFlow) -> None:
        """The tunnel that the front opens through a proxy behind it."""
        flow.request.headers[rings.FIELD] = rings.passed(self._came_by.get(flow.client_conn.id))

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
        by_address = context.client.proxy_mode.type_name in BY_ADDRESS
        tunnelled = len(context.layers) > (0 if by_address else 2)
        if not tunnelled or address is None:
            return
        # A client may have looked a name up itself: then what it says inside tells.
        told_inside = is_address(address[0]) and self._may_name(address, nextlayer.data_client())
        if by_address and not told_inside and self.destinations.closed(address):
            context.server.error = _REFUSED
            self._tunnel(nextlayer)
        elif not self._rules.intercepts(address[0].lower(), address[1]) and not told_inside:
            self._unruled(address[0])
            self._tunnel(nextlayer)

    def _may_name(self, address: Address, data: bytes) -> bool:
        _, port = address
        matters = port in self._rules.ports or port in self._led_ports or self.destinations.by_name(address)
        return matters and may_name_a_host(data)

    def _loop(self, client: connection.Client) -> str | None:
        """Why a redirected connection is not taken that this sidecar, or another worker of it, has opened itself."""
        if self._ends is None or not self._ends.ours(client.peername, client.sockname):
            return None
        logger.error("the redirect catches the sidecar's own connections; exempt its user in the rules of nft")
        return _REFUSED

    def _turn_away(self, address: Address) -> str | None:
        """Why a redirected connection is not taken, whoever it is from and whatever it will say."""
        host, port = address
        wanted = self._settings.ports
        if wanted is None or port in wanted or port in self._rules.ports or (port == PORT and host in here()):
            return _REFUSED if not self._may_name(address, b"") and self.destinations.closed(address) else None
        if port not in self._turned_away:
            self._turned_away.add(port)
            logger.warning(
                "connections to port %d are refused, as to %s: add it to --ports if they may pass", port, host
            )
        return "the port is not one of --ports"

    def meant(self, address: Address, name: str) -> Address:
        """Where a client goes that gives an address, and a name inside: to the name, where anything is said of it."""
        named = (name, address[1])
        if not name:
            return address
        said = self._rules.intercepts(*named) or led(self._settings.resolve, *named)
        return named if said or self.destinations.denied(named) or self.destinations.closed(address) else address

    def says(self, client: connection.Client, name: str) -> None:
        """A client named a host in plain text."""
        if name and not is_address(name):
            self._saying.add(client.id)

    def _unruled(self, host: str) -> None:
        if len(self.unnamed) < UNNAMED:
            self.unnamed.add(host.lower())

    def _tunnel(self, nextlayer: layer.NextLayer) -> None:
        nextlayer.layer = layers.TCPLayer(nextlayer.context, ignore=True)
        self._untouched(nextlayer.context.client)

    def _untouched(self, client: connection.Client) -> None:
        """Nothing that this client says will be read."""
        self.patience.met(client.id)
        splicing.tunnel(client)

    def tls_clienthello(self, data: tls.ClientHelloData) -> None:
        """A client that looked the name up itself gives it in TLS: that is where it goes, if a rule names it."""
        address, name = data.context.server.address, (data.client_hello.sni or "").lower()
        looked_up = self._origin is None and address is not None and is_address(address[0])
        if not looked_up or address is None:
            return
        data.context.server.address = goes = self.meant(address, name)
        if not self._rules.intercepts(*goes):
            data.ignore_connection = True
            self._unruled(name or goes[0])
            self._untouched(data.context.client)
            if self.destinations.closed(goes):
                data.context.server.error = _REFUSED

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
        splicing.encrypts(data.context.client)
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
        # A connection whose reader has not begun yet cannot be closed; then one that fails at once would stay open.
        await asyncio.sleep(0)
        address = data.server.address
        if address is None or data.server.error:
            return
        self._named[data.server.id] = address
        try:
            await self._require_name(data.client, address)
            reached = led(self._settings.resolve, *address) or address
            data.server.address = await self.destinations.reach(reached)
        except OSError as error:
            data.server.error = error.strerror or str(error)

    def server_connected(self, data: server_hooks.ServerConnectionHookData) -> None:
        # By its name the front finds the connection again for the next request; otherwise it opens one for each.
        # mitmproxy guards the address of an open connection against being changed by accident.
        object.__setattr__(data.server, "address", self._named.pop(data.server.id, data.server.address))

    async def _require_name(self, client: connection.Client, address: Address) -> None:
        """Raise Forbidden where a client says no name to what is a ruled host's address: no rule would see it."""
        unsaid = not client.sni and client.id not in self._saying
        if client.proxy_mode.type_name not in BY_ADDRESS or not unsaid or not is_address(address[0]):
            return
        if address[1] in self._rules.ports and (host := await self._ruled.owner(self._rules, address)):
            logger.warning("a client went to %s, an address of %s, without saying its name; refused", address[0], host)
            raise Forbidden(f"{address[0]} is an address of {host}, whose name was not said")

    def server_connect_error(self, data: server_hooks.ServerConnectionHookData) -> None:
        self.server_connected(data)
        if data.server.address is not None:
            # Who was let into a tunnel before it leads anywhere sees it end, and is told no reason.
            logger.info("%s could not be reached: %s", place(*data.server.address[:2]), data.server.error)

    def who(self, client: connection.Client, authorization: str | None) -> Caller | None:
        """Who asks on a connection, by what this request says or its tunnel said; None for who may not."""
        known = self._callers.get(client.id)
        if self._auth is None:
            return from_proxy_authorization(authorization, self._default) if authorization else known or self._default
        return self._auth.admit(authorization, self._default) or known


def _host(data: tls.TlsData) -> str:
    return data.conn.sni or (data.context.server.address or ("",))[0]
