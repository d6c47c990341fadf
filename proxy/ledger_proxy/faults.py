"""What went wrong on the upstream leg, as one line for a person or an agent. Never quotes what was sent or received."""

from __future__ import annotations

import os
import socket
import ssl

from aiohttp import (
    ClientConnectorCertificateError,
    ClientConnectorDNSError,
    ClientConnectorError,
    ClientConnectorSSLError,
    ClientHttpProxyError,
    ClientPayloadError,
    ServerDisconnectedError,
    http_exceptions,
)

from ledger_proxy.routes import Route


class GivenUp(Exception):
    """Whoever sends may not do so any more."""


def not_sent(error: Exception, route: Route) -> str:
    """Say why no connection to the route's origin could be used."""
    proxy = f" through the proxy {route.proxy.label}" if route.proxy else ""
    where = f"{route.label}{proxy}"
    match error:
        case ClientConnectorCertificateError():
            return f"{where}: its certificate was refused: {_verdict(error.certificate_error)}"
        case ClientConnectorDNSError():
            return f"{where}: the name cannot be resolved: {_reason(error.os_error)}"
        case ClientConnectorSSLError():
            return f"{where}: no TLS connection: {_reason(error.os_error)}"
        case ClientConnectorError():
            return f"{where}: cannot connect: {_reason(error.os_error)}"
        case ClientHttpProxyError():
            return f"{where}: the proxy refused with status {error.status}"
        case TimeoutError():
            return f"{where}: cannot connect: no answer in time"
        case GivenUp():
            return f"{where}: nothing was sent, its claim does not hold any more"
        case _:
            return f"{where}: cannot connect: {str(error) or type(error).__name__}"


def maybe_sent(error: Exception, route: Route) -> str:
    """Say how the exchange broke off after a byte may have gone out."""
    match error:
        case TimeoutError():
            return f"{route.label}: no whole answer in time"
        case ClientPayloadError():
            return f"{route.label}: the answer broke off in its body"
        case ServerDisconnectedError():
            return f"{route.label}: the connection was closed before an answer came"
        case OSError():
            return f"{route.label}: the connection was lost: {_reason(error)}"
        case http_exceptions.HttpProcessingError():
            return f"{route.label}: the answer is not HTTP that can be read"
        case _:
            return f"{route.label}: the exchange broke off: {type(error).__name__}"


def _verdict(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return str(error.verify_message)
    return str(error)


def _reason(error: OSError) -> str:
    if isinstance(error, ssl.SSLError) and error.reason:
        return str(error.reason).replace("_", " ").lower()
    if error.errno and not isinstance(error, socket.gaierror):  # asyncio says "Connect call failed" for all of them
        return os.strerror(error.errno).lower()
    return error.strerror or str(error) or type(error).__name__
