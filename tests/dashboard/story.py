"""A day of a small shop, for pictures and screens: real exchanges and guard calls, under a clock that runs ahead.

The exchange, the rules, guard and the store are the real ones. Two things are not: the upstream, which answers or
loses its answer as the story says, and the clock, so that a day fits into a second.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any
from unittest.mock import patch

from ledger import Guard, clock
from ledger.keeper import AsyncKeeper
from ledger.records import Instant
from ledger.stores.sqlite import SqliteStore
from ledger.stores.sqlite_async import AsyncSqliteStore
from ledger_proxy.exchange import Caller, Exchange
from ledger_proxy.upstream import Answer, MaybeSent, NotSent
from ledger_rules import loader
from ledger_rules.request import Request

RULES = """
version: 1
packs: [stripe]
rules:
  - name: order-mail
    match: {method: POST, url: "https://mail.example.com/v1/send"}
    fingerprint: {body: {ignore: ["$.sent_at"]}}
  - name: fulfilment
    match: {method: POST, url: "https://hooks.example.com/orders/**"}
"""
DAY = 86400.0


class Clock:
    """A clock that is set by the story."""

    def __init__(self, start: float) -> None:
        self.wall = start

    def now(self) -> Instant:
        return Instant(self.wall, self.wall, "story")

    def passes(self, seconds: float) -> None:
        self.wall += seconds


class World:
    """The upstream: answers after a while, or loses the answer when it was told to."""

    def __init__(self, time: Clock, chance: random.Random) -> None:
        self._time, self._chance = time, chance
        self.weather = "fine"

    async def send(
        self,
        request: Request,
        *,
        headers: Sequence[tuple[str, str]],
        resendable: bool,
        body: object = None,
        still: object = None,
    ) -> Answer:
        self._time.passes(self._chance.uniform(0.12, 0.9))
        weather, self.weather = self.weather, "fine"
        if weather == "lost":
            self._time.passes(4)
            raise MaybeSent(f"{request.host} closed the connection before it answered")
        if weather == "refused":
            raise NotSent(f"{request.host} refused the connection")
        if weather == "declined":
            return _answer(402, {"error": {"code": "card_declined", "message": "Your card was declined."}})
        return _answer(200, _made(request, self._chance))

    async def close(self) -> None:
        """Nothing is open."""


class Day:
    """The shop's agents, and how often they ask."""

    def __init__(self, path: Path, end: float) -> None:
        self.time, self.chance = Clock(end - DAY), random.Random(7)
        self.world, self._path = World(self.time, self.chance), path
        self.rules = loader.loads(RULES, "ledger.yaml")
        self.end = end

    async def lived(self, orders: int) -> None:
        self._store = store = AsyncSqliteStore(str(self._path))
        exchange = Exchange(store, AsyncKeeper(store), self.world, store.secret(None), 1 << 20)
        with closing(SqliteStore(self._path)) as self._own:
            guard = Guard(self._own).quiet()
            for number in range(orders):
                await self._order(exchange, guard, 1042 + number, number / orders)
        await store.close()

    async def _order(self, exchange: Exchange, guard: Guard, number: int, share: float) -> None:
        chance, wf = self.chance, f"order-{number}"
        # More happens by day than by night.
        self.time.wall = self.end - DAY + DAY * share + chance.uniform(0, 120)
        amount = chance.choice((1900, 4900, 4900, 12500))
        last = share > 0.93
        fate = (
            "lost"
            if number % 41 == 0 or (last and number % 3 == 0)
            else chance.choice(("fine",) * 14 + ("declined", "refused"))
        )
        await self._asks(
            exchange,
            wf,
            "billing-agent",
            "https://api.stripe.com/v1/payment_intents",
            f"amount={amount}&currency=eur&customer=cus_{number}",
            fate,
            chance.choice((1, 1, 2, 3, 4)),
        )
        if fate != "fine":
            return
        mail = {"to": f"customer-{number}@example.com", "template": "paid", "order": number}
        await self._asks(
            exchange, wf, "billing-agent", "https://mail.example.com/v1/send", mail, "fine", chance.choice((1, 1, 1, 2))
        )
        await self._asks(
            exchange,
            wf,
            "warehouse-agent",
            f"https://hooks.example.com/orders/{number}",
            {"ship": True},
            "refused" if number % 17 == 0 else "lost" if number in (1066, 1187, 1199) else "fine",
            chance.choice((1, 2, 2, 5)),
        )
        with guard.workflow(wf), guard.as_caller("support-agent"):
            for _ in range(chance.choice((1, 1, 3))):
                self.time.passes(2)
                guard(send_invoice, order=number, amount=amount / 100)
                self._own.flush()

    async def _asks(
        self, exchange: Exchange, wf: str, caller: str, url: str, payload: Any, fate: str, times: int
    ) -> None:
        for turn in range(times + (fate != "fine")):
            self.world.weather = fate if turn == 0 else "fine"
            # Nothing here takes real time: what waits would wait for ever.
            async with asyncio.timeout(20):
                await exchange.answer(*self._meant(url, payload), Caller(wf, caller), lambda: False)
            await self._store.flush()
            self.time.passes(self.chance.uniform(0.4, 9))

    def _meant(self, url: str, payload: Any) -> tuple[Any, Request]:
        host, _, path = url.removeprefix("https://").partition("/")
        form = isinstance(payload, str)
        body = (
            payload.encode()
            if form
            else json.dumps(payload | ({"sent_at": self.time.wall} if "mail" in host else {})).encode()
        )
        kind = "application/x-www-form-urlencoded" if form else "application/json"
        headers = (("Content-Type", kind), ("Authorization", "Bearer sk_test_story"))
        request = Request("POST", "https", host, 443, f"/{path}", headers, body)
        rule = self.rules.match(request)
        assert rule is not None, url
        return rule, request


def send_invoice(order: int, amount: float) -> dict[str, Any]:
    """What the shop's own agent does without HTTP."""
    return {"invoice": f"INV-{order}", "amount": amount}


def live_a_day(path: Path, end: float | None = None, orders: int = 160) -> None:
    """Fill the ledger at `path` with the day before `end` (Unix seconds, now unless given)."""
    day = Day(path, clock.now().wall if end is None else end)
    with patch.object(clock, "now", day.time.now):
        asyncio.run(day.lived(orders))


def _answer(status: int, body: dict[str, Any]) -> Answer:
    headers = ((b"Content-Type", b"application/json"), (b"Request-Id", b"req_story"))
    return Answer(status, "OK" if status < 300 else "", headers, json.dumps(body).encode())


def _made(request: Request, chance: random.Random) -> dict[str, Any]:
    if "stripe" not in request.host:
        return {"id": f"msg_{chance.getrandbits(48):012x}", "accepted": True}
    fields = dict(pair.split("=") for pair in request.body.decode().split("&"))
    return {
        "id": f"pi_{chance.getrandbits(64):016x}",
        "object": "payment_intent",
        "amount": int(fields["amount"]),
        "currency": fields["currency"],
        "customer": fields["customer"],
        "status": "succeeded",
        "metadata": {},
    }
