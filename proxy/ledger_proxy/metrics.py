"""A sidecar's numbers as Prometheus reads them. Names and labels are a contract: they are added, never renamed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from ledger_proxy.measures import Measures

CONTENT_TYPE = CONTENT_TYPE_LATEST


class Numbers(Collector):
    """Reads when it is asked; nothing is counted twice.

    waiting: records by status that are running or unknown now. connections: how many were accepted.
    """

    def __init__(self, measures: Measures, connections: Callable[[], int], waiting: Mapping[str, int]) -> None:
        self._measures, self._connections, self._waiting = measures, connections, waiting

    def collect(self) -> Iterable[Metric]:
        """See `Collector`."""
        yield from self._answers()
        writes = HistogramMetricFamily("ledger_store_write_seconds", "Time until a write of the ledger was durable")
        writes.add_metric([], self._measures.writes.cumulative(), self._measures.writes.total)
        yield writes
        open_ = GaugeMetricFamily("ledger_open_operations", "Operations running or unknown now", labels=["status"])
        for status, count in self._waiting.items():
            open_.add_metric([status], count)
        yield open_
        yield CounterMetricFamily(
            "ledger_unavailable", "Ruled requests refused because the ledger failed", self._measures.refused
        )
        yield CounterMetricFamily("ledger_connections", "Connections accepted", self._connections())

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


def exposition(numbers: Numbers) -> bytes:
    """The text that a scrape gets."""
    registry = CollectorRegistry()
    registry.register(numbers)
    return generate_latest(registry)
