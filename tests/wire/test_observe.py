"""Observe mode: the traffic is not touched, and what enforcing would have done is told."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from ledger.keeper import AsyncKeeper
from ledger.stores.sqlite_async import AsyncSqliteStore
from ledger_proxy.exchange import Caller
from ledger_proxy.observing import Observer
from ledger_rules import loads
from ledger_rules.request import Request
from tests.upstream import Upstream
from tests.wire.sidecars import RULES, Sidecar, ledger, running

OBSERVED = "mode: observe\n" + RULES


def observed(sidecar: Sidecar) -> list[tuple[str, int, int, int]]:
    """What the ledger of observations says: status, attempts, runs, blocked."""
    shown = ledger("show", "--db", _beside(sidecar), "--json").stdout.splitlines()
    return [(r["status"], r["attempts"], r["runs"], r["blocked"]) for r in map(json.loads, shown)]


def _beside(sidecar: Sidecar) -> Path:
    return sidecar.db.with_name("ledger.observed.db")


def test_nothing_is_changed_and_what_would_have_been_is_told(tmp_path: Path, upstream: Upstream) -> None:
    with running(tmp_path / "s", upstream, OBSERVED) as sidecar:
        answers = [sidecar.post("/ok/charges", {"n": 1}, Idempotency_Key="mine") for _ in range(3)]
        payment = sidecar.post("/ok/payments", {"n": 1}, Ledger_Workflow="w-7")
    assert all("ledger-outcome" not in answer.headers for answer in (*answers, payment))
    assert len({answer.json()["id"] for answer in answers}) == 3
    assert len(upstream.effects(path="/ok/charges")) == 3
    (sent,) = upstream.effects(path="/ok/payments")
    assert not {name.lower() for name, _ in sent["headers"]} & {"ledger-workflow", "idempotency-key"}
    assert [line["key"] for line in upstream.effects(path="/ok/charges")] == ["mine"] * 3
    assert sorted(observed(sidecar)) == [("success", 1, 1, 0), ("success", 3, 1, 2)]
    assert sidecar.records() == []
    stats = json.loads(ledger("stats", "--db", sidecar.db, "--json").stdout)
    assert (stats["attempts"], stats["observed"]) == (0, {"attempts": 4, "prevented": 2})
    said = ledger("stats", "--db", sidecar.db).stdout
    assert "4 attempts were only observed; 2 of them would have been prevented" in said


def test_one_rule_can_observe_while_the_others_enforce(tmp_path: Path, upstream: Upstream) -> None:
    rules = RULES.replace("    wait: 20s", "    wait: 20s\n    mode: observe")
    with running(tmp_path / "s", upstream, rules) as sidecar:
        said = [sidecar.post(path).headers.get("ledger-outcome") for path in ("/ok/charges", "/ok/payments") * 2]
    assert said == [None, "executed", None, "replayed"]
    assert observed(sidecar) == [("success", 2, 1, 1)]


def test_what_was_observed_neither_answers_nor_holds_when_it_is_enforced(tmp_path: Path, upstream: Upstream) -> None:
    with running(tmp_path / "s", upstream, OBSERVED) as sidecar:
        sidecar.post("/ok/charges")
        with pytest.raises(httpx.RemoteProtocolError):
            sidecar.post("/lose-response/1/charges")
    assert sorted(observed(sidecar)) == [("success", 1, 1, 0), ("unknown", 1, 0, 0)]
    with running(tmp_path / "s", upstream) as sidecar:
        said = [sidecar.post(path).headers["ledger-outcome"] for path in ("/ok/charges", "/lose-response/1/charges")]
    assert said == ["executed", "executed"]


def test_a_large_upload_and_a_streamed_answer_pass_as_they_come(tmp_path: Path, upstream: Upstream) -> None:
    with running(tmp_path / "s", upstream, OBSERVED) as sidecar, sidecar.client() as client:
        url = "https://api.stripe.com/stream/3/50/charges"
        assert client.post(url, content=b"x" * 3_000_000).status_code == 200
        assert client.post(url, json={"n": 1}).status_code == 200
    assert [line["length"] for line in upstream.effects()] == [3_000_000, 7]
    assert sorted(observed(sidecar)) == [("success", 1, 1, 0), ("success", 1, 1, 0)]


def test_large_bodies_are_read_as_they_pass(tmp_path: Path, upstream: Upstream) -> None:
    order = {"note": "x" * 1_500_000, "amount": 5}
    spelled = json.dumps(order).encode(), json.dumps(dict(reversed(order.items())), indent=2).encode()
    another = json.dumps(order | {"amount": 6}).encode()
    typed = {"Content-Type": "application/json"}
    with running(tmp_path / "s", upstream, OBSERVED) as sidecar, sidecar.client() as client:
        for body in (*spelled, another):
            assert client.post("https://api.stripe.com/ok/charges", content=body, headers=typed).status_code == 200
        with ThreadPoolExecutor(4) as pool:  # several at once, in pieces whose sum nobody announced
            url = "https://api.stripe.com/ok/charges/upload/charges"
            sent = [pool.submit(client.post, url, content=pieces()) for _ in range(4)]
            assert {one.result().status_code for one in sent} == {200}
    assert sorted(observed(sidecar)) == [("success", 1, 1, 0), ("success", 2, 1, 1), ("success", 4, 1, 3)]
    assert len(upstream.effects()) == 7


def pieces() -> Iterator[bytes]:
    for _ in range(200):
        yield b"y" * 20_000


def test_of_a_large_body_that_tells_the_rule_nothing_is_recorded(tmp_path: Path, upstream: Upstream) -> None:
    rules = "mode: observe\nrules: [{name: a, match: {url: 'https://api.stripe.com/**', body: '$.pay'}}]"
    with running(tmp_path / "s", upstream, rules) as sidecar:
        for size in (10, 1_500_000):
            assert sidecar.post("/ok/charges", {"pay": "x" * size}).status_code == 200
    assert observed(sidecar) == [("success", 1, 1, 0)]


async def test_observing_fails_open_and_says_so_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = AsyncSqliteStore(tmp_path / "ledger.observed.db")
    observer = Observer(store, AsyncKeeper(store), b"k" * 32)
    await store.close()
    rule = loads(OBSERVED).rules[0]
    for n in range(3):
        request = Request("POST", "https", "api.stripe.com", 443, "/ok/charges", (), b"%d" % n)
        observation = observer.arrived(rule, request, Caller("w"))
        assert observation is not None
        observation.answered(200, (), b"{}")
    await observer.drain(10)
    assert [r.message.startswith("observing fails, the traffic is not touched") for r in caplog.records] == [True]


def test_the_command_line_observes_rules_that_would_enforce(tmp_path: Path, upstream: Upstream) -> None:
    with running(tmp_path / "s", upstream, RULES, "--observe") as sidecar:
        assert [sidecar.post("/ok/charges").headers.get("ledger-outcome") for _ in range(2)] == [None, None]
    assert observed(sidecar) == [("success", 2, 1, 1)]


def test_rules_are_suggested_from_a_host_that_no_rule_names(tmp_path: Path, upstream: Upstream) -> None:
    options = ("--observe-host", "api.stripe.com")
    with running(tmp_path / "s", upstream, "packs: [resend]\n", *options) as sidecar:
        for n in range(3):
            order = {"reference": "A-7", "amount": 49, "sent_at": f"2026-11-24T10:00:0{n}Z"}
            sidecar.post("/ok/orders", order, Authorization="Bearer secret-of-ada")
        sidecar.post("/ok/orders", {"reference": "A-7", "amount": 50, "sent_at": "2026-11-24T10:00:09Z"})
    assert len(upstream.effects()) == 4
    said = ledger("rules", "suggest", sidecar.db)
    assert said.returncode == 0, said.stderr
    assert '- "$.sent_at"  # $.sent_at varied' in said.stdout
    assert "# kept: $.amount varied" in said.stdout
    (rule,) = loads(said.stdout).rules
    assert rule.name == "post-api-stripe-com-ok-orders"
    stored = b"".join(file.read_bytes() for file in tmp_path.glob("s/ledger*"))
    assert not [secret for secret in (b"secret-of-ada", b"A-7", b"10:00:02Z") if secret in stored]


def test_suggesting_from_nothing_says_what_to_do(tmp_path: Path, upstream: Upstream) -> None:
    with running(tmp_path / "s", upstream) as sidecar:
        sidecar.post("/ok/charges")
    said = ledger("rules", "suggest", sidecar.db)
    assert said.returncode == 1
    assert "nothing was observed" in said.stderr
    assert "--observe" in said.stderr
