"""What a rule says of windows, counts, outcomes and masking, as an upstream counts it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.upstream import Upstream
from tests.wire.sidecars import Sidecar, running

RULES = """
redact: {query: [card]}
rules:
  - name: short
    match: {method: POST, url: "https://api.stripe.com/ok/short"}
    window: 1s
  - name: twice
    match: {method: POST, url: "https://api.stripe.com/**/twice"}
    max: 2
  - name: slack-like
    match: {method: POST, url: "https://api.stripe.com/ok/refused"}
    outcomes: {"200 $.object == 'charge'": failed}
  - name: graphql-like
    match: {method: POST, url: "https://api.stripe.com/ok/doubtful"}
    outcomes: {"200 $.object": unknown}
  - name: masked
    match: {method: POST, url: "https://api.stripe.com/ok/masked"}
"""


@pytest.fixture
def sidecar(tmp_path: Path, upstream: Upstream) -> Iterator[Sidecar]:
    with running(tmp_path / "s", upstream, RULES) as made:
        yield made


def said(*answers: httpx.Response) -> list[str]:
    return [answer.headers["ledger-outcome"] for answer in answers]


def test_each_rule_has_its_window_and_its_count(sidecar: Sidecar, upstream: Upstream) -> None:
    first, within = sidecar.post("/ok/short"), sidecar.post("/ok/short")
    assert said(*(sidecar.post("/ok/twice") for _ in range(4))) == ["executed", "executed", "replayed", "replayed"]
    assert len(upstream.effects(path="/ok/twice")) == 2
    time.sleep(1.1)
    assert said(first, within, sidecar.post("/ok/short")) == ["executed", "replayed", "executed"]


def test_an_unknown_counts_toward_the_maximum(sidecar: Sidecar, upstream: Upstream) -> None:
    path = "/lose-response/1/twice"
    assert said(*(sidecar.post(path) for _ in range(3))) == ["unknown", "held", "held"]
    assert len(upstream.effects()) == 1


def test_a_200_that_says_no_is_no_success(sidecar: Sidecar, upstream: Upstream) -> None:
    assert said(*(sidecar.post("/ok/refused") for _ in range(2))) == ["failed", "failed"]
    assert said(*(sidecar.post("/ok/doubtful") for _ in range(2))) == ["unknown", "held"]
    assert len(upstream.effects(path="/ok/refused")) == 2
    assert len(upstream.effects(path="/ok/doubtful")) == 1


def test_masked_parameters_are_sent_and_not_stored(sidecar: Sidecar, upstream: Upstream) -> None:
    sidecar.post("/ok/masked?card=4242424242424242&ref=7")
    (line,) = upstream.effects()
    assert "card=4242424242424242" in line["target"]
    (record,) = sidecar.records()
    assert record["url"] == "https://api.stripe.com/ok/masked?card=***&ref=7"
    assert b"4242424242424242" not in b"".join(file.read_bytes() for file in sidecar.db.parent.glob("ledger.db*"))
