"""What a sidecar tells a tracer of its exchanges: real processes, spans as an SDK exports them."""

from __future__ import annotations

import json
from pathlib import Path

from tests.telemetry.tracing import spans, traced
from tests.upstream import Upstream
from tests.upstream.fixtures import upstream
from tests.wire.sidecars import RULES, running

__all__ = ["upstream"]
TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PARENTED = f"00-{TRACE}-{PARENT}-01"


def test_an_exchange_and_its_duplicate_are_spans_of_the_agents_trace(tmp_path: Path, upstream: Upstream) -> None:
    told = tmp_path / "told"
    with running(tmp_path / "sidecar", upstream, RULES, **traced(told)) as sidecar:
        for _ in range(2):
            answer = sidecar.post(
                "/ok/charges?who=ann", {"amount": 5, "card": "4242"}, traceparent=PARENTED, authorization="Bearer sk_1"
            )
            assert answer.status_code == 200
        sidecar.stop()
    first, second = spans(told)
    assert len(upstream.effects()) == 1
    assert first["name"] == second["name"] == "POST charges"
    assert {s["context"]["trace_id"] for s in (first, second)} == {f"0x{TRACE}"}
    assert first["parent_id"] == f"0x{PARENT}"
    asked = first["attributes"]
    assert (asked["ledger.outcome"], second["attributes"]["ledger.outcome"]) == ("executed", "replayed")
    assert asked["http.request.method"] == "POST"
    assert asked["http.response.status_code"] == 200
    assert asked["server.address"] == "api.stripe.com"
    assert asked["ledger.record"] == second["attributes"]["ledger.record"]
    assert first["status"]["status_code"] == second["status"]["status_code"] == "UNSET"
    assert not any(secret in json.dumps([first, second]) for secret in ("sk_1", "4242", "ann"))


def test_an_unknown_outcome_is_an_error_and_so_is_what_it_holds(tmp_path: Path, upstream: Upstream) -> None:
    told = tmp_path / "told"
    with running(tmp_path / "sidecar", upstream, RULES, **traced(told)) as sidecar:
        sidecar.post("/lose-response/1/charges")
        sidecar.post("/lose-response/1/charges")
        sidecar.stop()
    assert [s["attributes"]["ledger.outcome"] for s in spans(told)] == ["unknown", "held"]
    assert [s["attributes"]["error.type"] for s in spans(told)] == ["unknown", "held"]
    assert {s["status"]["status_code"] for s in spans(told)} == {"ERROR"}


def test_an_answer_that_streams_is_one_span_that_ends_with_it(tmp_path: Path, upstream: Upstream) -> None:
    told = tmp_path / "told"
    with running(tmp_path / "sidecar", upstream, RULES, **traced(told)) as sidecar:
        assert sidecar.post("/stream/5/100/charges").status_code == 200
        sidecar.stop()
    (span,) = spans(told)
    assert span["attributes"]["ledger.outcome"] == "executed"
    assert span["attributes"]["ledger.status"] == "success"
