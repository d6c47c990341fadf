"""Connections of which is asked what they speak before a byte comes in them, for the server may be the one to begin:
those that were redirected, and tunnels. Uses how 12.2 registers modes and makes layers; nothing is decided here.
"""

from __future__ import annotations

import inspect

import ledger_proxy.light  # noqa: F401 - before mitmproxy

# isort: split
from mitmproxy.addons import next_layer
from mitmproxy.proxy import context, events, layer, mode_servers, mode_specs
from mitmproxy.proxy.layers import modes
from mitmproxy.proxy.layers.http import HttpStream
from mitmproxy.proxy.layers.http._upstream_proxy import HttpUpstreamProxy

_TUNNELS = (HttpStream, HttpUpstreamProxy, modes.Socks5Proxy)


class RedirectedMode(mode_specs.TransparentMode):
    """Connections that were on their way elsewhere."""


class RedirectedServer(mode_servers.AsyncioServerInstance[RedirectedMode]):
    """Listens for them."""

    def make_top_layer(self, context: context.Context) -> layer.Layer:
        return Redirected(context)


class Patient(next_layer.NextLayer):
    """mitmproxy's choice of what a connection speaks, which takes silence for HTTP: made once somebody spoke."""

    def next_layer(self, nextlayer: layer.NextLayer) -> None:
        """Choose."""
        if nextlayer.data_client() or nextlayer.data_server():
            super().next_layer(nextlayer)


class Redirected(modes.TransparentProxy):
    """Asks what to do before the client has said a word: where it goes, the server may be the one to begin."""

    def _handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
        self.child_layer = layer.NextLayer(self.context, ask_on_start=True)
        yield from self.finish_start()


def apply() -> None:
    """Ask of tunnels, too, where mitmproxy waits for the client to speak. Safe to call again."""
    made = layer.NextLayer.__init__
    if hasattr(made, "asks"):
        return
    if "ask_on_start" not in inspect.signature(made).parameters:
        raise ImportError("this mitmproxy lacks ask_on_start")

    def init(self: layer.NextLayer, context: context.Context, ask_on_start: bool = False) -> None:
        tunnel = bool(context.layers) and isinstance(context.layers[-1], _TUNNELS)
        made(self, context, ask_on_start or tunnel)

    init.asks = True  # type: ignore[attr-defined]
    layer.NextLayer.__init__ = init  # type: ignore[method-assign]
