"""The admin server: whether the sidecar lives, whether it can claim, and its numbers. It proxies nothing.

On loopback, or with a secret: rule names and counts are nobody else's business. Probes need none: they say yes or no.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from importlib.metadata import version
from ipaddress import ip_address
from typing import Protocol

from aiohttp import web

from ledger.errors import LedgerError
from ledger_proxy.auth import Auth
from ledger_proxy.errors import EngineError
from ledger_proxy.exchange import Caller
from ledger_proxy.measures import Measures, Numbers
from ledger_proxy.metrics import CONTENT_TYPE, Crew, exposition
from ledger_proxy.settings import Address
from ledger_rules.request import place

PROBE_SECONDS = 5.0
"""A ledger that takes longer to write is no ledger to claim in."""


PROBES = ("/healthz", "/readyz")
_CHALLENGE = {"WWW-Authenticate": 'Basic realm="ledger"'}

type Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Probed(Protocol):
    """What is asked of a store; both raise StoreUnavailable."""

    async def probe(self) -> None:
        """Write something durable that means nothing."""
        ...

    async def waiting(self) -> dict[str, int]:
        """How many records are running and how many unknown."""
        ...


class Told(Protocol):
    """Whom the admin server asks: the sidecar itself, or the parent of several."""

    @property
    def ready(self) -> bool:
        """Whether new requests are taken."""
        ...

    async def probe(self) -> None:
        """Write something durable that means nothing. Raises LedgerError."""
        ...

    async def numbers(self) -> tuple[Numbers, Crew | None]:
        """What was counted, and by how many workers where there are such."""
        ...


class Own:
    """What one sidecar tells of itself. opened: how many connections it accepted. taking: whether it takes requests."""

    def __init__(
        self, store: Probed, opened: Callable[[], int], measures: Measures, taking: Callable[[], bool]
    ) -> None:
        self._store, self._opened, self._measures, self._taking = store, opened, measures, taking

    @property
    def ready(self) -> bool:
        """See `Told`."""
        return self._taking()

    async def probe(self) -> None:
        """See `Told`."""
        await self._store.probe()

    async def numbers(self) -> tuple[Numbers, Crew | None]:
        """See `Told`."""
        try:
            waiting = await self._store.waiting()
        except LedgerError:
            waiting = {}
        return Numbers(self._measures, self._opened(), waiting), None


class Admin:
    """The pages. auth: asked for."""

    def __init__(self, told: Told, auth: Auth | None = None) -> None:
        self._told, self._auth = told, auth

    def app(self) -> web.Application:
        """The pages."""
        app = web.Application(middlewares=[_local if self._auth is None else self._known])
        app.router.add_get("/healthz", self.health)
        app.router.add_get("/readyz", self.readiness)
        app.router.add_get("/metrics", self.metrics)
        app.router.add_get("/version", self.version)
        return app

    def worker_app(self) -> web.Application:
        """The pages for a parent: its own health, and its numbers as they are."""
        app = web.Application()
        app.router.add_get("/healthz", self.health)
        app.router.add_get("/metrics", self.counted)
        return app

    async def health(self, request: web.Request) -> web.Response:
        """200 when a write of the ledger is durable now, 503 with the reason when it is not."""
        try:
            async with asyncio.timeout(PROBE_SECONDS):
                await self._told.probe()
        except (LedgerError, TimeoutError) as error:
            return web.json_response({"status": "failing", "why": str(error) or "no write in time"}, status=503)
        return web.json_response({"status": "ok"})

    @web.middleware
    async def _known(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Ask for the secret, as the proxy does, in `Authorization`."""
        given = request.headers.get("Authorization")
        if request.path in PROBES or (self._auth and self._auth.admit(given, Caller("default"))):
            return await handler(request)
        return web.Response(status=401, text="the secret of --auth is needed\n", headers=_CHALLENGE)

    async def readiness(self, request: web.Request) -> web.Response:
        """200 while new requests are taken."""
        ready = self._told.ready
        return web.json_response({"ready": ready}, status=200 if ready else 503)

    async def metrics(self, request: web.Request) -> web.Response:
        """Prometheus text."""
        return web.Response(body=exposition(*await self._told.numbers()), headers={"Content-Type": CONTENT_TYPE})

    async def counted(self, request: web.Request) -> web.Response:
        """The same numbers for who adds them up."""
        numbers, _ = await self._told.numbers()
        return web.json_response(numbers.told())

    async def version(self, request: web.Request) -> web.Response:
        """What runs here."""
        return web.json_response({"ledger": version("ledger-sidecar"), "mitmproxy": version("mitmproxy")})


@contextlib.asynccontextmanager
async def served(admin: Admin, listen: Address) -> AsyncIterator[Address]:
    """Serve for the block; where it listens. Raises EngineError when it cannot."""
    async with _running(admin.app()) as runner:
        site = web.TCPSite(runner, *listen)
        try:
            await site.start()
        except OSError as error:
            # asyncio puts the address into `strerror` once more.
            number = error.errno or 0
            why = os.strerror(number) if number > 0 else error.strerror or error
            raise EngineError(f"--admin cannot listen on {place(*listen)}: {why}; choose another") from None
        host, port, *_ = runner.addresses[0]
        yield host, port


@contextlib.asynccontextmanager
async def answering(admin: Admin, socket: str) -> AsyncIterator[None]:
    """Answer a parent for the block, on a Unix socket in its private directory."""
    async with _running(admin.worker_app()) as runner:
        await web.UnixSite(runner, socket).start()
        yield


@contextlib.asynccontextmanager
async def _running(app: web.Application) -> AsyncIterator[web.AppRunner]:
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        yield runner
    finally:
        await runner.cleanup()


@web.middleware
async def _local(request: web.Request, handler: Handler) -> web.StreamResponse:
    """A page in a browser that was made to believe that its own name is ours gets nothing (DNS rebinding)."""
    host = request.url.host or ""
    with contextlib.suppress(ValueError):
        ip_address(host)
        return await handler(request)
    if host != "localhost":
        return web.Response(status=421, text="ask by address or as localhost\n")
    return await handler(request)
