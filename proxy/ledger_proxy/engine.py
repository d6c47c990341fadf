"""The embedded mitmproxy: started and stopped inside our own event loop. Uses private names of 12.2, checked here."""

from __future__ import annotations

import asyncio
import inspect
import logging
import socket
import time
from collections.abc import Callable, Collection, Sequence
from typing import Any

import ledger_proxy.light  # noqa: F401 - before mitmproxy

# isort: split
from mitmproxy import addonmanager, hooks, options
from mitmproxy.addons import core, proxyserver, upstream_auth
from mitmproxy.connection import Connection, ConnectionState
from mitmproxy.master import Master
from mitmproxy.proxy import events, mode_servers
from mitmproxy.proxy import server as proxy_server

from ledger_proxy import faster, front_tls, gathering, http1, listening, redirected, splicing
from ledger_proxy.chaining import parse_proxy
from ledger_proxy.errors import EngineError
from ledger_proxy.front_tls import FrontTls
from ledger_proxy.limits import SILENCE_SECONDS, Patience
from ledger_proxy.modes import Kind
from ledger_proxy.preparing import Prepared
from ledger_proxy.settings import Address, Settings

logger = logging.getLogger(__name__)

STOP_SECONDS = 5.0
LOOK_SECONDS = 1.0
_AT_ONCE = 100
"""Connections accepted in one turn of the loop; asyncio's usual number."""
QUIET_SECONDS = 1.0
"""A client that was let in a moment ago has so long to say what it came for, though the sidecar stops."""


class TableAddons(addonmanager.AddonManager):
    """Hooks dispatched by a table made once, where mitmproxy walks every addon twice per event."""

    def __init__(self, master: Master) -> None:
        super().__init__(master)  # type: ignore[no-untyped-call]
        self._table: dict[str, list[Any]] = {}

    async def handle_lifecycle(self, event: hooks.Hook) -> None:
        for hook in self._hooks(event):
            try:
                result = hook(*event.args())
                if result is not None:
                    await result
            except Exception:
                logger.exception("a hook for %s failed", event.name)

    def waits(self, name: str) -> bool:
        """Whether a listener of the hook of that name is a coroutine function."""
        return any(inspect.iscoroutinefunction(getattr(addon, name, None)) for addon in self.chain)

    def _hooks(self, event: hooks.Hook) -> list[Any]:
        found = self._table.get(event.name)
        if found is None:
            found = self._table[event.name] = [f for a in self.chain for _, f in self._iter_hooks(a, event)]
        return found


