"""The composition root of a sidecar: store, keeper, upstream, exchange and front, started and stopped in order."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial

from ledger_proxy import telling
from ledger_proxy.addon import Gate
from ledger_proxy.ca import CA
from ledger_proxy.connecting import Connections
from ledger_proxy.destinations import Destinations, is_loopback
from ledger_proxy.ending import Ending
from ledger_proxy.engine import Engine
from ledger_proxy.exchange import Exchange
from ledger_proxy.notifier import Notifier
from ledger_proxy.observing import Observer
from ledger_proxy.passing import Passer
from ledger_proxy.peers import Peers
from ledger_proxy.preparing import Prepared, cancelled
from ledger_proxy.reception import Reception
from ledger_proxy.relay import Relay
from ledger_proxy.renewing import Renewal
from ledger_proxy.settings import Address
from ledger_proxy.shortcut import Shortcut
from ledger_proxy.upstream import AiohttpUpstream

RECORD_SECONDS = 1.0
"""What is given up has at least so long to be recorded, and told to who waits for it."""


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


@contextlib.asynccontextmanager
async def started(ready: Prepared, ending: Ending) -> AsyncIterator[Sidecar]:
    """Serve, for the block, what comes to the sockets that listen already; drained and recorded when it ends.

    ending: may break the draining off. Raises EngineError, OSError.
    """
    settings, store, keeper, destinations = ready.settings, ready.ledger.store, ready.ledger.keeper, ready.destinations
    async with contextlib.AsyncExitStack() as stack:
        relay = Relay()
        stack.push_async_callback(relay.close)
        await relay.start()
        destinations.trust(relay.address)
        destinations.own.add(relay.address)
        upstream = _upstream(ready, settings.upstream_timeout, destinations, settings.peers)
        stack.push_async_callback(upstream.close)
        exchange = Exchange(store, keeper, upstream, ready.secret, settings.max_stored)
        exchange.measures.writes = ready.writes
        observer = _observer(ready, stack, ending)
        connections = Connections(settings, destinations, ready.ends)
        taking = asyncio.Event()
        # Before anybody is served, and until nobody is: probes are answered while it drains.
        admin = await _administered(ready, stack, connections, exchange, taking)
        if admin is not None:
            destinations.own.add(admin)
        reception = Reception(settings, exchange, connections)
        shortcut = Shortcut(settings, reception)
        gate = Gate(settings, reception, relay, Passer(upstream), shortcut, observer)
        engine = await Engine.start(ready, (connections, shortcut, gate), connections.patience)
        stack.push_async_callback(engine.stop)
        watching = asyncio.create_task(engine.close_late(connections.patience))
        stack.push_async_callback(cancelled, watching)
        renewal = Renewal(ready.ca.authority, ready.ensure, engine.take_authority)
        stack.push_async_callback(cancelled, asyncio.create_task(renewal.run()))
        stack.push_async_callback(_drained, settings.drain, ending, engine, gate, exchange)
        _telling(ready, stack, gate)
        _settle_memory()
        stack.callback(taking.clear)
        taking.set()
        yield Sidecar(*engine.address, ready.ca, connections, gate, engine, exchange, renewal, observer, admin)


def _upstream(
    ready: Prepared, timeout: float, destinations: Destinations | None = None, peers: Peers | None = None
) -> AiohttpUpstream:
    settings = ready.settings
    return AiohttpUpstream(
        resolve=settings.resolve,
        ca_bundle=ready.roots,
        proxy=settings.upstream_proxy,
        timeout=timeout,
        destinations=destinations,
        peers=peers,
    )


async def _administered(
    ready: Prepared,
    stack: contextlib.AsyncExitStack,
    connections: Connections,
    exchange: Exchange,
    taking: asyncio.Event,
) -> Address | None:
    """The admin server; where it listens. A worker's is its parent's, which asks it.

    taking: set while new requests are taken.
    """
    settings, handed = ready.settings, ready.settings.handed
    if settings.admin is None or (handed is not None and handed.asked is None):
        return None
    from ledger_proxy.admin import Admin, Own, answering, served

    auth = None if is_loopback(settings.admin[0]) else settings.auth
    own = Own(ready.ledger.store, lambda: connections.opened, exchange.measures, taking.is_set)
    admin = Admin(own, auth)
    if handed is not None and handed.asked is not None:
        await stack.enter_async_context(answering(admin, handed.asked))
        return handed.admin
    return await stack.enter_async_context(served(admin, settings.admin))


def _telling(ready: Prepared, stack: contextlib.AsyncExitStack, gate: Gate) -> None:
    """Who is told of unknown outcomes, through an upstream of its own: agents' egress lists are not about operators."""
    teller = telling.Teller(partial(_upstream, ready, telling.SECONDS), ready.settings.db)
    stack.push_async_callback(teller.close)
    notifier = Notifier(ready.ledger.store, ready.ledger.keeper, lambda: gate.rules.notify, teller.tell)
    stack.push_async_callback(cancelled, asyncio.create_task(notifier.run()))


def _settle_memory() -> None:
    """What is loaded by now stays: a full collection that walks it again and again stops every connection for 50 ms.

    Nothing is collected first: what could be is a thousand objects, and looking for them takes a tenth of a second.
    """
    gc.freeze()


def _observer(ready: Prepared, stack: contextlib.AsyncExitStack, ending: Ending) -> Observer | None:
    if ready.observed is None:
        return None
    observer = Observer(ready.observed.store, ready.observed.keeper, ready.secret)
    stack.push_async_callback(_followed, ready.settings.drain, ending, observer)
    return observer


async def _drained(seconds: float, ending: Ending, engine: Engine, gate: Gate, exchange: Exchange) -> None:
    """Take no new connection; give what is open its time, then what is being sent the rest of it."""
    end = time.monotonic() + seconds

    async def ebbing() -> None:
        await engine.ebb(seconds, gate.under_way)
        # Who sent a request and left has no connection any more, and its request is perhaps only being claimed.
        await gate.answered(max(0.0, end - time.monotonic()))
        await exchange.ended(max(0.0, end - time.monotonic()))

    await engine.close_listeners()
    await ending.unhurried(ebbing())
    await exchange.give_up(RECORD_SECONDS)
    await gate.settle(RECORD_SECONDS)


async def _followed(seconds: float, ending: Ending, observer: Observer) -> None:
    await ending.unhurried(observer.drain(seconds))
    await observer.drain(0.0)
