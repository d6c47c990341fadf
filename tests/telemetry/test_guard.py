"""What a guard tells a tracer, a meter and Prometheus of its calls."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode
from prometheus_client import CollectorRegistry, generate_latest

from ledger import Guard, MemoryStore, OutcomeUnknown, watchers
from ledger_proxy import guard_metrics, measures

EXPORTER, READER = InMemorySpanExporter(), InMemoryMetricReader()


@pytest.fixture(scope="module", autouse=True)
def _sdk() -> Iterator[None]:
    """A process has one of each, and cannot take another: every test of this file shares them."""
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(EXPORTER))
    trace.set_tracer_provider(provider)
    metrics.set_meter_provider(MeterProvider([READER]))
    yield
    EXPORTER.shutdown()


@pytest.fixture
def guard() -> Iterator[Guard]:
    EXPORTER.clear()
    made = Guard(store=MemoryStore())
    yield made
    made.close()


def told() -> list[ReadableSpan]:
    return list(EXPORTER.get_finished_spans())


def charge(customer: str) -> str:
    with trace.get_tracer("shop").start_as_current_span("POST"):
        return f"charged {customer}"


def test_a_call_is_the_execution_of_a_tool_and_what_it_does_stands_below_it(guard: Guard) -> None:
    with guard.workflow("order-7"):
        assert guard(charge, "ann") == "charged ann"
    inner, outer = told()
    assert outer.name == "execute_tool charge"
    attributes = dict(outer.attributes or {})
    assert attributes["gen_ai.operation.name"] == "execute_tool"
    assert attributes["gen_ai.tool.name"] == "charge"
    assert attributes["ledger.workflow"] == "order-7"
    assert attributes["ledger.outcome"] == "executed"
    assert outer.status.status_code is StatusCode.UNSET
    assert inner.parent is not None
    assert outer.context is not None
    assert inner.parent.span_id == outer.context.span_id


def test_a_duplicate_has_a_span_and_no_work_below_it(guard: Guard) -> None:
    guard(charge, "ann")
    guard(charge, "ann")
    assert [s.name for s in told()] == ["POST", "execute_tool charge", "execute_tool charge"]
    assert dict(told()[-1].attributes or {})["ledger.outcome"] in ("blocked", "replayed")
    assert not any("ann" in str(s.to_json()) for s in told()), "arguments are nobody's business"


def test_a_tool_that_fails_is_an_error_that_does_not_quote_it(guard: Guard) -> None:
    def refund(card: str) -> None:
        raise ValueError(f"no such card: {card}")

    with pytest.raises(ValueError, match="no such card"):
        guard(refund, "4242")
    (span,) = told()
    assert span.status.status_code is StatusCode.ERROR
    assert dict(span.attributes or {})["error.type"] == "failed"
    assert "4242" not in str(span.to_json())


def test_what_may_have_happened_is_an_error_and_so_is_every_attempt_that_it_holds(guard: Guard) -> None:
    def ship(order: str) -> None:
        raise TimeoutError("no answer")

    with pytest.raises(TimeoutError):
        guard(ship, "o-1")
    with pytest.raises(OutcomeUnknown):
        guard(ship, "o-1")
    assert [dict(s.attributes or {})["ledger.outcome"] for s in told()] == ["unknown", "held"]
    assert {s.status.status_code for s in told()} == {StatusCode.ERROR}


async def test_tasks_do_not_take_each_others_spans(guard: Guard) -> None:
    async def mail(to: str) -> str:
        with trace.get_tracer("shop").start_as_current_span(f"to {to}"):
            await asyncio.sleep(0)
        return to

    assert await asyncio.gather(*(guard(mail, f"p{n}") for n in range(5))) == [f"p{n}" for n in range(5)]
    outer = {s.context.span_id for s in told() if s.context and s.name == "execute_tool mail"}
    parents = [s.parent.span_id for s in told() if s.parent and s.name.startswith("to ")]
    assert len(outer) == 5
    assert sorted(parents) == sorted(outer)
    assert trace.get_current_span() is trace.INVALID_SPAN


def test_the_meter_counts_by_tool_and_outcome_and_by_nothing_that_grows(guard: Guard) -> None:
    def tally(n: int) -> int:
        return n

    with guard.workflow("order-99"):
        for n in (1, 1, 2):
            guard(tally, n)
    found = READER.get_metrics_data()
    assert found is not None
    points = [
        (dict(point.attributes or {}), point)
        for resource in found.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        if metric.name == "ledger.attempts"
        for point in metric.data.data_points
    ]
    ours = [(a, p) for a, p in points if a["ledger.tool"] == "tally"]
    assert {frozenset(a) for a, _ in ours} == {frozenset({"ledger.tool", "ledger.kind", "ledger.outcome"})}
    assert sum(p.value for a, p in ours if a["ledger.outcome"] == "executed") == 2
    assert sum(p.value for _, p in ours) == 3


def test_a_program_that_makes_up_tools_fills_no_backend() -> None:
    registry = CollectorRegistry()
    guard_metrics.expose(registry)
    many = Guard(store=MemoryStore())
    for n in range(measures.NAMED + 50):
        many(_named(f"tool_{n}"))
    many.close()
    watchers.remove(guard_metrics.__name__)
    text = generate_latest(registry).decode()
    assert 'ledger_guard_calls_total{outcome="executed",tool="tool_1"} 1.0' in text
    assert 'ledger_guard_calls_total{outcome="executed",tool="other"} 50.0' in text
    assert "ledger_guard_call_seconds_bucket" in text


def _named(name: str) -> Callable[[], None]:
    def tool() -> None: ...

    tool.__name__ = tool.__qualname__ = name
    return tool


def test_a_watcher_that_breaks_changes_nothing(guard: Guard, capsys: pytest.CaptureFixture[str]) -> None:
    class Broken:
        def began(self, draft: object, carrier: object) -> None:
            raise RuntimeError("the exporter is gone")

    watchers.add("broken", Broken())
    try:
        assert guard(charge, "eve") == "charged eve"
    finally:
        watchers.remove("broken")
    assert "the exporter is gone" in capsys.readouterr().err


def test_who_does_not_trace_imports_nothing_for_it() -> None:
    script = (
        "import sys, os; os.environ['LEDGER_QUIET'] = '1'\n"
        "from ledger import Guard, MemoryStore\n"
        "Guard(store=MemoryStore())(max, 1, 2)\n"
        "print([n for n in sys.modules if 'opentelemetry' in n or 'ledger_proxy' in n])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
