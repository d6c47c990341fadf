"""Guarded calls as Prometheus metrics, for programs that serve their own `/metrics`. A sidecar's are in `metrics`."""

from __future__ import annotations

import time
from collections.abc import Mapping

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Histogram

from ledger import watchers
from ledger.records import Kind, Record
from ledger.steps import Reply
from ledger_proxy.measures import SECONDS, label


class GuardMetrics:
    """A `ledger.watchers.Watcher` that counts the calls of every guard of this process."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._calls = Counter("ledger_guard_calls", "Guarded calls answered", ["tool", "outcome"], registry=registry)
        self._took = Histogram(
            "ledger_guard_call_seconds", "Time of a guarded call", ["tool"], buckets=SECONDS, registry=registry
        )
        self._tools: set[str] = set()

    def began(self, draft: Record, carrier: Mapping[str, str]) -> _Call | None:
        """See `Watcher`."""
        if draft.kind is not Kind.CALL:
            return None
        return _Call(label(draft.tool, self._tools), self._calls, self._took)


class _Call:
    def __init__(self, tool: str, calls: Counter, took: Histogram) -> None:
        self._tool, self._calls, self._took, self._began = tool, calls, took, time.perf_counter()

    def left(self) -> None:
        """See `Watched`."""

    def ended(self, reply: Reply | None, error: BaseException | None) -> None:
        """See `Watched`."""
        self._calls.labels(self._tool, "unavailable" if reply is None else reply.answer.value).inc()
        self._took.labels(self._tool).observe(time.perf_counter() - self._began)


def expose(registry: CollectorRegistry = REGISTRY) -> None:
    """Count from now on, in this registry: `ledger_guard_calls_total` and `ledger_guard_call_seconds`. Call it once."""
    watchers.add(__name__, GuardMetrics(registry))
