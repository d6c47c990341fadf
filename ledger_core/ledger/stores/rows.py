"""Records and events as rows, and back. Shared by every SQL store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from ledger.compact import encoder, loads
from ledger.errors import StoreUnavailable
from ledger.records import Event, EventType, Instant, Kind, Record, Result, Status
from ledger.stores.sealed import Cipher, closed, result_from

FIXED = ("id", "kind", "tool", "rule", "wf", "version", "created")
"""Columns that never change once a record is there."""
STATE = (
    "caller", "content_id", "payload_id", "payload",
    "status", "owner", "epoch", "generation", "lease", "timeout", "window", "spent", "resent", "released",
    "upstream_key", "touched", "touched_mono", "touched_boot", "began", "began_mono", "began_boot",
    "error", "note", "about",
)  # fmt: skip
OWNED = ("status", "spent", "released", "touched", "touched_mono", "touched_boot", "error", "about")
"""Those of `STATE` that the owner of a claim changes: what it came to, and the head of an answer that streams."""
COUNTERS = ("attempts", "runs", "failed", "unknown", "replayed", "refused", "held", "conflicts")
COLUMNS = (*FIXED, *STATE, *COUNTERS)
"""In this order they are written."""
SHORT = (
    "id", "tool", "wf", "caller", "created", "status", "owner", "epoch", "generation", "lease", "timeout", "window",
    "spent", "released", "touched", "touched_mono", "touched_boot", "began", "began_mono", "began_boot", "about",
    "attempts", "runs", "replayed", "refused",
)  # fmt: skip
"""What there is to read of most calls: in `MORE` they are as every record starts."""
MORE = (
    "kind", "rule", "version", "content_id", "payload_id", "payload", "resent", "upstream_key", "error", "note",
    "failed", "unknown", "held", "conflicts",
)  # fmt: skip
_NO_COUNTS = (0,) * len(COUNTERS)
COUNTED = ("actions", *COUNTERS)
"""What a journal line adds to the sums; `actions` is the number of records."""
LINE = ("at", "event", "record", "tool", "wf", "caller", "detail")
"""What a journal line tells."""

dumps = encoder(ensure_ascii=False, default=str)
"""Small JSON as it is kept."""


def fixed_row(r: Record) -> tuple[Any, ...]:
    """The values of `FIXED`, in order."""
    return (r.id, r.kind._value_, r.tool, r.rule, r.wf, r.version, r.created.wall)


def state_row(r: Record, was: Record | None = None) -> tuple[Any, ...]:
    """The values of `STATE`, in order. was: the row before; None stands for an `about` that is still the same."""
    touched, began = r.touched, r.began
    return (
        r.caller, r.content_id, r.payload_id, r.payload,
        r.status._value_, r.owner, r.epoch, r.generation, r.lease, r.timeout, r.window, r.spent, r.resent, r.released,
        r.upstream_key, touched.wall, touched.mono, touched.boot, began.wall, began.mono, began.boot,
        r.error, r.note, None if was is not None and r.about is was.about else about_text(r.about),
    )  # fmt: skip


def owned_row(r: Record, was: Record) -> tuple[Any, ...]:
    """The values of `OWNED`, in order."""
    touched = r.touched
    return (
        r.status._value_, r.spent, r.released, touched.wall, touched.mono, touched.boot, r.error,
        None if r.about is was.about else about_text(r.about),
    )  # fmt: skip


def about_text(about: Mapping[str, Any]) -> str:
    """What is told of the request, as it is kept."""
    return dumps(about) if about else "{}"


def count_row(counts: Mapping[str, int]) -> tuple[int, ...]:
    """What is added to `COUNTERS`, in order."""
    return tuple(map(counts.get, COUNTERS, _NO_COUNTS))


def counter_row(r: Record) -> tuple[int, ...]:
    """The values of `COUNTERS`, in order."""
    return (r.attempts, r.runs, r.failed, r.unknown, r.replayed, r.refused, r.held, r.conflicts)


def event_row(e: Event, actions: int, counts: Mapping[str, int]) -> tuple[Any, ...]:
    """One journal line without its seq, and what it adds to the sums: see `COUNTED`."""
    return (*line_row(e), actions, *count_row(counts))


def line_row(e: Event) -> tuple[Any, ...]:
    """The values of `LINE`, in order."""
    detail = dumps(e.detail if type(e.detail) is dict else dict(e.detail))
    return (e.at, e.event._value_, e.record, e.tool, e.wf, e.caller, detail)


def result_row(r: Record, cipher: Cipher | None = None) -> tuple[Any, ...] | None:
    """The result's epoch, so that no later claim can answer from it, meta and body, and whose it is."""
    if r.result is None:
        return None
    meta, body = closed(
        dumps(r.result.meta if type(r.result.meta) is dict else dict(r.result.meta)),
        r.result.body,
        r.id,
        r.epoch,
        cipher,
    )
    return (r.epoch, meta, body, r.id)