class Engine:
    """One listening front; mitmproxy keeps module globals, so one per process."""

    def __init__(self, master: Master, server: Any, front: FrontTls, listening: Sequence[socket.socket]) -> None:
        self._master, self._server, self._listening = master, server, listening
        self.take_authority = front.take_authority

    @classmethod
    async def start(cls, ready: Prepared, gates: Sequence[object], patience: Patience) -> Engine:
        """Serve the sockets that listen. Raises EngineError: a mitmproxy of another make."""
        settings = ready.settings
        faster.apply()
        http1.apply()
        front_tls.apply()
        redirected.apply()
        http1.Server.leaving, http1.Server.patience = False, patience
        master = Master(options.Options())
        _check(master)
        _read_connections(proxy_server.ConnectionHandler)
        # Its root log handler formats every record, whoever listens.
        master._legacy_log_events.uninstall()
        master.addons = addons = TableAddons(master)
        server, front = proxyserver.Proxyserver(), FrontTls(settings.peers, ready.roots)
        master.addons.add(  # type: ignore[no-untyped-call]
            core.Core(),
            server,
            *gates,
            redirected.Patient(),
            front,
            behind := upstream_auth.UpstreamAuth(),
        )
        faster.run_inline(addons.waits)
        # mitmproxy asks SOCKS clients for a password if this is set; the gate judges what they say.
        master.options.add_option("proxyauth", str | None, None, "")
        mode, shown = _mode(settings)
        master.options.update(**_options(ready, mode))
        # Its own option knows no password without a user.
        behind.auth = None if shown is None else shown.encode()
        engine = cls(master, server, front, ready.listening)
        # One at a time where others may serve the same sockets: they get their share of a burst.
        _take_over(ready.listening, 1 if settings.handed else _AT_ONCE)
        if not await server.setup_servers():
            await engine.stop()
            raise EngineError(_why(server, settings.listen))
        await master.running()
        return engine

    @property
    def address(self) -> Address:
        """Where it listens."""
        host, port, *_ = self._server.listen_addrs()[0]
        return host, port

    async def close_late(self, patience: Patience) -> None:
        """Close, until cancelled, the connections whose client does not send what is wanted of it in time."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            late = set(patience.over(time.monotonic()))
            for handler in list(self._server.connections.values()) if late else ():
                if handler.client.id in late:
                    _close(handler, "too slow")

    async def close_listeners(self) -> None:
        """Take no new connection; those that are open go on."""
        loop = asyncio.get_running_loop()
        for sock in self._listening:
            if sock.fileno() >= 0:
                loop.remove_reader(sock)
        # asyncio asserts that a connection which it has just accepted is not overtaken by the end of its listener.
        await asyncio.sleep(0)
        await self._server.servers.update([])

    async def ebb(self, seconds: float, under_way: Callable[[], Collection[str]]) -> None:
        """Let what is open end by itself, for so long: an answer closes its connection, a quiet one is closed.

        What was written is waited for, too, as slowly as it is taken. under_way: ids of the clients with a request.
        """
        http1.Server.leaving = True
        closed: set[str] = set()
        deadline = time.monotonic() + seconds
        while (self._server.connections or gathering.unsent()) and time.monotonic() < deadline:
            busy = closed.union(under_way())
            for handler in list(self._server.connections.values()):
                if handler.client.id not in busy and _quiet(handler.timeout_watchdog):
                    closed.add(handler.client.id)
                    _close(handler, "the sidecar stops")
            await asyncio.sleep(0.05)

    async def stop(self) -> None:
        """Close everything, bounded in time."""
        await self.close_listeners()
        for handler in list(self._server.connections.values()):
            _close(handler, "the sidecar stops")
        deadline = asyncio.get_running_loop().time() + STOP_SECONDS
        while self._server.connections and asyncio.get_running_loop().time() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        await self._master.done()


def _read_connections(handler: Any) -> None:
    """Splice tunnels, and end them with their server; close a connection also where its reader is cancelled while it
    waits for its turn.

    mitmproxy leaves it open, and a client that only sends to a server that is gone.
    """
    read = handler.handle_connection
    if hasattr(read, "closes"):
        return

    async def handle_connection(self: Any, connection: Connection) -> None:
        splicing.begin(self, connection)
        try:
            await read(self, connection)
        except asyncio.CancelledError:
            if connection in self.transports:
                connection.state = ConnectionState.CLOSED
                try:
                    await self.server_event(events.ConnectionClosed(connection))
                finally:
                    self.transports.pop(connection).writer.close()
            raise
        finally:
            if connection is not self.client and splicing.tunnelled(self.client):
                _close(self, "its server is gone")

    handle_connection.closes = True  # type: ignore[attr-defined]
    handler.handle_connection = handle_connection


def _quiet(watchdog: Any) -> bool:
    """Whether nothing passed for a while, and no hook is being waited for."""
    return not watchdog.blocker and time.time() - watchdog.last_activity > QUIET_SECONDS


def _close(handler: Any, why: str) -> None:
    io = handler.transports.get(handler.client)
    if io is not None and io.handler is not None:
        io.handler.cancel(why)


def _options(ready: Prepared, mode: str) -> dict[str, Any]:
    settings = ready.settings
    host, port = settings.listen
    return {
        "listen_host": host,
        "listen_port": port,
        "mode": [mode],
        "confdir": str(ready.ca.directory),
        "connection_strategy": "lazy",
        "tcp_timeout": SILENCE_SECONDS,
        "http2": False,
        "upstream_cert": False,
        # Messages would be taken apart and framed anew; without it the bytes pass as they are.
        "websocket": False,
        "proxyauth": settings.auth and "gate",
        # What does not begin like HTTP would be passed on unread, and a rule with it: a head may come in two records.
        "rawtcp": False,
        "ssl_verify_upstream_trusted_ca": str(ready.roots),
    }


def _mode(settings: Settings) -> tuple[str, str | None]:
    """The front in mitmproxy's words, and what the proxy behind it, if any, is shown."""
    mode = settings.mode
    if mode.origin is not None:
        # It listens for HTTP/3 as well where it is told "https"; whether TLS goes upstream is ours to say.
        return f"reverse:http://{mode.origin.host_subcomponent}:{mode.origin.port}", None
    if mode.kind is Kind.TRANSPARENT:
        return redirected.RedirectedMode.type_name, None
    if settings.upstream_proxy is None:
        return mode.kind.value, None
    behind = parse_proxy(settings.upstream_proxy)
    return f"upstream:{behind.url.scheme}://{behind.label}", behind.authorization


def _check(master: Master) -> None:
    wanted = (
        (master, "_legacy_log_events"),
        (addonmanager.AddonManager, "_iter_hooks"),
        (mode_servers.AsyncioServerInstance, "listen"),
        (proxy_server.ConnectionHandler, "handle_connection"),
    )
    missing = [name for owner, name in wanted if not hasattr(owner, name)]
    if missing:
        raise EngineError(f"this mitmproxy lacks {', '.join(missing)}; install ledger-sidecar[proxy] again")


def _take_over(sockets: Sequence[socket.socket], at_once: int) -> None:
    """Serve these, where mitmproxy would bind its own."""

    async def listen(self: Any, host: str, port: int) -> list[asyncio.Server]:
        return await listening.serve(sockets, self.handle_stream, at_once)

    mode_servers.AsyncioServerInstance.listen = listen  # type: ignore[method-assign, assignment]


def _why(server: Any, listen: Address) -> str:
    errors = [str(s.last_exception) for s in server.servers if s.last_exception]
    reason = errors[0] if errors else "unknown reason"
    return listening.cannot_listen(listen, reason)
