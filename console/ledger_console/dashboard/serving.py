"""Running the dashboard on loopback until it is told to stop. Knows no pages."""

from __future__ import annotations

import asyncio
import errno
import signal
import socket
from collections.abc import Callable

from aiohttp import web

from ledger_console import ledgers
from ledger_console.dashboard.app import application
from ledger_console.dashboard.security import Gate
from ledger_console.problems import Problem

_FAMILIES = ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"))


def serve(place: ledgers.Place, port: int, readonly: bool, ready: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM. ready: told the address, token included, once. Raises Problem."""
    sockets = listening(port)
    asyncio.run(_serve(place, sockets, readonly, ready))


def listening(port: int) -> list[socket.socket]:
    """Both loopbacks, where there are two: whoever else took the other would be sent our token. Raises Problem."""
    found: list[socket.socket] = []
    try:
        for family, host in _FAMILIES:
            found += _bound(family, host, found[0].getsockname()[1] if found else port)
    except BaseException:
        for made in found:
            made.close()
        raise
    return found


def _bound(family: socket.AddressFamily, host: str, port: int) -> list[socket.socket]:
    try:
        made = socket.socket(family, socket.SOCK_STREAM)
    except OSError:
        return []
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family is socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind((host, port))
    except OSError as error:
        made.close()
        if family is socket.AF_INET6 and error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
            return []
        what = "is in use; give another --port, or 0 for any free one"
        reason = what if error.errno == errno.EADDRINUSE else f"cannot be used: {error.strerror}"
        raise Problem(f"port {port} {reason}") from None
    return [made]


async def _serve(
    place: ledgers.Place, sockets: list[socket.socket], readonly: bool, ready: Callable[[str], None]
) -> None:
    port = sockets[0].getsockname()[1]
    gate = Gate(port)
    # No access log: addresses name workflows and records, and the first one holds the token.
    runner = web.AppRunner(application(place, gate, readonly), access_log=None)
    await runner.setup()
    try:
        for made in sockets:
            await web.SockSite(runner, made, shutdown_timeout=2.0).start()
        ended = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, ended.set)
        ready(f"http://localhost:{port}/?token={gate.token}")
        await ended.wait()
    finally:
        await runner.cleanup()
