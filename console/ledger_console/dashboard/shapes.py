"""Totals, events and records as the pages and the stream tell them: JSON-able, harmless text. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ledger.ports import Dimension
from ledger.records import Event, Record, rfc3339
from ledger_console.dashboard.words import detail
from ledger_console.text import SHORT, visible

TOLD = ("actions", "attempts", "executed", "blocked", "replayed", "refused", "held", "conflicts", "failed", "unknown")
"""The totals of a summary; `running` and `waiting` besides."""


def request(record: Record) -> str:
    """Method and URL of an HTTP operation, "" for a call."""
    return " ".join(str(record.about[part]) for part in ("method", "url") if record.about.get(part))


def told(totals: Mapping[str, int]) -> dict[str, int]:
    """Totals by the names that the pages use. waiting: records whose outcome nobody knows."""
    return {name: totals[name] for name in TOLD} | {"running": totals["running"], "waiting": totals["open"]}


def groups(found: Mapping[str, Mapping[str, int]]) -> list[dict[str, Any]]:
    """A breakdown, the one with most attempts first. share: attempts, in per cent of the first one's."""
    most = max((totals["attempts"] for totals in found.values()), default=0) or 1
    return [
        {
            "name": name,
            "shown": visible(name),
            "attempts": totals["attempts"],
            "executed": totals["executed"],
            "blocked": totals["blocked"],
            "share": round(100 * totals["attempts"] / most, 1),
        }
        for name, totals in found.items()
    ]


def line(event: Event) -> dict[str, Any]:
    """A journal line for the stream."""
    return {
        "seq": event.seq,
        "at": rfc3339(event.at),
        "event": event.event.value,
        "record": event.record,
        "short": visible(event.record[:SHORT]),
        "tool": visible(event.tool),
        "wf": visible(event.wf),
        "caller": visible(event.caller or ""),
        "detail": visible(detail(event)),
    }


def stretches(found: Mapping[float, Mapping[str, int]], start: float, end: float, seconds: int) -> dict[str, Any]:
    """What happened in each stretch of `seconds` from `start` to `end`, empty ones included."""
    first = start // seconds * seconds
    bars: list[dict[str, float]] = []
    for number in range(int((end - first) // seconds) + 1):
        at = first + number * seconds
        totals = found.get(at, {})
        bars.append({"at": at} | {name: totals.get(name, 0) for name in ("executed", "blocked", "failed", "unknown")})
    return {"seconds": seconds, "bars": bars}


def newest(events: Sequence[Event]) -> list[dict[str, Any]]:
    """Journal lines, newest first."""
    return [line(event) for event in reversed(events)]


DIMENSIONS = {
    Dimension.TOOL: ("By rule or tool", "Rule or tool"),
    Dimension.WF: ("Latest workflows", "Workflow"),
    Dimension.CALLER: ("By caller, 24 h", "Caller"),
}
