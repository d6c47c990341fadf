"""A sidecar that stood still between its claim and its first byte, while a person settled what it had left open."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from ledger import settling
from ledger.errors import StoreUnavailable
from ledger.keeper import AsyncKeeper
from ledger.ports import Query
from ledger.records import Status
from ledger.stores.sqlite import SqliteStore
from ledger.stores.sqlite_async import AsyncSqliteStore
from ledger_proxy.answers import Response
from ledger_proxy.exchange import Caller, Exchange
from ledger_proxy.upstream import Answer, NotSent
from ledger_rules import loader
from ledger_rules.request import Request

RULES = loader.loads('rules: [{name: payments, match: {method: POST, url: "https://pay.example/**"}}]')
REQUEST = Request("POST", "https", "pay.example", 443, "/v1/payments", (), b"{}")
LEASE = 0.2


class Upstream:
    """Charges, unless it may not when there is a connection. connecting: what happens until there is one."""

    def __init__(self, connecting: Callable[[], Awaitable[None]] | None = None) -> None:
        self._connecting = connecting
        self.charges = 0

    async def send(self, request: Request, *, still: Callable[[], Awaitable[bool]], **_: object) -> Answer:
        if self._connecting is not None:
            await self._connecting()
        if not await still():
            raise NotSent("pay.example: nothing was sent")
        self.charges += 1
        return Answer(200, "OK", (), b"paid")

    async def close(self) -> None:
        """Nothing to close."""


async def ask(store: AsyncSqliteStore, upstream: Upstream) -> Response:
    (rule,) = RULES.rules
    rule = replace(rule, policy=replace(rule.policy, lease=LEASE))
    return await Exchange(store, AsyncKeeper(store), upstream, b"k", 1000).answer(
        rule, REQUEST, Caller("w"), lambda: False
    )


def outcome(response: Response) -> str:
    return dict(response.headers)[b"Ledger-Outcome"].decode()


async def test_what_a_person_settled_meanwhile_is_not_sent_when_it_wakes_up(tmp_path: Path) -> None:
    store, person = AsyncSqliteStore(tmp_path / "ledger.db"), SqliteStore(tmp_path / "ledger.db")
    other = Upstream()

    async def stand_still() -> None:
        await asyncio.sleep(LEASE * 2)
        settling.resolve(person, person.running()[0].id, done=False, result=None, note=None)
        assert outcome(await ask(store, other)) == "executed"

    sleeper = Upstream(stand_still)
    late = await ask(store, sleeper)
    (record,) = person.page(Query())
    person.close()
    await store.close()
    assert outcome(late) != "executed"
    assert (sleeper.charges, other.charges) == (0, 1)
    assert (record.status, record.runs) == (Status.SUCCESS, 1)


async def test_a_slow_connection_alone_gives_no_claim_up(tmp_path: Path) -> None:
    store = AsyncSqliteStore(tmp_path / "ledger.db")
    upstream = Upstream(lambda: asyncio.sleep(LEASE * 2))
    assert outcome(await ask(store, upstream)) == "executed"
    assert upstream.charges == 1
    await store.close()


async def test_a_store_that_cannot_say_whether_it_holds_keeps_it_from_being_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = AsyncSqliteStore(tmp_path / "ledger.db")
    upstream = Upstream(lambda: asyncio.sleep(LEASE * 2))

    async def full(*_: object) -> None:
        raise StoreUnavailable("disk full")

    monkeypatch.setattr(store, "renew", full)
    assert outcome(await ask(store, upstream)) == "failed"
    assert upstream.charges == 0
    await store.close()
