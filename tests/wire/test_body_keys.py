"""A provider that reads its idempotency key from the body gets ours there: one for all sends of one operation."""

from __future__ import annotations

import gzip
import json
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.upstream import Upstream
from tests.wire.sidecars import Sidecar, running, start

RULES = """
rules:
  - name: square-like
    match: {method: POST, url: "https://api.stripe.com/**/payments"}
    idempotency_key: ignore-generated
    upstream_key: {body: $.idempotency_key, retention: 24h}
    on_unknown: resend
"""


@pytest.fixture
def sidecar(tmp_path: Path, upstream: Upstream) -> Iterator[Sidecar]:
    with running(tmp_path / "sidecar", upstream, RULES) as made:
        yield made


def payment() -> dict[str, object]:
    """What an agent sends that asks for a fresh key each time it tries."""
    return {"idempotency_key": str(uuid.uuid4()), "amount": 4900, "note": "café"}


def test_an_agents_retry_under_a_fresh_key_reaches_the_upstream_once(sidecar: Sidecar, upstream: Upstream) -> None:
    first, again = (sidecar.post("/ok/payments", payment()) for _ in range(2))
    assert (first.headers["Ledger-Outcome"], again.headers["Ledger-Outcome"]) == ("executed", "replayed")
    assert first.json() == again.json()
    assert len(upstream.effects(path="/ok/payments")) == 1
    sidecar.post("/ok/payments", payment() | {"amount": 5000})
    assert len(upstream.effects(path="/ok/payments")) == 2


def test_a_lost_answer_is_asked_for_again_with_the_very_same_body(
    tmp_path: Path, sidecar: Sidecar, upstream: Upstream
) -> None:
    path = "/lose-response/1/payments"
    assert sidecar.post(path, payment()).headers["Ledger-Outcome"] == "unknown"
    sidecar.kill()
    revived = start(tmp_path / "sidecar", upstream, RULES)
    try:
        again = revived.post(path, payment())
    finally:
        revived.stop()
    assert again.headers["Ledger-Outcome"] == "executed"
    one, other = upstream.lines(path=path)
    assert one["sha256"] == other["sha256"]
    assert one["length"] == len(json.dumps(payment(), ensure_ascii=False, separators=(",", ":")).encode())


@pytest.mark.parametrize("headers", [{"Content-Encoding": "gzip"}, {"Webhook-Signature": "v1,c2lnbmVk"}])
def test_a_compressed_or_signed_body_is_sent_as_it_is_and_held(
    sidecar: Sidecar, upstream: Upstream, headers: dict[str, str]
) -> None:
    path = "/lose-response/1/payments"
    plain = b'{"amount": 4900}'
    body = gzip.compress(plain, mtime=0) if "Content-Encoding" in headers else plain
    for expected in ("unknown", "held"):
        with sidecar.client() as client:
            sent = {"Content-Type": "application/json", **headers}
            answer = client.post(f"https://api.stripe.com{path}", content=body, headers=sent)
        assert answer.headers["Ledger-Outcome"] == expected
    (seen,) = upstream.lines(path=path)
    assert seen["length"] == len(body)
