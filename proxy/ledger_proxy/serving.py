"""`ledger proxy`: a sidecar until a signal. Owns its signals: the end, and reading the rules again."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import TYPE_CHECKING

from ledger_proxy import rings
from ledger_proxy.ending import Ending
from ledger_proxy.errors import EngineError, guarded
from ledger_proxy.loading import ENGINE, load
from ledger_proxy.logs import to_stderr
from ledger_proxy.measures import Numbers
from ledger_proxy.preparing import Prepared, can_tell, prepared
from ledger_proxy.reloading import Reloader
from ledger_proxy.settings import Settings
from ledger_rules.ruleset import Ruleset

if TYPE_CHECKING:
    from ledger_proxy.sidecar import Sidecar


def serve(settings: Settings, ready: Callable[[Sidecar], None], log: str | None = None) -> int:
    """Run a sidecar until SIGTERM or SIGINT, then drain it; a second one ends that.

    ready: told of it once it listens. log: see `logs`.
    """
    to_stderr(log, apart=True)
    return guarded(_serve(settings, ready), 1)


async def _serve(settings: Settings, ready: Callable[[Sidecar], None]) -> int:
    ending = Ending()
    loop = asyncio.get_running_loop()
    worker = settings.handed is not None
    # A worker may be told by its parent and by a service manager, which tells all of a group: that is once. SIGINT is
    # its parent's word for haste, and may come first: of two that wait, the kernel hands over the lower number.
    loop.add_signal_handler(signal.SIGTERM, ending.asked.set if worker else ending.ask)
    loop.add_signal_handler(signal.SIGINT, ending.hasten if worker else ending.ask)
    if settings.handed is not None and settings.handed.name is not None:
        rings.go_by(settings.handed.name)
    async with prepared(settings) as made, _started(made, ending) as running, _reloading(settings, running):
        if settings.handed is not None:
            loop.add_reader(sys.stdin.fileno(), _parent_gone, loop, ending)
        ready(running)
        await ending.asked.wait()
    if settings.handed is not None:
        _tell_parent(Numbers(running.exchange.measures, running.connections.opened))
    return 0


def _tell_parent(numbers: Numbers) -> None:
    """The last word of a worker; one whose parent is gone has nobody to tell."""
    with contextlib.suppress(BrokenPipeError), open(sys.stdout.fileno(), "w", closefd=False) as parent:
        parent.write(json.dumps(numbers.told()) + "\n")


def _started(made: Prepared, ending: Ending) -> contextlib.AbstractAsyncContextManager[Sidecar]:
    """Loads the engine, now that what a person can put right is right."""
    for piece in ENGINE:
        load(piece)
    from ledger_proxy.sidecar import started

    return started(made, ending)


def _parent_gone(loop: asyncio.AbstractEventLoop, ending: Ending) -> None:
    """A parent holds the other end and says nothing: this is its end, however it came."""
    loop.remove_reader(sys.stdin.fileno())
    ending.asked.set()


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
