"""How an origin is reached: directly, at a `--resolve` address, or through a proxy. Opens no connection."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import certifi
from aiohttp import ClientRequest, hdrs
from multidict import CIMultiDict
from yarl import URL

from ledger_proxy import rings
from ledger_proxy.chaining import Proxy
from ledger_proxy.peers import Peers, name_of
from ledger_proxy.resolver import Endpoint, led
from ledger_rules.request import origin, place


@dataclass(frozen=True, slots=True)
class Route:
    """The way to one origin.

    label: `host:port` for messages. authority: the Host value. prefix: what precedes the target (absolute form).
    proxy: where the way leads through one. proxy_authorization: sent with each request (plain HTTP only).
    pool_key: what aiohttp's connector is asked to connect to; it is never sent.
    """

    label: str
    authority: str
    prefix: str
    proxy: Proxy | None
    proxy_authorization: str | None
    pool_key: ClientRequest


def trust(bundle: Path | None) -> ssl.SSLContext:
    """Return the context that verifies upstreams: by the bundle alone, else by the system's and certifi's roots.

    Raises ValueError, naming the file, if the bundle cannot be read.
    """
    try:
        context = ssl.create_default_context(cafile=bundle)
        if bundle is None:
            context.load_verify_locations(cafile=certifi.where())
    except OSError as error:  # ssl.SSLError is one, and says little
        reason = error.strerror if not isinstance(error, ssl.SSLError) else "it holds no PEM certificates"
        raise ValueError(f"upstream CA file {bundle}: {reason}") from None
    # RFC 9110 §4.3.4: the names are those of the extension; a subject that looks like one proves nothing.
    context.hostname_checks_common_name = False
    context.set_alpn_protocols(["http/1.1"])
    return context


def trusts(bundle: Path | None, peers: Peers) -> Callable[[str], ssl.SSLContext]:
    """Return what has the context for a host: the same for all but those that are treated unlike the rest.

    Raises ValueError as `trust` does.
    """
    usual = trust(bundle)
    unlike = {host: trust(bundle) for host in peers.named}
    for host, context in unlike.items():
        peers.adapt(host, context)
    return lambda host: unlike.get(name_of(host), usual)


def find_route(
    scheme: str,
    host: str,
    port: int,
    *,
    resolve: Mapping[Endpoint, Endpoint],
    proxy: Proxy | None,
    context: Callable[[str], ssl.SSLContext],
) -> Route:
    """Return the way to an origin. A `--resolve` address is always reached directly.

    Needs a running event loop. Raises ValueError for a host that cannot be one.
    """
    authority = origin(scheme, host, port).partition("://")[2]
    reached = led(resolve, host, port)
    via = None if reached else proxy
    # A plain proxy is a host like any other that gets absolute-form targets; only TLS needs a tunnel.
    plain_via = via if scheme == "http" else None
    url = plain_via.url if plain_via else _url(scheme, reached or (host, port))
    tunnel = via if scheme == "https" else None
    return Route(
        label=place(host, port),
        authority=authority,
        prefix=f"http://{authority}" if plain_via else "",
        proxy=via,
        proxy_authorization=plain_via.authorization if plain_via else None,
        pool_key=ClientRequest(
            "GET",
            url,
            ssl=context(host),
            server_hostname=host if reached and scheme == "https" else None,
            proxy=tunnel.url if tunnel else None,
            proxy_headers=_tunnel_headers(tunnel, authority) if tunnel else None,
        ),
    )


def _url(scheme: str, endpoint: Endpoint) -> URL:
    return URL.build(scheme=scheme, host=endpoint[0], port=endpoint[1])


def _tunnel_headers(proxy: Proxy, authority: str) -> CIMultiDict[str]:
    # aiohttp writes this very Host in here, after hashing them into the pool's key: without it no tunnel is reused.
    headers = CIMultiDict({hdrs.HOST: authority, rings.FIELD: rings.passed(None)})
    if proxy.authorization is not None:
        headers[hdrs.PROXY_AUTHORIZATION] = proxy.authorization
    return headers
