"""`ledger proxy --workers N`: the parent of several sidecars on one ledger and one port. It carries no traffic.

It holds the listening sockets, so that a connection that nobody accepted yet survives the worker that might have; it
starts a worker again that ends, passes signals on, and on SIGUSR2 replaces every worker by a new process. Imports no
proxy engine: a parent is small.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

from ledger_proxy.admin import Admin, served
from ledger_proxy.crew import Crew
from ledger_proxy.destinations import is_loopback
from ledger_proxy.ending import Ending
from ledger_proxy.errors import guarded
from ledger_proxy.listening import bind, require_secret
from ledger_proxy.logs import to_stderr
from ledger_proxy.modes import Kind
from ledger_proxy.settings import Address, Settings
from ledger_proxy.worker import Worker

type Ready = Callable[[Address, Address | None], None]


def supervise(settings: Settings, count: int, words: Sequence[str], ready: Ready, log: str | None = None) -> int:
    """Run `count` workers until SIGTERM or SIGINT, then let each drain; a second one ends that.

    words: the command line of a worker, which finds out by itself that it is one. ready: told where clients and where
    the admin server's connect, once every worker listens.
    """
    to_stderr(log, apart=True)
    return guarded(_supervise(settings, count, words, ready), 1)


async def _supervise(settings: Settings, count: int, words: Sequence[str], ready: Ready) -> int:
    require_secret(settings)
    loop, crew = asyncio.get_running_loop(), Crew(count, settings.drain)
    ending = Ending(crew.hurry)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ending.ask)
    async with contextlib.AsyncExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="ledger-workers-"))
        # To the end of them all: probes are answered while they drain.
        admin = await stack.enter_async_context(_administered(settings, crew))
        sockets = bind(settings.listen, settings.mode.kind is Kind.TRANSPARENT)
        host, port, *_ = sockets[0].getsockname()
        stack.push_async_callback(crew.stop)
        for sock in sockets:
            # With ours open, who connects while they drain would wait for nobody.
            stack.callback(sock.close)
        asked = Path(folder) if admin is not None else None
        await crew.start(lambda: Worker.start(words, sockets, asked, admin))
        loop.add_signal_handler(signal.SIGHUP, crew.tell, signal.SIGHUP)
        loop.add_signal_handler(signal.SIGUSR2, crew.ask_replacement)
        ready((host, port), admin)
        await ending.asked.wait()
    return 0


@contextlib.asynccontextmanager
async def _administered(settings: Settings, crew: Crew) -> AsyncIterator[Address | None]:
    """One admin server for all of them; where it listens."""
    if settings.admin is None:
        yield None
        return
    async with served(Admin(crew, None if is_loopback(settings.admin[0]) else settings.auth), settings.admin) as at:
        yield at
