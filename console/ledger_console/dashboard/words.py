"""What the screens say in words of a record and of an event. Pure, and imported by `ledger show RECORD`, too."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ledger.errors import StoreUnavailable
from ledger.records import Event, EventType, Kind, Record, Status
from ledger_console.text import pairs


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is known of an operation, what follows, and what a person may do about it."""

    what: str
    todo: str
    resolvable: bool = False
    retriable: bool = False
    removable: bool = False


def verdict(record: Record, gone: str | None) -> Verdict:
    """gone: why the owner of a running record is believed gone, None while it is believed."""
    if record.status is Status.RUNNING and gone:
        lost = f"Nobody works on it any more: {gone}. The effect may have happened."
        return Verdict("It was running when its process ended", lost, resolvable=True, removable=False)
    if record.status is Status.RUNNING:
        return Verdict("It is running", "Duplicates wait for its outcome.")
    next_runs = "A person allowed the next attempt to run."
    if record.status is Status.UNKNOWN:
        asks = (
            "The effect may have happened. Ask the provider, then say which it was; until then every attempt is held, "
            "or asks the provider itself where its rule says how."
        )
        return Verdict("Nobody knows whether it happened", next_runs if record.released else asks, True, True, True)
    if record.status is Status.FAILED:
        # A tool that raised proves nothing; a person's word and a definite answer of an upstream do.
        what = "It failed, and counts as not happened" if record.kind is Kind.CALL else "It did not happen"
        return Verdict(what, "The next attempt runs.", retriable=False, removable=True)
    return Verdict(
        "It happened, once" if record.runs == 1 else f"It happened {record.runs} times",
        next_runs if record.released else _answered(record),
        retriable=True,
        removable=True,
    )


def _answered(record: Record) -> str:
    try:
        if record.result and record.result.body is not None:
            return "Duplicates are answered from this record."
    except StoreUnavailable:
        return "Its answer is kept, but cannot be read here."
    return "Duplicates are told that it was done; there is no body to answer them with."


_SENTENCES: Mapping[EventType, str] = {
    EventType.CLAIMED: "An attempt got the right to run",
    EventType.STREAMING: "The answer began to come",
    EventType.SUCCEEDED: "It ran to success",
    EventType.FAILED: "It failed, and counts as not happened",
    EventType.UNKNOWN: "No answer came: it may have happened",
    EventType.SETTLED: "Sent again under the same key, the provider told the outcome",
    EventType.EXPIRED: "Its owner was gone before the outcome",
    EventType.REPLAYED: "A duplicate got the recorded answer",
    EventType.BLOCKED: "A duplicate was refused, without a result",
    EventType.HELD: "A duplicate was held: the outcome is unknown",
    EventType.CONFLICT: "The same key came with another payload, and was refused",
    EventType.RELEASED: "A person allowed the next attempt to run",
    EventType.CLEARED: "The record was removed",
    EventType.WRITTEN: "The record was written as a whole, by an import or another store",
    EventType.WARNING: "A warning",
}


def sentence(event: Event) -> str:
    """What happened."""
    if event.event is EventType.RESOLVED:
        said = "A person said that it happened" if event.detail.get("done") else "A person said that it did not happen"
    elif event.event is EventType.CLAIMED and event.detail.get("epoch", 1) != 1:
        said = f"An attempt got the right to run, claim {event.detail['epoch']}"
    else:
        said = _SENTENCES[event.event]
    return f"{said} ({event.caller})" if event.caller else said


_HIDDEN = frozenset({"epoch", "done", "why", "note", "by"})
_BY_PERSON = frozenset({EventType.RESOLVED, EventType.RELEASED})


def detail(event: Event) -> str:
    """What the event says besides: why, a person's reason and name, and whatever else as `name=value`."""
    told = event.detail
    # A person's line carries the record's earlier error, too; their own why is the note.
    why = None if event.event in _BY_PERSON else told.get("why")
    by = f"by {told['by']}" if told.get("by") else None
    rest = pairs({name: value for name, value in told.items() if name not in _HIDDEN})
    return "; ".join(str(said) for said in (why, told.get("note"), by, rest) if said)


def no_body(record: Record) -> str:
    """Why there is nothing to show as response."""
    if record.status is Status.SUCCESS:
        return "Not kept: it was too large, or a person settled the record without one."
    if record.status is Status.RUNNING:
        return "None yet."
    answered = record.about.get("response_status")
    came = f"The upstream answered {answered}; only" if answered else "Only"
    kept = "response" if record.kind is Kind.HTTP else "result"
    return f"{came} a success keeps its {kept}: nothing else is ever replayed."


def identity(record: Record) -> list[tuple[str, Any, str]]:
    """What makes two attempts this one operation: name, value, remark (`hash` for keyed hashes)."""
    rows = [
        ("Workflow", record.wf, "the same request elsewhere is another operation"),
        ("Rule" if record.rule else "Tool", record.rule or record.tool, ""),
        ("Record", record.id, "hash"),
        ("Payload", record.payload, "hash"),
        ("Same payload, any rule", record.payload_id, "hash"),
        ("Same bytes, any rule", record.content_id, "hash"),
        ("Upstream key", record.upstream_key, "sent to the provider; a resend repeats it"),
        ("Generation", record.generation, "which intended effect this is"),
        ("Claims", record.epoch, "how often an attempt got the right to run"),
        ("Normaliser", f"version {record.about.get('normaliser', record.version)}", "of request bodies and arguments"),
    ]
    return [(name, value, remark) for name, value, remark in rows if value not in (None, "")]


_NAMES = {
    "method": "Method",
    "url": "URL",
    "media_type": "Media type",
    "request_bytes": "Body",
    "response_status": "",
    "ignored_key": "",
    "normaliser": "",
}


def request_facts(record: Record) -> list[tuple[str, str]]:
    """What is kept of the request, and who asked when."""
    about = [(_NAMES.get(name, name.replace("_", " ").capitalize()), value) for name, value in record.about.items()]
    told = [
        (name, f"{value:,} bytes" if name == "Body" else str(value)) for name, value in about if name and value != ""
    ]
    return [*told, ("Caller", record.caller or "not given"), *_counts(record)]


def _counts(record: Record) -> list[tuple[str, str]]:
    parts = [(record.runs, "executed"), (record.failed, "failed"), (record.unknown, "unknown"),
             (record.replayed, "replayed"), (record.refused, "refused"), (record.held, "held"),
             (record.conflicts, "conflicts")]  # fmt: skip
    parts.append((max(0, record.attempts - sum(n for n, _ in parts)), "not ended"))
    return [("Attempts", f"{record.attempts}: " + ", ".join(f"{n} {name}" for n, name in parts if n))]
