"""`ledger run` and `ledger proxy`: a sidecar around a child, or until a signal. Owns signals and exit codes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial

from ledger.errors import LedgerError
from ledger_proxy import descriptors
from ledger_proxy.child_env import SHIMS, child_environment, upstream_proxy
from ledger_proxy.enclosing import enclosure
from ledger_proxy.errors import EngineError, guarded
from ledger_proxy.listening import Handed
from ledger_proxy.logs import to_stderr
from ledger_proxy.measures import Numbers
from ledger_proxy.modes import TRANSPARENT
from ledger_proxy.nameserving import serving
from ledger_proxy.reloading import Reloader
from ledger_proxy.settings import Settings
from ledger_proxy.sidecar import Sidecar, sidecar
from ledger_proxy.summary import observed_summary, summary
from ledger_proxy.telling import can_tell
from ledger_rules.ruleset import Ruleset

OWN_FAILURE = 125
NOT_EXECUTABLE = 126
NOT_FOUND = 127
"""As env(1) and nohup(1) have them."""

_FORWARDED = (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)


def run_command(settings: Settings, command: Sequence[str], enclosed: bool = False) -> int:
    """Run `command` behind a sidecar of its own and return its exit code, 128 + signal if one ended it.

    enclosed: in a network namespace whose only way out it is.
    125 when the sidecar could not be started, 126 when the command cannot be executed, 127 when it is not found.
    """
    if shutil.which(command[0]) is None:
        found = os.path.exists(command[0])
        print(f"ledger run: {command[0]}: {'cannot be executed' if found else 'command not found'}", file=sys.stderr)
        return NOT_EXECUTABLE if found else NOT_FOUND
    try:
        chained = upstream_proxy(os.environ)
    except LedgerError as error:
        print(f"ledger: {error}", file=sys.stderr)
        return OWN_FAILURE
    to_stderr(None)
    settings = replace(settings, listen=("127.0.0.1", 0), upstream_proxy=settings.upstream_proxy or chained)
    return guarded(_run(settings, command, enclosed), OWN_FAILURE)


def serve(settings: Settings, ready: Callable[[Sidecar], None], log: str | None = None) -> int:
    """Run a sidecar until SIGTERM or SIGINT, then drain it. ready: told of it once it listens. log: see `logs`."""
    to_stderr(log, apart=True)
    return guarded(_serve(settings, ready), 1)


async def _serve(settings: Settings, ready: Callable[[Sidecar], None]) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with sidecar(settings) as running, _reloading(settings, running):
        if settings.handed is not None:
            loop.add_reader(sys.stdin.fileno(), _parent_gone, loop, stop)
        ready(running)
        await stop.wait()
    if settings.handed is not None:
        numbers = Numbers(running.exchange.measures, running.connections.opened)
        print(json.dumps(numbers.told()), flush=True)
    return 0


def _parent_gone(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    """A parent holds the other end and says nothing: this is its end, however it came."""
    loop.remove_reader(sys.stdin.fileno())
    stop.set()


@contextlib.asynccontextmanager
async def _reloading(settings: Settings, running: Sidecar) -> AsyncIterator[None]:
    """SIGHUP looks at the CA and reads the rules again, as daemons do; rules that are not from a file stay."""
    loop = asyncio.get_running_loop()
    reloader = None
    if settings.reload is not None:
        reloader = Reloader(settings.reload, partial(_take, settings, running), settings.rules_file)

    def hear() -> None:
        running.renewal.ask()
        if reloader is not None:
            reloader.ask()

    loop.add_signal_handler(signal.SIGHUP, hear)
    watching = asyncio.create_task(reloader.run()) if reloader is not None else None
    try:
        yield
    finally:
        if watching is not None:
            watching.cancel()
        loop.remove_signal_handler(signal.SIGHUP)


def _take(settings: Settings, running: Sidecar, rules: Ruleset) -> None:
    rules = rules.observing() if settings.observe else rules
    if rules.observes and running.observer is None:
        raise EngineError("nothing was observed so far; start the sidecar again to observe")
    can_tell(rules.notify, os.environ)
    running.gate.take(rules)


async def _run(settings: Settings, command: Sequence[str], enclosed: bool) -> int:
    usual = descriptors.limit()
    async with contextlib.AsyncExitStack() as stack:
        within = await stack.enter_async_context(enclosure()) if enclosed else None
        if within is not None:
            await stack.enter_async_context(serving(within.names))
            settings = replace(settings, mode=TRANSPARENT, handed=Handed(within.descriptors()))
        running = await stack.enter_async_context(sidecar(settings))
        url = None if within else running.url
        env = child_environment(os.environ, url, running.ca, SHIMS, ruled_hosts=settings.rules.hosts())
        env["LEDGER_WORKFLOW"] = settings.workflow
        with _caught_signals() as caught:
            try:
                with descriptors.usual(usual):
                    child = await (within.start(command, env) if within else _started(command, env))
            except OSError as error:
                print(f"ledger run: {command[0]}: {error.strerror}", file=sys.stderr)
                return NOT_EXECUTABLE
            forwarding = asyncio.create_task(_forward(caught, child))
            code = await child.wait()
            forwarding.cancel()
    _print_summary(running, settings)
    return code if code >= 0 else 128 - code


async def _started(command: Sequence[str], env: Mapping[str, str]) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(*command, env=env)


@contextlib.contextmanager
def _caught_signals() -> Iterator[asyncio.Queue[int]]:
    """Signals that are meant for the child, from before it starts: none may end us and leave it alone.

    A terminal's Ctrl-C reaches the child by itself, with its whole process group.
    """
    loop = asyncio.get_running_loop()
    caught: asyncio.Queue[int] = asyncio.Queue()
    for number in _FORWARDED:
        loop.add_signal_handler(number, caught.put_nowait, number)
    interactive = sys.stdin is not None and sys.stdin.isatty()
    loop.add_signal_handler(signal.SIGINT, lambda: None if interactive else caught.put_nowait(signal.SIGINT))
    try:
        yield caught
    finally:
        for number in (*_FORWARDED, signal.SIGINT):
            loop.remove_signal_handler(number)


async def _forward(caught: asyncio.Queue[int], child: asyncio.subprocess.Process) -> None:
    while True:
        number = await caught.get()
        with contextlib.suppress(ProcessLookupError):
            child.send_signal(number)


def _print_summary(running: Sidecar, settings: Settings) -> None:
    for line in summary(running.exchange.tally, running.connections.opened, settings.db, settings.mode == TRANSPARENT):
        print(f"ledger: {line}", file=sys.stderr)
    for line in observed_summary(running.observer.tally if running.observer else None, settings.db):
        print(f"ledger: {line}", file=sys.stderr)
