"""Records and events as rows, and back. Shared by every SQL store."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from ledger.records import Event, EventType, Instant, Kind, Record, Result, Status

STATE = (
    "kind", "tool", "rule", "wf", "caller", "content_id", "payload_id", "payload", "version",
    "status", "owner", "epoch", "generation", "lease", "timeout", "spent", "resent", "released", "upstream_key",
    "created", "touched", "touched_mono", "touched_boot", "began", "began_mono", "began_boot",
    "error", "note", "about",
)  # fmt: skip
COUNTERS = ("attempts", "runs", "failed", "unknown", "replayed", "refused", "held", "conflicts")
COLUMNS = ("id", *STATE, *COUNTERS)

_dumps = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, default=str).encode


def state_row(r: Record) -> tuple[Any, ...]:
    """The values of `STATE`, in order."""
    return (
        r.kind.value, r.tool, r.rule, r.wf, r.caller, r.content_id, r.payload_id, r.payload, r.version,
        r.status.value, r.owner, r.epoch, r.generation, r.lease, r.timeout, r.spent, r.resent, r.released,
        r.upstream_key, r.created.wall, *_instant(r.touched), *_instant(r.began),
        r.error, r.note, _dumps(r.about),
    )  # fmt: skip


def counter_row(r: Record) -> tuple[int, ...]:
    """The values of `COUNTERS`, in order."""
    return (r.attempts, r.runs, r.failed, r.unknown, r.replayed, r.refused, r.held, r.conflicts)


def event_row(e: Event) -> tuple[Any, ...]:
    """One journal line without its seq."""
    return (e.at, e.event.value, e.record, e.tool, e.wf, e.caller, _dumps(dict(e.detail)))


def result_row(r: Record) -> tuple[Any, ...] | None:
    """The result's row, tied to its epoch so that no later claim can answer from it."""
    if r.result is None:
        return None
    return (r.id, r.epoch, _dumps(dict(r.result.meta)), r.result.body)


def record_from(row: Sequence[Any]) -> Record:
    """A record from `COLUMNS`, optionally followed by a result's meta and body."""
    v: dict[str, Any] = dict(zip(COLUMNS, row, strict=False))
    v["kind"], v["status"] = Kind(v["kind"]), Status(v["status"])
    v["resent"], v["released"] = bool(v["resent"]), bool(v["released"])
    v["created"] = Instant(v["created"])
    for name in ("touched", "began"):
        v[name] = Instant(v[name], v.pop(f"{name}_mono"), v.pop(f"{name}_boot"))
    v["about"] = json.loads(v["about"])
    extra = row[len(COLUMNS) :]
    v["result"] = Result(json.loads(extra[0]), extra[1]) if extra and extra[0] is not None else None
    return Record(**v)


def event_from(row: Sequence[Any]) -> Event:
    """An event from (seq, at, event, record, tool, wf, caller, detail)."""
    seq, at, event, record, tool, wf, caller, detail = row
    return Event(EventType(event), record, tool, wf, at, caller, json.loads(detail), seq)


def _instant(i: Instant) -> tuple[float, float, str]:
    return i.wall, i.mono, i.boot
