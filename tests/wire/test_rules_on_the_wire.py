"""What a rules file says about bodies and responses, seen from the agent's side and from the upstream's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.upstream import Upstream
from tests.wire.sidecars import Sidecar, running

RULES = """
redact: {response: [$.id]}
rules:
  - name: payments
    match: {method: POST, url: "https://api.stripe.com/**/rpc", body: "$.kind == 'pay'"}
  - name: refunds
    match: {method: POST, url: "https://api.stripe.com/**/rpc", graphql: {field: refundCreate}, body: $.query}
  - name: reminders
    match: {method: POST, url: "https://api.stripe.com/**/reminders"}
    fingerprint: {body: {only: [$.invoice, header.X-Campaign]}}
"""


@pytest.fixture
def sidecar(tmp_path: Path, upstream: Upstream) -> Iterator[Sidecar]:
    with running(tmp_path / "sidecar", upstream, RULES) as made:
        yield made


def outcomes(*answers: httpx.Response) -> list[str | None]:
    return [answer.headers.get("Ledger-Outcome") for answer in answers]


def test_of_one_place_only_the_bodies_that_a_rule_names_are_exactly_once(sidecar: Sidecar, upstream: Upstream) -> None:
    path = "/ok/a/rpc"
    assert outcomes(*(sidecar.post(path, {"kind": "pay"}) for _ in range(2))) == ["executed", "replayed"]
    assert outcomes(*(sidecar.post(path, {"kind": "quote"}) for _ in range(2))) == [None, None]
    assert len(upstream.effects(path=path)) == 3


def test_a_request_that_its_body_sets_free_arrives_whole_and_without_our_headers(
    sidecar: Sidecar, upstream: Upstream
) -> None:
    path = "/ok/b/rpc"
    answer = sidecar.post(path, {"kind": "quote", "text": "x" * 200_000}, Ledger_Workflow="order-42")
    (line,) = upstream.effects(path=path)
    assert (answer.status_code, line["length"]) == (200, len(answer.request.content))
    assert "ledger-workflow" not in {name.lower() for name, _ in line["headers"]}


def test_what_is_too_large_to_look_into_may_be_what_a_rule_means(sidecar: Sidecar, upstream: Upstream) -> None:
    path, huge = "/ok/e/rpc", {"kind": "pay", "pad": "x" * (9 << 20)}
    assert outcomes(*(sidecar.post(path, huge) for _ in range(2))) == ["executed", "replayed"]
    assert len(upstream.effects(path=path)) == 1


def test_a_business_key_is_the_same_for_bodies_of_any_size(sidecar: Sidecar, upstream: Upstream) -> None:
    path, pad = "/ok/f/reminders", "x" * (2 << 20)
    first, reworded = ({"invoice": 7, "text": text, "pad": pad} for text in ("Hello", "Hi!"))
    known = outcomes(*(sidecar.post(path, body, X_Campaign="may") for body in (first, reworded)))
    assert known == ["executed", "replayed"]
    # Without its campaign a reminder has no business key, so all of it counts.
    assert outcomes(*(sidecar.post(path, body) for body in (first, reworded))) == ["executed", "executed"]
    assert len(upstream.effects(path=path)) == 3


def test_graphql_mutations_are_told_from_queries(sidecar: Sidecar, upstream: Upstream) -> None:
    path = "/ok/c/rpc"
    asked = ["mutation { refundCreate(id: 1) { id } }", "mutation {refundCreate(id:1){id}}", "{ refunds { id } }"]
    said = outcomes(*(sidecar.post(path, {"query": query}) for query in asked))
    assert said == ["executed", "replayed", None]
    assert len(upstream.effects(path=path)) == 2


@pytest.mark.parametrize("path", ["/ok/d/rpc", "/gzip/d/rpc"])
def test_a_redacted_value_reaches_the_agent_once_and_is_not_stored(sidecar: Sidecar, path: str) -> None:
    live, again = (sidecar.post(path, {"kind": "pay"}) for _ in range(2))
    assert outcomes(live, again) == ["executed", "replayed"]
    assert live.json()["id"].startswith("ch_")
    assert again.json() == live.json() | {"id": "***"}
    stored = b"".join(file.read_bytes() for file in sidecar.db.parent.glob("ledger.db*"))
    assert live.json()["id"].encode() not in stored
