"""What a sidecar answered, and the lines `ledger run` ends with. Pure."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from ledger.records import Record, Status
from ledger.steps import Answer, Reply
from ledger_proxy.recent import Recent

_PREVENTED = (Answer.REPLAYED, Answer.BLOCKED, Answer.HELD, Answer.IN_FLIGHT, Answer.GONE)
_SAID = 3
"""Warnings that a summary tells; the journal has the others."""
MERGED = (
    "a generated key was ignored: merged with an identical earlier request; if a second effect was meant, send "
    "Ledger-Operation-Id or use a workflow per intent"
)


@dataclass(slots=True)
class Tally:
    """Answers given since the start. Bounded, whatever comes: but for what waits, which a person settles.

    operations: different ones, as far as the last 65,536 tell.
    waiting: records whose outcome is unknown now. merged: replays by content under a fresh key. recovered: unknowns
    settled by asking the provider again under the same upstream key. warnings: of which record, and what.
    """

    answers: Counter[Answer] = field(default_factory=Counter)
    operations: int = 0
    _seen: Recent = field(default_factory=lambda: Recent(65536))
    waiting: dict[str, Record] = field(default_factory=dict)
    merged: int = 0
    recovered: int = 0
    warnings: list[tuple[str, str]] = field(default_factory=list)

    def count(self, reply: Reply, merged: bool) -> None:
        """Take one reply into account. merged: it came under a fresh key that was ignored."""
        record = reply.record
        self.answers[reply.answer] += 1
        self.operations += not self._seen.seen(record.id)
        self.recovered += record.resent and reply.answer is Answer.EXECUTED
        self.merged += merged and reply.answer is Answer.REPLAYED
        if record.status is Status.UNKNOWN:
            self.waiting[record.id] = record
        else:
            self.waiting.pop(record.id, None)


def summary(tally: Tally, connections: int, db: str, enclosed: bool = False) -> Iterator[str]:
    """The closing lines: what ran, what was prevented, what waits for a person and how to settle it.

    enclosed: the command had no other way out.
    """
    if not connections:
        why = "The command made none" if enclosed else "The command may ignore proxy variables: try --transparent"
        yield f"no request came through. {why}; see `ledger run --help`."
        return
    prevented = sum(tally.answers[a] for a in _PREVENTED) + tally.recovered
    executed = tally.answers[Answer.EXECUTED] - tally.recovered
    yield (
        f"{_plural(tally.operations, 'operation')}, {executed} executed, "
        f"{_plural(prevented, 'duplicate')} prevented, {len(tally.waiting)} unknown"
    )
    if tally.recovered:
        yield f"{_plural(tally.recovered, 'unknown')} settled by the provider under the same upstream key"
    if tally.merged:
        yield (
            f"{_plural(tally.merged, 'duplicate')} came under a fresh key and was merged by content; "
            "if two identical effects were meant, send Ledger-Operation-Id or use a workflow per intent"
        )
    for record_id, text in tally.warnings[:_SAID]:
        yield f"warning, {record_id[:12]}: {text}"
    if (more := len(tally.warnings) - _SAID) > 0:
        yield f"{_plural(more, 'warning')} more in the journal: ledger tail --no-follow -n 1000 --db {shlex.quote(db)}"
    for record in tally.waiting.values():
        what = f"{record.about.get('method', '')} {record.about.get('url', '')}".strip()
        settle = f"ledger resolve {record.id[:12]} --db {shlex.quote(db)} --done   # or --not-done"
        yield f"unknown: {record.tool} {what}: ask the provider, then settle: {settle}"


def observed_summary(tally: Tally | None, db: str) -> Iterator[str]:
    """What enforcing would have done, where something was only observed. db: the ledger that is enforced."""
    if tally is None:
        return
    prevented = sum(tally.answers[a] for a in _PREVENTED)
    yield (
        f"only observed: {_plural(tally.operations, 'operation')}; "
        f"{_plural(prevented, 'duplicate')} would have been prevented"
    )
    if tally.operations:
        yield f"`ledger rules suggest --db {shlex.quote(db)}` proposes rules from what was seen"


def passed_by(unnamed: Collection[str]) -> str:
    """What to say where requests came, and no rule meant one. unnamed: hosts of them that no rule names."""
    hosts = f" (no rule names {', '.join(sorted(unnamed))})" if unnamed else ""
    return f"what came through was no operation of any rule{hosts}; `ledger rules explain -- POST URL` says why"


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
