"""The composition root of a sidecar: store, keeper, upstream, exchange and front, started and stopped in order."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from ledger.beside import observed_db
from ledger.keeper import AsyncKeeper
from ledger.stores.sqlite_async import AsyncSqliteStore
from ledger_proxy import descriptors, telling
from ledger_proxy.addon import Gate
from ledger_proxy.ca import CA, EPHEMERAL_DAYS, ensure_ca, share, upstream_bundle
from ledger_proxy.connecting import Connections
from ledger_proxy.destinations import Destinations, is_loopback
from ledger_proxy.ends import Ends
from ledger_proxy.engine import Engine
from ledger_proxy.errors import EngineError
from ledger_proxy.exchange import Exchange
from ledger_proxy.listening import require_secret
from ledger_proxy.measures import Histogram
from ledger_proxy.modes import Kind
from ledger_proxy.notifier import Notifier
from ledger_proxy.observing import Observer
from ledger_proxy.passing import Passer
from ledger_proxy.reception import Reception
from ledger_proxy.relay import Relay
from ledger_proxy.renewing import Renewal
from ledger_proxy.routes import parse_proxy
from ledger_proxy.sealing import sealer
from ledger_proxy.settings import Address, Settings
from ledger_proxy.shortcut import Shortcut
from ledger_proxy.upstream import AiohttpUpstream


@dataclass(frozen=True, slots=True)
class Sidecar:
    """A running sidecar."""

    host: str
    port: int
    ca: CA
    connections: Connections
    gate: Gate
    engine: Engine
    exchange: Exchange
    renewal: Renewal
    observer: Observer | None = None
    admin: Address | None = None

    @property
    def url(self) -> str:
        """What HTTPS_PROXY is set to."""
        return f"http://{self.host}:{self.port}"


@contextlib.asynccontextmanager
async def sidecar(settings: Settings) -> AsyncIterator[Sidecar]:
    """Run a sidecar for the block: swept and listening when it starts, drained and recorded when it ends.

    Raises LedgerError, EngineError, OSError before anything listens.
    """
    if settings.observe:
        settings = replace(settings, rules=settings.rules.observing())
    require_secret(settings)
    descriptors.widen()
    if settings.mode.chained is not None:
        settings = replace(settings, upstream_proxy=settings.mode.chained)
    async with contextlib.AsyncExitStack() as stack:
        writes = Histogram()
        store = AsyncSqliteStore(settings.db, settings.durability, writes.add, sealer())
        stack.push_async_callback(store.close)
        secret = store.secret(settings.key)
        keeper = AsyncKeeper(store)
        await keeper.sweep()
        beating = asyncio.create_task(keeper.run())
        stack.push_async_callback(_end, beating, keeper)
        ensure = _authority(settings, stack)
        ca = ensure(datetime.now(UTC))
        ca_dir = ca.directory
        roots = upstream_bundle(ca_dir, settings.upstream_ca)
        relay = Relay()
        stack.push_async_callback(relay.close)
        await relay.start()
        destinations = _destinations(settings, relay)
        upstream = AiohttpUpstream(
            resolve=settings.resolve,
            ca_bundle=roots,
            proxy=settings.upstream_proxy,
            timeout=settings.upstream_timeout,
            destinations=destinations,
            peers=settings.peers,
        )
        stack.push_async_callback(upstream.close)
        exchange = Exchange(store, keeper, upstream, secret, settings.max_stored)
        exchange.measures.writes = writes
        observer = await _observer(settings, secret, stack) if settings.rules.observes else None
        connections = Connections(settings, destinations, _ends(settings, stack))
        reception = Reception(settings, exchange, connections)
        shortcut = Shortcut(settings, reception)
        gate = Gate(settings, reception, relay, Passer(upstream), shortcut, observer)
        engine = await Engine.start(settings, (connections, shortcut, gate), ca_dir, roots)
        stack.push_async_callback(engine.stop)
        watching = asyncio.create_task(engine.close_late(connections.patience))
        stack.push_async_callback(_cancelled, watching)
        renewal = Renewal(ca.authority, ensure, engine.take_authority)
        stack.push_async_callback(_cancelled, asyncio.create_task(renewal.run()))
        stack.push_async_callback(_drained, settings.drain, engine, gate, exchange)
        admin = await _administered(settings, stack, store, connections, exchange)
        destinations.own |= {engine.address, relay.address, *filter(None, [admin])}
        await _telling(settings, stack, store, keeper, gate, roots)
        _settle_memory()
        yield Sidecar(*engine.address, ca, connections, gate, engine, exchange, renewal, observer, admin)


async def _administered(
    settings: Settings,
    stack: contextlib.AsyncExitStack,
    store: AsyncSqliteStore,
    connections: Connections,
    exchange: Exchange,
) -> Address | None:
    """The admin server, ready until the drain begins; where it listens. A worker's is its parent's, which asks it."""
    handed = settings.handed
    if settings.admin is None or (handed is not None and handed.asked is None):
        return None
    from ledger_proxy.admin import Admin, Own, answering, served

    auth = None if is_loopback(settings.admin[0]) else settings.auth
    own = Own(store, lambda: connections.opened, exchange.measures)
    admin = Admin(own, auth)
    if handed is not None and handed.asked is not None:
        await stack.enter_async_context(answering(admin, handed.asked))
        return handed.admin
    address = await stack.enter_async_context(served(admin, settings.admin))
    stack.callback(setattr, own, "ready", False)
    return address


async def _telling(
    settings: Settings,
    stack: contextlib.AsyncExitStack,
    store: AsyncSqliteStore,
    keeper: AsyncKeeper,
    gate: Gate,
    roots: Path,
) -> None:
    """Who is told of unknown outcomes, through an upstream of its own: agents' egress lists are not about operators.

    Raises EngineError where a variable that the rules name is not set.
    """
    telling.can_tell(settings.rules.notify, os.environ)
    upstream = partial(
        AiohttpUpstream,
        resolve=settings.resolve,
        ca_bundle=roots,
        proxy=settings.upstream_proxy,
        timeout=telling.SECONDS,
    )
    teller = telling.Teller(upstream, settings.db)
    stack.push_async_callback(teller.close)
    notifier = Notifier(store, keeper, lambda: gate.rules.notify, teller.tell)
    stack.push_async_callback(_cancelled, asyncio.create_task(notifier.run()))


def _settle_memory() -> None:
    """What is loaded by now stays: a full collection that walks it again and again stops every connection for 50 ms.

    Nothing is collected first: what could be is a thousand objects, and looking for them takes a tenth of a second.
    """
    gc.freeze()


def _destinations(settings: Settings, relay: Relay) -> Destinations:
    """Where requests may go. Raises EngineError where the proxy to chain through is this sidecar itself."""
    trusted = {*settings.resolve.values(), relay.address}
    behind = parse_proxy(settings.upstream_proxy).url if settings.upstream_proxy is not None else None
    if behind is not None and behind.scheme == "https" and settings.peers.named:
        # One context would serve both legs: the proxy, too, would go unverified, or be shown the certificate.
        raise EngineError("--insecure-host and --client-cert do not go with a proxy that is reached by https://")
    if behind is not None:
        trusted.add((behind.host or "", behind.port or 0))
    wide, origin = not is_loopback(settings.listen[0]), settings.mode.origin
    named = (origin.host or "", origin.port or 0) if origin is not None else None
    found = Destinations(settings.rules.egress, wide=wide, trusted=trusted, origin=named)
    found.own.add(settings.listen)
    if behind is not None and found.is_own(behind.host or "", behind.port or 0):
        raise EngineError(f"the proxy to chain through, {behind.host}:{behind.port}, is this sidecar; name another")
    return found


def _ends(settings: Settings, stack: contextlib.AsyncExitStack) -> Ends | None:
    """What knows our own connections, where a redirect may lead them back to us. Raises EngineError."""
    if settings.mode.kind is not Kind.TRANSPARENT:
        return None
    ends = Ends(worker=settings.handed is not None)
    stack.callback(ends.close)
    return ends


def _kept(folder: Path, shared: Path | None, now: datetime) -> CA:
    ca = ensure_ca(folder, now=now)
    if shared is not None:
        share(ca, shared)
    return ca


def _authority(settings: Settings, stack: contextlib.AsyncExitStack) -> Callable[[datetime], CA]:
    """What makes the CA right for a time: the one that stays, or one for this run alone.

    The latter is removed with the run, and able to speak for the ruled hosts only.
    """
    if settings.ca_dir is not None:
        return partial(_kept, settings.ca_dir, settings.trust_dir)
    private = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ledger-ca-")))
    return lambda now: ensure_ca(private, settings.rules.hosts(), EPHEMERAL_DAYS, now=now)


async def _observer(settings: Settings, secret: bytes, stack: contextlib.AsyncExitStack) -> Observer:
    """One with a ledger of its own: nothing of it is ever in the way of what is enforced."""
    store = AsyncSqliteStore(observed_db(settings.db), "normal")
    stack.push_async_callback(store.close)
    keeper = AsyncKeeper(store)
    await keeper.sweep()
    beating = asyncio.create_task(keeper.run())
    stack.push_async_callback(_end, beating, keeper)
    observer = Observer(store, keeper, secret)
    stack.push_async_callback(observer.drain, settings.drain)
    return observer


async def _drained(seconds: float, engine: Engine, gate: Gate, exchange: Exchange) -> None:
    """Take no new connection; give what is open its time, then what is being sent the rest of it."""
    end = time.monotonic() + seconds
    await engine.close_listeners()
    await engine.ebb(seconds, gate.flowing.values)
    await exchange.drain(max(0.0, end - time.monotonic()))
    await gate.settle(seconds)


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def _end(beating: asyncio.Task[None], keeper: AsyncKeeper) -> None:
    await _cancelled(beating)
    await keeper.pay()
