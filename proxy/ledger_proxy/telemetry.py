"""Attempts as OpenTelemetry spans and metrics, of guard and exchange alike. The API only: without an SDK it is silent.

A span is named and described by the semantic conventions where they have words for it: a guarded call is a tool that
an agent executes (https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-agent-spans/), an exchange is a request
(https://opentelemetry.io/docs/specs/semconv/http/http-spans/). No body, argument, credential, path or query is told;
metrics carry no id, workflow or caller.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from opentelemetry import context, metrics, propagate, trace
from opentelemetry.metrics import Counter, Histogram
from opentelemetry.trace import Span, SpanKind, StatusCode

from ledger.records import Kind, Record
from ledger.steps import Answer, Reply
from ledger_proxy.measures import label

NAME = "ledger"
TEXT = 200
"""Characters of a value: callers and workflows are whatever somebody sends."""
OTHER = "_OTHER"
_BAD = {Answer.FAILED: "failed", Answer.UNKNOWN: "unknown", Answer.HELD: "held", Answer.CONFLICT: "conflict"}


class Telemetry:
    """A `ledger.watchers.Watcher` that speaks to the providers that the program has set."""

    def __init__(self) -> None:
        self._tracer = trace.get_tracer(NAME)
        meter = metrics.get_meter(NAME)
        self._attempts = meter.create_counter("ledger.attempts", "{attempt}", "Attempts answered")
        self._took = meter.create_histogram("ledger.attempt.duration", "s", "Time from an attempt to its answer")
        self._tools: set[str] = set()

    def began(self, draft: Record, carrier: Mapping[str, str]) -> _Attempt | None:
        """A span from now on, and the current one, so that what the tool does itself stands below it."""
        if not _heard():
            return None
        parent = propagate.extract(carrier) if carrier else None
        named = _named(draft)
        span = self._tracer.start_span(named, parent, SpanKind.INTERNAL, _asked(draft))
        token = context.attach(trace.set_span_in_context(span, parent))
        tool = label(draft.tool, self._tools, OTHER)[:TEXT]
        labels = {"ledger.tool": tool, "ledger.kind": draft.kind.value}
        return _Attempt(span, token, labels, self._attempts, self._took)


class _Attempt:
    def __init__(self, span: Span, token: Any, labels: dict[str, str], attempts: Counter, took: Histogram) -> None:
        self._span, self._token, self._labels = span, token, labels
        self._attempts, self._took, self._began = attempts, took, time.perf_counter()

    def left(self) -> None:
        """See `Watched`."""
        context.detach(self._token)

    def ended(self, reply: Reply | None, error: BaseException | None) -> None:
        """See `Watched`. A duplicate that was answered is no error: that is what it is for."""
        outcome = "unavailable" if reply is None else reply.answer.value
        bad = type(error).__name__ if error is not None else "unavailable" if reply is None else _BAD.get(reply.answer)
        if self._span.is_recording():
            self._span.set_attributes({"ledger.outcome": outcome, **(_known(reply) if reply is not None else {})})
            if bad is not None:
                self._span.set_attribute("error.type", bad)
                self._span.set_status(StatusCode.ERROR, _why(reply))
        self._span.end()
        labels = {**self._labels, "ledger.outcome": outcome}
        self._attempts.add(1, labels)
        self._took.record(time.perf_counter() - self._began, labels)


def watcher() -> Telemetry:
    """What `ledger.watchers` loads."""
    return Telemetry()


def _heard() -> bool:
    """Whether anybody set an SDK: the API's own stand-ins hear nothing."""
    return not (
        isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider | trace.NoOpTracerProvider)
        and type(metrics.get_meter_provider()).__module__.startswith("opentelemetry.metrics")
    )


def _named(draft: Record) -> str:
    if draft.kind is Kind.HTTP:
        return f"{_text(draft.about.get('method') or 'HTTP')} {_text(draft.tool)}"
    return f"execute_tool {_text(draft.tool)}"


def _asked(draft: Record) -> dict[str, str | int]:
    told: dict[str, str | int] = {"ledger.tool": _text(draft.tool), "ledger.workflow": _text(draft.wf)}
    if draft.caller:
        told["ledger.caller"] = _text(draft.caller)
    if draft.kind is Kind.CALL:
        return told | {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": _text(draft.tool)}
    told["http.request.method"] = _text(draft.about.get("method") or "_OTHER")
    url = urlsplit(str(draft.about.get("url") or ""))
    if url.hostname:
        # Neither path nor query: either may hold a customer's name.
        told |= {"server.address": _text(url.hostname), "url.scheme": _text(url.scheme)}
    return told


def _known(reply: Reply) -> dict[str, str | int]:
    record = reply.record
    told: dict[str, str | int] = {
        "ledger.record": _text(record.id),
        "ledger.status": record.status.value,
        "ledger.generation": record.generation,
    }
    status = record.about.get("response_status")
    if isinstance(status, int):
        told["http.response.status_code"] = status
    return told


def _why(reply: Reply | None) -> str:
    """In our words: a tool's exception may quote what it was given."""
    if reply is None:
        return "the ledger could not be used"
    told = {
        Answer.FAILED: "it failed",
        Answer.UNKNOWN: "the effect may have happened",
        Answer.HELD: "the effect may have happened; held until that is settled",
        Answer.CONFLICT: "the same key with another payload",
    }
    return told.get(reply.answer, "")


def _text(value: object) -> str:
    return str(value)[:TEXT]
