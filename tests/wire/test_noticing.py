"""Retries that no rule recognises are noticed, once, and the line that would help is named."""

from __future__ import annotations

import json
import uuid
from collections import ChainMap
from pathlib import Path
from typing import Any

import pytest
import yaml

from ledger_proxy import noticing
from ledger_proxy.noticing import ENDPOINTS, Noticer
from ledger_rules import identify, loads
from ledger_rules.request import Request
from ledger_rules.rule import Rule
from tests.upstream import Upstream
from tests.wire.sidecars import running

NOW = 1_790_000_000.0


class Heard:
    """A noticer, and what it said about requests that come a second apart."""

    def __init__(self, more: str = "") -> None:
        self.keys = yaml.safe_load(f"{{{more}}}")
        self.rule = orders(self.keys)
        self.said: list[str] = []
        self.noticer = Noticer(b"s" * 32, self.said.append)
        self.now = NOW

    def sends(self, body: object, path: str = "/orders", after: float = 1.0, **headers: str) -> Request:
        self.now += after
        told = (("Content-Type", "application/json"), *((n.replace("_", "-"), v) for n, v in headers.items()))
        data = json.dumps(body).encode()
        request = Request("POST", "https", "api.example.com", 443, path, told, data)
        self.noticer.arrived(self.rule, request, self.now)
        return request

    def as_advised(self) -> Rule:
        """The rule with the keys that were named, as they stand there."""
        advice = self.said[0].partition(" say ")[2].partition(". If not")[0]
        named = [yaml.safe_load(f"{{{key}}}") for key in advice.split(" and ")]
        return orders(self.keys | dict(ChainMap(*named)))


def orders(keys: dict[str, Any]) -> Rule:
    rule = {"name": "orders", "match": {"url": "https://api.example.com/**"}, **keys}
    return loads(json.dumps({"rules": [rule]})).rules[0]


def test_the_field_and_the_line_are_named_once() -> None:
    heard = Heard()
    for n in range(6):
        heard.sends({"order": 7, "amount": 5, "sent_at": NOW + n})
        assert len(heard.said) == (n >= 2)
    assert "POST api.example.com/orders came 3 times" in heard.said[0]
    assert "differed only in $.sent_at (a time)" in heard.said[0]
    assert "in rule 'orders' say fingerprint: {body: {ignore: [\"$.sent_at\"]}}" in heard.said[0]


def test_fresh_keys_on_equal_requests_are_noticed() -> None:
    heard = Heard()
    for _ in range(3):
        heard.sends({"order": 7, "amount": 5}, Idempotency_Key=str(uuid.uuid4()))
    assert "idempotency_key: ignore-generated" in heard.said[0]


@pytest.mark.parametrize(
    "bodies",
    [
        [{"order": n, "amount": 5, "sent_at": NOW + n} for n in range(6)],
        [{"order": 7, "amount": n} for n in range(6)],
        [{"order": 7 + n % 2, "amount": 5, "sent_at": NOW + n} for n in range(6)],
    ],
)
def test_different_orders_are_nobodys_business(bodies: list[object]) -> None:
    heard = Heard()
    for body in bodies:
        heard.sends(body)
    assert heard.said == []


def test_what_the_rule_ignores_already_is_not_named_again() -> None:
    heard = Heard("fingerprint: {body: {ignore: ['$.sent_at']}}")
    for n in range(3):
        heard.sends({"order": 7, "sent_at": NOW + n, "trace_id": f"t{n}"})
    assert "differed only in $.trace_id" in heard.said[0]
    assert heard.as_advised().fingerprint.body.ignore[0].text == "$.sent_at"


def test_what_is_advised_can_be_written_as_it_stands_and_helps() -> None:
    heard = Heard("fingerprint: {query: {ignore: [page]}}, idempotency_key: respect")
    requests = [
        heard.sends(
            {"order": 7, "sent_at": NOW + n},
            f"/orders?page={n}&sent%5B%5D={NOW + n}",
            Idempotency_Key=str(uuid.uuid4()),
        )
        for n in range(3)
    ]
    for rule, operations in ((heard.rule, 3), (heard.as_advised(), 1)):
        assert len({identify(rule, request, b"s" * 32).id for request in requests}) == operations


def test_far_apart_is_no_retry() -> None:
    heard = Heard()
    for n in range(6):
        heard.sends({"order": 7, "sent_at": NOW + n}, after=11)
    assert heard.said == []


def test_where_the_provider_compares_payloads_the_advice_says_so() -> None:
    heard = Heard("upstream_key: {header: Idempotency-Key, retention: 24h}, on_unknown: resend")
    for n in range(3):
        heard.sends({"order": 7, "amount": 5, "sent_at": NOW + n})
    assert " and on_unknown: hold" in heard.said[0]


def test_memory_and_work_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    heard, read = Heard(), []
    monkeypatch.setattr(noticing, "fields", lambda *of: read.append(of) or ())
    for n in range(10 * ENDPOINTS):
        heard.sends({"n": n}, path=f"/orders/{n}", after=0.001)
    assert len(heard.noticer._endpoints) == ENDPOINTS
    assert read == []
    for n in range(1000):
        heard.sends({"n": n}, after=0.001)
    assert len(read) <= 2 * noticing.CHECKS


def test_it_is_printed_by_a_sidecar(tmp_path: Path, upstream: Upstream) -> None:
    with running(tmp_path / "s", upstream) as sidecar:
        for n in range(4):
            sidecar.post("/ok/charges", {"amount": 5, "to": "ada", "sent_at": f"2026-11-24T10:00:0{n}Z"})
        sidecar.process.terminate()
        said = sidecar.process.communicate(timeout=30)[1]
        assert said.count("came 3 times within seconds") == 1
        assert "ada" not in said
    assert len(upstream.effects()) == 4
