"""A sidecar's numbers as Prometheus reads them. Names and labels are a contract: they are added, never renamed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from ledger_proxy.measures import Numbers

CONTENT_TYPE = CONTENT_TYPE_LATEST


@dataclass(frozen=True, slots=True)
class Crew:
    """The workers behind one port. running: how many are. restarts: how often one that had ended was started again."""

    running: int
    restarts: int


class _Exposed(Collector):
    """Reads when it is asked; nothing is counted twice."""

    def __init__(self, numbers: Numbers, crew: Crew | None) -> None:
        self._numbers, self._measures, self._crew = numbers, numbers.measures, crew

    def collect(self) -> Iterable[Metric]:
        """See `Collector`."""
        yield from self._answers()
        writes = HistogramMetricFamily("ledger_store_write_seconds", "Time until a write of the ledger was durable")
        writes.add_metric([], self._measures.writes.cumulative(), self._measures.writes.total)
        yield writes
        open_ = GaugeMetricFamily("ledger_open_operations", "Operations running or unknown now", labels=["status"])
        for status, count in self._numbers.waiting.items():
            open_.add_metric([status], count)
        yield open_
        yield CounterMetricFamily(
            "ledger_unavailable", "Ruled requests refused because the ledger failed", self._measures.refused
        )
        yield CounterMetricFamily("ledger_connections", "Connections accepted", self._numbers.connections)
        if self._crew is not None:
            yield GaugeMetricFamily("ledger_workers", "Workers that take requests", self._crew.running)
            yield CounterMetricFamily(
                "ledger_worker_restarts", "Workers that ended and were started again", self._crew.restarts
            )

    def _answers(self) -> Iterable[Metric]:
        attempts = CounterMetricFamily("ledger_attempts", "Attempts answered", labels=["rule", "outcome"])
        for (rule, answer), count in self._measures.answers.items():
            attempts.add_metric([rule, answer.value], count)
        yield attempts
        took = HistogramMetricFamily(
            "ledger_answer_seconds", "Time from a whole request to its answer", labels=["rule"]
        )
        for rule, histogram in self._measures.took.items():
            took.add_metric([rule], histogram.cumulative(), histogram.total)
        yield took


def exposition(numbers: Numbers, crew: Crew | None = None) -> bytes:
    """The text that a scrape gets. crew: of a parent with workers, whose numbers are theirs together."""
    registry = CollectorRegistry()
    registry.register(_Exposed(numbers, crew))
    return generate_latest(registry)
