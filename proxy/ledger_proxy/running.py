"""`ledger run`: a sidecar around a child. Owns signals and exit codes. The engine is loaded while the child starts."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shlex
import shutil
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from ledger.errors import LedgerError
from ledger_proxy import descriptors
from ledger_proxy.child_env import SHIMS, child_environment, upstream_proxy
from ledger_proxy.enclosing import enclosure
from ledger_proxy.ending import Ending
from ledger_proxy.errors import guarded
from ledger_proxy.listening import Handed
from ledger_proxy.loading import ENGINE, load
from ledger_proxy.logs import to_stderr
from ledger_proxy.modes import TRANSPARENT
from ledger_proxy.nameserving import serving
from ledger_proxy.preparing import Prepared, prepared
from ledger_proxy.settings import Settings
from ledger_proxy.summary import Tally, observed_summary, passed_by, summary

if TYPE_CHECKING:
    from ledger_proxy.sidecar import Sidecar

OWN_FAILURE = 125
NOT_EXECUTABLE = 126
NOT_FOUND = 127
"""As env(1) and nohup(1) have them."""

STOP_SECONDS = 5.0
"""What a child has to end by itself when it is told to."""
_TURN = 0.005
"""In which the loop hears that the child has ended, and of signals that are meant for it."""
_ENDING = (signal.SIGINT, signal.SIGTERM)
_FORWARDED = (*_ENDING, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)


def run_command(settings: Settings, command: Sequence[str], enclosed: bool = False) -> int:
    """Run `command` behind a sidecar of its own and return its exit code, 128 + signal if one ended it.

    enclosed: in a network namespace whose only way out it is.
    125 when the sidecar could not be started, 126 when the command cannot be executed, 127 when it is not found.
    """
    if shutil.which(command[0]) is None:
        found = os.path.exists(command[0])
        why = "cannot be executed" if found else "command not found"
        print(f"ledger run: {command[0]}: {why}{_meant(command)}", file=sys.stderr)
        return NOT_EXECUTABLE if found else NOT_FOUND
    try:
        chained = upstream_proxy(os.environ)
    except LedgerError as error:
        print(f"ledger: {error}", file=sys.stderr)
        return OWN_FAILURE
    to_stderr(None)
    settings = replace(settings, listen=("127.0.0.1", 0), upstream_proxy=settings.upstream_proxy or chained)
    return guarded(_run(settings, command, enclosed), OWN_FAILURE)


def _meant(command: Sequence[str]) -> str:
    """What was probably to be run, where the first word is no command."""
    if len(command) == 1 and " " in command[0]:
        return f"; leave the quotes out: ledger run -- {command[0]}"
    if command[0].endswith(".py"):
        return f"; did you mean: ledger run -- python {shlex.join(command)}"
    return ""


async def _run(settings: Settings, command: Sequence[str], enclosed: bool) -> int:
    usual = descriptors.limit()
    async with contextlib.AsyncExitStack() as stack:
        within = await stack.enter_async_context(enclosure()) if enclosed else None
        if within is not None:
            await stack.enter_async_context(serving(within.names, (host for host, _ in settings.resolve)))
            settings = replace(settings, mode=TRANSPARENT, handed=Handed(within.descriptors()))
        ready = await stack.enter_async_context(prepared(settings))
        url = None if within else ready.url
        env = child_environment(os.environ, url, ready.ca, SHIMS, ruled_hosts=settings.rules.hosts())
        env["LEDGER_WORKFLOW"] = settings.workflow
        # To the sidecar's end: a signal must not break off what becomes of the last requests.
        caught, ending, gone = stack.enter_context(_caught_signals()), Ending(), asyncio.Event()
        try:
            with descriptors.usual(usual):
                child = await (within.start(command, env) if within else _launched(command, env))
        except OSError as error:
            print(f"ledger run: {command[0]}: {error.strerror}", file=sys.stderr)
            return NOT_EXECUTABLE
        forwarding = asyncio.create_task(_forward(caught, child, gone, ending))
        stack.callback(forwarding.cancel)
        running = await _served(ready, child, stack, ending)
        code = await child.wait()
        if running is not None:
            await _accepted(ready)
        gone.set()
    _print_summary(running, ready)
    return code if code >= 0 else 128 - code


async def _served(ready: Prepared, child: Process, stack: contextlib.AsyncExitStack, ending: Ending) -> Sidecar | None:
    """A sidecar for what the child sends, which runs already; None where it ended without sending anything.

    A child is not left alone without one. Raises what `started` raises, and ImportError.
    """
    try:
        for piece in ENGINE:
            if await _ended(child, _TURN) and not ready.awaited():
                return None
            load(piece)
        from ledger_proxy.sidecar import started

        return await stack.enter_async_context(started(ready, ending))
    except BaseException:
        await _stopped(child)
        raise


async def _stopped(child: Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        child.terminate()
        if not await _ended(child, STOP_SECONDS):
            child.kill()
    await child.wait()


async def _ended(child: Process, seconds: float) -> bool:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await child.wait()
    return child.returncode is not None


async def _accepted(ready: Prepared) -> None:
    """Until nothing waits to be accepted, and the last that was has its handler; bounded, for more may keep coming."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(STOP_SECONDS):
            waiting = True
            while waiting:
                waiting = ready.awaited()
                await asyncio.sleep(0.01)


async def _launched(command: Sequence[str], env: Mapping[str, str]) -> Process:
    return await asyncio.create_subprocess_exec(*command, env=env)


@contextlib.contextmanager
def _caught_signals() -> Iterator[asyncio.Queue[int]]:
    """Signals that are meant for the child, from before it starts: none may end us and leave it alone."""
    loop = asyncio.get_running_loop()
    caught: asyncio.Queue[int] = asyncio.Queue()
    for number in _FORWARDED:
        loop.add_signal_handler(number, caught.put_nowait, number)
    try:
        yield caught
    finally:
        for number in _FORWARDED:
            loop.remove_signal_handler(number)


async def _forward(caught: asyncio.Queue[int], child: Process, gone: asyncio.Event, ending: Ending) -> None:
    """To the child until it is gone; then what is under way has its time, unless the end is asked for a second time.

    The first may be what ended the child; one that it lived through was meant for it alone. A terminal's Ctrl-C reaches
    the child by itself, with its whole process group.
    """
    interactive = sys.stdin is not None and sys.stdin.isatty()
    its_ends: set[int] = set()
    while True:
        number = await caught.get()
        if gone.is_set() and number in _ENDING:
            if child.returncode in its_ends:
                ending.asked.set()
            ending.ask()
        elif number in _ENDING:
            its_ends |= {-number, 128 + number}
        if number != signal.SIGINT or not interactive:
            with contextlib.suppress(ProcessLookupError):
                child.send_signal(number)


def _print_summary(running: Sidecar | None, ready: Prepared) -> None:
    settings, observed = ready.settings, Tally() if ready.observed else None
    tally, connections = Tally(), 0
    if running is not None:
        tally, connections = running.exchange.tally, running.connections.opened
        observed = running.observer.tally if running.observer else None
    lines = [*summary(tally, connections, settings.db, settings.mode == TRANSPARENT)]
    if running is not None and connections and not (tally.operations or (observed and observed.operations)):
        lines.append(passed_by(running.connections.unnamed))
    for line in (*lines, *observed_summary(observed, settings.db)):
        print(f"ledger: {line}", file=sys.stderr)
