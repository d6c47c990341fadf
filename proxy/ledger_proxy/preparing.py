"""What must be right before a sidecar starts: the ledger, the CA, what the settings ask for, the port.

Whatever a person can put right fails here, in one line. Loads no proxy engine: `ledger run` starts its command after
this, while the engine is still being loaded, and what the command sends meanwhile waits in the queue of the port.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import socket
import tempfile
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from ledger.beside import observed_db
from ledger.keeper import AsyncKeeper
from ledger.stores.sqlite_async import AsyncSqliteStore
from ledger_proxy import descriptors
from ledger_proxy.ca import CA, EPHEMERAL_DAYS, ensure_ca, share, upstream_bundle
from ledger_proxy.chaining import parse_proxy
from ledger_proxy.destinations import Destinations, is_loopback
from ledger_proxy.ends import Ends
from ledger_proxy.errors import EngineError
from ledger_proxy.listening import bind, require_secret
from ledger_proxy.measures import Histogram
from ledger_proxy.modes import Kind
from ledger_proxy.sealing import sealer
from ledger_proxy.settings import Settings
from ledger_rules.notify import Missing, Notify
from ledger_rules.request import place


@dataclass(frozen=True, slots=True)
class Ledger:
    """A ledger that is open: swept, and its claims kept alive."""

    store: AsyncSqliteStore
    keeper: AsyncKeeper


@dataclass(frozen=True, slots=True)
class Prepared:
    """What a sidecar is made of, as far as it can be had without an engine.

    settings: as they hold. writes: how long those of the ledger take. observed: the ledger of what is only observed,
    None where nothing is. ensure: makes the CA right for a time. roots: what upstreams are verified by.
    ends: knows our own connections, where a redirect may lead them back to us.
    listening: sockets in whose queues connections wait already.
    """

    settings: Settings
    ledger: Ledger
    writes: Histogram
    secret: bytes
    observed: Ledger | None
    ensure: Callable[[datetime], CA]
    ca: CA
    roots: Path
    destinations: Destinations
    ends: Ends | None
    listening: tuple[socket.socket, ...]

    @property
    def url(self) -> str:
        """What HTTPS_PROXY is set to."""
        host, port, *_ = self.listening[0].getsockname()
        return f"http://{place(host, port)}"

    def awaited(self) -> bool:
        """Whether a connection waits that nobody has accepted yet."""
        poll = select.poll()
        for one in self.listening:
            poll.register(one, select.POLLIN)
        return bool(poll.poll(0))


@contextlib.asynccontextmanager
async def prepared(settings: Settings) -> AsyncIterator[Prepared]:
    """Have everything ready for the block. Raises LedgerError, EngineError, OSError before anything listens."""
    if settings.observe:
        settings = replace(settings, rules=settings.rules.observing())
    if settings.mode.chained is not None:
        settings = replace(settings, upstream_proxy=settings.mode.chained)
    require_secret(settings)
    can_tell(settings.rules.notify, os.environ)
    destinations = _destinations(settings)
    descriptors.widen()
    async with contextlib.AsyncExitStack() as stack:
        writes = Histogram()
        store = AsyncSqliteStore(settings.db, settings.durability, writes.add, sealer())
        stack.push_async_callback(store.close)
        secret = store.secret(settings.key)
        ledger = await _kept(store, stack)
        observed = None
        if settings.rules.observes:
            # A ledger of its own: nothing of it is ever in the way of what is enforced.
            beside = AsyncSqliteStore(observed_db(settings.db), "normal")
            stack.push_async_callback(beside.close)
            observed = await _kept(beside, stack)
        ensure = _authority(settings, stack)
        ca = ensure(datetime.now(UTC))
        roots = upstream_bundle(ca.directory, settings.upstream_ca)
        ends = _ends(settings, stack)
        listening = tuple(_listening(settings))
        for one in listening:
            stack.callback(one.close)
            destinations.own.add(one.getsockname()[:2])
        yield Prepared(settings, ledger, writes, secret, observed, ensure, ca, roots, destinations, ends, listening)


def can_tell(whom: Iterable[Notify], environment: Mapping[str, str]) -> None:
    """Check before anybody is to be told. Raises EngineError where a variable that the rules name is not set."""
    try:
        for notify in whom:
            if notify.webhook:
                notify.filled(environment)
    except Missing as error:
        raise EngineError(str(error)) from None


async def _kept(store: AsyncSqliteStore, stack: contextlib.AsyncExitStack) -> Ledger:
    keeper = AsyncKeeper(store)
    await keeper.sweep()
    stack.push_async_callback(_end, asyncio.create_task(keeper.run()), keeper)
    return Ledger(store, keeper)


async def _end(beating: asyncio.Task[None], keeper: AsyncKeeper) -> None:
    await cancelled(beating)
    await keeper.pay()


async def cancelled(task: asyncio.Task[None]) -> None:
    """End a task."""
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


def _listening(settings: Settings) -> list[socket.socket]:
    """The parent's, or our own; both families of a redirect, which leads here in either."""
    if settings.handed is not None:
        return settings.handed.sockets()
    return bind(settings.listen, twin=settings.mode.kind is Kind.TRANSPARENT)


def _ends(settings: Settings, stack: contextlib.AsyncExitStack) -> Ends | None:
    """Raises EngineError where the kernel does not tell whose a connection is."""
    if settings.mode.kind is not Kind.TRANSPARENT:
        return None
    ends = Ends(worker=settings.handed is not None)
    stack.callback(ends.close)
    return ends


def _destinations(settings: Settings) -> Destinations:
    """Where requests may go. Raises EngineError where the proxy to chain through is this sidecar itself."""
    trusted = set(settings.resolve.values())
    chained = parse_proxy(settings.upstream_proxy) if settings.upstream_proxy is not None else None
    behind = chained.url if chained is not None else None
    if behind is not None and behind.scheme == "https" and settings.peers.named:
        # One context would serve both legs: the proxy, too, would go unverified, or be shown the certificate.
        raise EngineError("--insecure-host and --client-cert do not go with a proxy that is reached by https://")
    if behind is not None:
        trusted.add((behind.host or "", behind.port or 0))
    wide, origin = not is_loopback(settings.listen[0]), settings.mode.origin
    named = (origin.host or "", origin.port or 0) if origin is not None else None
    found = Destinations(settings.rules.egress, wide=wide, trusted=trusted, origin=named)
    found.own.add(settings.listen)
    if chained is not None and found.is_own(chained.url.host or "", chained.url.port or 0):
        raise EngineError(f"the proxy to chain through, {chained.label}, is this sidecar; name another")
    return found


def _shared(folder: Path, trust: Path | None, now: datetime) -> CA:
    ca = ensure_ca(folder, now=now)
    if trust is not None:
        share(ca, trust)
    return ca


def _authority(settings: Settings, stack: contextlib.AsyncExitStack) -> Callable[[datetime], CA]:
    """What makes the CA right for a time: the one that stays, or one for this run alone.

    The latter is removed with the run, and able to speak for the ruled hosts only.
    """
    if settings.ca_dir is not None:
        return partial(_shared, settings.ca_dir, settings.trust_dir)
    private = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ledger-ca-")))
    return lambda now: ensure_ca(private, settings.rules.hosts(), EPHEMERAL_DAYS, now=now)
