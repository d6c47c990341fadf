"""The ledger breaks once the request is out: the agent hears what is true, never that nothing was sent."""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger.errors import NotALedger
from ledger.keeper import AsyncKeeper
from ledger.lifecycle import Change
from ledger.stores.sqlite_async import AsyncSqliteStore
from ledger_proxy import answers
from ledger_proxy.answers import Response
from ledger_proxy.exchange import Caller, Exchange
from ledger_proxy.upstream import Answer, MaybeSent, NotSent
from ledger_rules import loader
from ledger_rules.request import Request

RULES = loader.loads(
    """
rules:
  - name: payments
    match: {method: POST, url: "https://pay.example/**"}
    upstream_key: {header: Idempotency-Key, retention: 24h}
    on_unknown: resend
"""
)
REQUEST = Request("POST", "https", "pay.example", 443, "/v1/payments", (), b"{}")


class Upstream:
    """Gives what it was told to, one after the other."""

    def __init__(self, *gives: Answer | Exception) -> None:
        self._gives = list(gives)

    async def send(
        self, request: Request, *, headers: object, resendable: bool, body: object = None, still: object = None
    ) -> Answer:
        given = self._gives.pop(0)
        if isinstance(given, Exception):
            raise given
        return given

    async def close(self) -> None:
        """Nothing to close."""


class Breaking(AsyncSqliteStore):
    """A real store that can be made to fail at outcomes."""

    broken = False

    async def replace(self, change: Change) -> bool:
        if self.broken and change.record.status.value != "running":
            raise NotALedger("the file is malformed")
        return await super().replace(change)


async def ask(exchange: Exchange) -> Response:
    rule = RULES.match(REQUEST)
    assert rule is not None
    return await exchange.answer(rule, REQUEST, Caller("w"), lambda: False)


def outcome(response: Response) -> str:
    return dict(response.headers)[b"Ledger-Outcome"].decode()


async def test_a_success_that_cannot_be_recorded_is_still_answered(tmp_path: Path) -> None:
    store = Breaking(tmp_path / "ledger.db")
    exchange = Exchange(store, AsyncKeeper(store), Upstream(Answer(200, "OK", (), b"paid")), b"k", 1000)
    store.broken = True
    response = await ask(exchange)
    assert (response.status, response.body, outcome(response)) == (200, b"paid", "executed")
    await store.close()


@pytest.mark.parametrize("broken", [False, True])
async def test_a_recovery_that_reached_nobody_does_not_say_that_nothing_happened(tmp_path: Path, broken: bool) -> None:
    store = Breaking(tmp_path / "ledger.db")
    upstream = Upstream(MaybeSent("no answer came"), NotSent("connection refused"))
    exchange = Exchange(store, AsyncKeeper(store), upstream, b"k", 1000)
    assert outcome(await ask(exchange)) == "unknown"
    store.broken = broken
    response = await ask(exchange)
    assert (response.status, outcome(response)) == (504, "unknown")
    assert b"did not happen" not in response.body
    await store.close()


async def test_a_fault_of_ours_after_the_effect_takes_no_answer_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = AsyncSqliteStore(tmp_path / "ledger.db")
    exchange = Exchange(store, AsyncKeeper(store), Upstream(Answer(200, "OK", (), b"paid")), b"k", 1000)

    def broken(*_: object) -> None:
        raise RuntimeError("counting is broken")

    monkeypatch.setattr(type(exchange.tally), "count", broken)
    response = await ask(exchange)
    assert (response.status, response.body, outcome(response)) == (200, b"paid", "executed")
    await store.close()


def test_what_an_agent_is_told_of_our_own_fault_claims_nothing() -> None:
    """It may come after the effect: an agent that read "did not happen" would try another way."""
    for one in (answers.BROKEN, answers.UNAVAILABLE):
        assert b"did not happen" not in answers.problem(one).body
    assert outcome(answers.problem(answers.BROKEN)) == "unknown"