def record_from(row: Sequence[Any], cipher: Cipher | None = None) -> Record:
    """A record from `SHORT`, or from that and `MORE`, optionally followed by a result's meta and body.

    Its result raises ResultSealed when it is asked for. Raises StoreUnavailable for a row that is none: nobody wrote
    it so.
    """
    try:
        return _record_from(row, cipher)
    except _NO_ROW:
        raise _damaged(f"record {row[0]!r}") from None


def _record_from(row: Sequence[Any], cipher: Cipher | None) -> Record:
    # Spelled out: a dict by its columns' names, corrected where a field is not its column, takes twice as long.
    (
        id, tool, wf, caller, created, status, owner, epoch, generation, lease, timeout, window,
        spent, released, touched, touched_mono, touched_boot, began, began_mono, began_boot, about,
        attempts, runs, replayed, refused,
        *rest,
    ) = row  # fmt: skip
    fields = {
        "id": id, "tool": tool, "wf": wf, "caller": caller, "created": Instant(created),
        "status": _STATUSES[status], "owner": owner, "epoch": epoch, "generation": generation,
        "lease": lease, "timeout": timeout, "window": window, "spent": spent, "released": bool(released),
        "touched": Instant(touched, touched_mono, touched_boot), "began": Instant(began, began_mono, began_boot),
        "about": loads(about) if about != "{}" else {},
        "attempts": attempts, "runs": runs, "replayed": replayed, "refused": refused,
    }  # fmt: skip
    if len(rest) >= len(MORE):
        (
            kind, rule, version, content_id, payload_id, payload, resent, upstream_key, error, note,
            failed, unknown, held, conflicts,
            *rest,
        ) = rest  # fmt: skip
        fields |= {
            "kind": _KINDS[kind], "rule": rule, "version": version,
            "content_id": content_id, "payload_id": payload_id, "payload": payload,
            "resent": bool(resent), "upstream_key": upstream_key, "error": error, "note": note,
            "failed": failed, "unknown": unknown, "held": held, "conflicts": conflicts,
        }  # fmt: skip
    meta, body = rest or (None, None)
    return Record.of_fields(fields, partial(_result, meta, body, id, epoch, cipher))


def _result(meta: Any, body: Any, id: str, epoch: int, cipher: Cipher | None) -> Result | None:
    try:
        return None if meta is None else result_from(meta, body, id, epoch, cipher)
    except _NO_ROW:
        raise _damaged(f"record {id!r}") from None


def _damaged(what: str) -> StoreUnavailable:
    return StoreUnavailable(f"{what} is damaged on the disk; check it, and restore a copy")


_NO_ROW = (KeyError, TypeError, ValueError, AttributeError)
"""What is raised by a value that stands in the wrong place."""
_KINDS = {kind.value: kind for kind in Kind}
_STATUSES = {status.value: status for status in Status}


def event_from(row: Sequence[Any]) -> Event:
    """An event from (seq, at, event, record, tool, wf, caller, detail). Raises StoreUnavailable, as `record_from`."""
    seq, at, event, record, tool, wf, caller, detail = row
    try:
        return Event(EventType(event), record, tool, wf, at, caller, loads(detail), seq)
    except _NO_ROW:
        raise _damaged(f"line {seq} of the journal") from None
