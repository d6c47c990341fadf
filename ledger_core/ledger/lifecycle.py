"""The durable lifecycle of a record: the one place where a transition is defined. Pure: no clock, no I/O.

There are two state machines in Ledger, on purpose. This one is what the ledger *durably knows* about an
operation; it outlives every process, and many processes move it at once. The other, `steps`, is *one call in
flight*; it lives in one process and ends with a reply. `steps` decides which transition to ask for; only this
file says what the transition does and what must still be true in the store for it to happen.

The guarantee is read off the table below:

* A record becomes `running` only through a row that starts from `absent`, or from a status that allows it,
  and each such row is guarded by an atomic insert or a compare-and-swap. Two contenders cannot both pass,
  so two executions of one epoch cannot exist.
* `running` ends in an outcome only by its owner, or in `unknown` by anybody who sees the owner gone. Nothing
  leads from a gone owner straight to a new execution, except `TAKE_OVER`, which only a policy with a
  `timeout` asks for (the documented exception of `guard`).
* `unknown` means that the effect may have happened. It is left by the true outcome, by a person or a
  verifier, or by sending again under the *same* upstream key. `RERUN` and `RELEASED` are the two doors that
  a person opens, by policy or by command.
* `failed` is proof that the effect did not happen, so it may be claimed again by the first who swaps it.

The *generation* names the intended effect, the *epoch* the claim. A resend or a takeover is another claim of
the same intended effect; everything else that runs again is a new one, and gets a new upstream key, because a
provider would answer the old key with the old outcome (Stripe replays a declined 402).

`spent` counts the effects that may have happened in this window: it rises on entering success or unknown and
falls on leaving unknown. The counters obey, at every moment and summed over any set of records:
attempts = runs + failed + unknown + replayed + refused + held + conflicts + (status is running).
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import field
from enum import Enum, StrEnum
from typing import Any

from ledger.errors import IllegalTransition
from ledger.records import Event, EventType, Instant, Record, Result, Status
from ledger.values import value


class Trigger(StrEnum):
    """What makes a record change."""

    __hash__ = str.__hash__

    CLAIM = "first attempt"
    HEAD = "owner has the head of an answer that streams"
    SUCCEED = "owner finishes: success"
    FAIL = "owner finishes: failed"
    LOSE = "owner finishes: unknown"
    SETTLE = "owner finishes a resend: success"
    ABANDON = "owner gone"
    TAKE_OVER = "owner gone, policy retries after a crash"
    RECLAIM = "attempt after a failure"
    REPEAT = "attempt after the window, or runs < max"
    RESEND = "attempt, same upstream key"
    RERUN = "attempt, policy accepts a second effect"
    RELEASED = "attempt that a person allowed"
    FORCE = "forced by a person"
    RESOLVE_DONE = "resolved: it happened"
    RESOLVE_NOT_DONE = "resolved: it did not happen"
    RELEASE = "retry allowed by a person"


class Guard(Enum):
    """What must still be true in the store, checked in the same atomic step as the change."""

    ABSENT = "no such row"
    OWNER = "same owner, epoch and status"
    SEEN = "same owner, epoch, status and heartbeat"


@value
class Transition:
    """One row of the table. counts: what the transition adds to the counters."""

    start: Status | None
    trigger: Trigger
    end: Status
    guard: Guard
    event: EventType
    counts: Mapping[str, int] = field(default_factory=dict)
    claims: bool = False
    new_generation: bool = False
    spends: int = field(init=False)
    """Effects that may have happened: entering success or unknown adds one, leaving unknown takes it back.

    Claims from unknown have taken theirs back in `claim`.
    """

    def __post_init__(self) -> None:
        stays = self.claims or self.start is self.end
        object.__setattr__(self, "spends", 0 if stays else int(self.end in (S, U)) - int(self.start is U))


R, S, F, U = Status.RUNNING, Status.SUCCESS, Status.FAILED, Status.UNKNOWN
_T, _E, _OWNER, _SEEN = Trigger, EventType, Guard.OWNER, Guard.SEEN
_TRY = {"attempts": 1}

# fmt: off
TABLE: tuple[Transition, ...] = (
    # start trigger           end guard        event         counts                            claims generation
    Transition(None, _T.CLAIM,        R, Guard.ABSENT, _E.CLAIMED, _TRY,                              True, True),
    Transition(R, _T.HEAD,            R, _OWNER, _E.STREAMING),
    Transition(R, _T.SUCCEED,         S, _OWNER, _E.SUCCEEDED, {"runs": 1}),
    Transition(R, _T.FAIL,            F, _OWNER, _E.FAILED,    {"failed": 1}),
    Transition(R, _T.LOSE,            U, _OWNER, _E.UNKNOWN,   {"unknown": 1}),
    Transition(R, _T.SETTLE,          S, _OWNER, _E.SETTLED,   {"unknown": -1, "runs": 1, "replayed": 1}),
    Transition(R, _T.ABANDON,         U, _SEEN,  _E.EXPIRED,   {"unknown": 1}),
    Transition(R, _T.TAKE_OVER,       R, _SEEN,  _E.CLAIMED,   _TRY | {"unknown": 1},                 True),
    Transition(R, _T.FORCE,           R, _SEEN,  _E.CLAIMED,   _TRY | {"unknown": 1},                 True, True),
    Transition(F, _T.RECLAIM,         R, _SEEN,  _E.CLAIMED,   _TRY,                                  True, True),
    Transition(S, _T.REPEAT,          R, _SEEN,  _E.CLAIMED,   _TRY,                                  True, True),
    Transition(U, _T.RESEND,          R, _SEEN,  _E.CLAIMED,   _TRY,                                  True),
    Transition(U, _T.RERUN,           R, _SEEN,  _E.CLAIMED,   _TRY,                                  True),
    Transition(U, _T.SUCCEED,         S, _OWNER, _E.SUCCEEDED, {"unknown": -1, "runs": 1}),
    Transition(U, _T.SETTLE,          S, _OWNER, _E.SUCCEEDED, {"unknown": -1, "runs": 1}),
    Transition(U, _T.FAIL,            F, _OWNER, _E.FAILED,    {"unknown": -1, "failed": 1}),
    Transition(F, _T.SUCCEED,         S, _OWNER, _E.SUCCEEDED, {"failed": -1, "runs": 1}),
    Transition(F, _T.SETTLE,          S, _OWNER, _E.SUCCEEDED, {"failed": -1, "runs": 1}),
    Transition(U, _T.RESOLVE_DONE,    S, _SEEN,  _E.RESOLVED,  {"unknown": -1, "runs": 1}),
    Transition(U, _T.RESOLVE_NOT_DONE, F, _SEEN, _E.RESOLVED,  {"unknown": -1, "failed": 1}),
    Transition(S, _T.RELEASE,         S, _SEEN,  _E.RELEASED),
    Transition(F, _T.RELEASE,         F, _SEEN,  _E.RELEASED),
    Transition(U, _T.RELEASE,         U, _SEEN,  _E.RELEASED),
    Transition(S, _T.RELEASED,        R, _SEEN,  _E.CLAIMED,   _TRY,                                  True, True),
    Transition(F, _T.RELEASED,        R, _SEEN,  _E.CLAIMED,   _TRY,                                  True, True),
    Transition(U, _T.RELEASED,        R, _SEEN,  _E.CLAIMED,   _TRY,                                  True, True),
    Transition(S, _T.FORCE,           R, _SEEN,  _E.CLAIMED,   _TRY,                                  True, True),
    Transition(F, _T.FORCE,           R, _SEEN,  _E.CLAIMED,   _TRY,                                  True, True),
    Transition(U, _T.FORCE,           R, _SEEN,  _E.CLAIMED,   _TRY,                                  True, True),
)
# fmt: on


class _Rows(dict[tuple[Status | None, Trigger], Transition]):
    def __missing__(self, key: tuple[Status | None, Trigger]) -> Transition:
        raise IllegalTransition(f"a {key[0]} record cannot take: {key[1]}")


_ROWS = _Rows({(row.start, row.trigger): row for row in TABLE})
_FIRST = _ROWS[None, Trigger.CLAIM]

ANSWERED: Mapping[EventType, Mapping[str, int]] = {
    EventType.REPLAYED: {"attempts": 1, "replayed": 1},
    EventType.BLOCKED: {"attempts": 1, "refused": 1},
    EventType.HELD: {"attempts": 1, "held": 1},
    EventType.CONFLICT: {"attempts": 1, "conflicts": 1},
}
"""What an attempt that was answered without an execution adds to the counters."""

_ENDS = {S: Trigger.SUCCEED, F: Trigger.FAIL, U: Trigger.LOSE}
FORGETS_SPENT = frozenset({Trigger.RELEASED, Trigger.FORCE})


@value
class Change:
    """One transition, ready for a store: all of it is written in one atomic step, or none.

    was: the row as it was seen, None for a first claim; `guard` says which of its fields must still hold.
    row: the transition it is. at: when. detail: what the journal's line says besides.
    """

    record: Record
    was: Record | None
    row: Transition
    at: Instant
    counts: Mapping[str, int]
    detail: Mapping[str, object] | None = None

    @property
    def guard(self) -> Guard:
        """What must still hold of `was`."""
        return self.row.guard

    @property
    def event(self) -> Event:
        """The journal's line, made when it is asked for: not every store keeps it as one."""
        record = self.record
        told: dict[str, object] = {"epoch": record.epoch}
        if record.error:
            told["why"] = record.error
        if self.detail:
            told.update(self.detail)
        return Event(self.row.event, record.id, record.tool, record.wf, self.at.wall, record.caller, told)

    @property
    def opens(self) -> bool:
        """Whether a closed record is opened: then no other open record may have its content."""
        return self.record.status is R and self.was is not None and self.was.status in (S, F)


@value
class Claimant:
    """Who claims. token: unique per claim.

    nonce: fresh randomness to mint an upstream key from; "" where none of ours is sent.
    key: the caller's own key, passed through; it is kept instead of a minted one.
    """

    token: str
    nonce: str = ""
    key: str | None = None


def first_claim(draft: Record, by: Claimant, now: Instant, about: dict[str, Any] | None = None) -> Change:
    """The insert of an operation nobody has seen; `draft` carries its identity. about: in place of the draft's."""
    fields: dict[str, Any] = {"created": now} if about is None else {"created": now, "about": about}
    return _change(_FIRST, draft, None, now, fields, by)


def claim(
    was: Record, trigger: Trigger, by: Claimant, now: Instant, fresh_window: bool = False, draft: Record | None = None
) -> Change:
    """A further claim of a known record. Raises IllegalTransition when the table has no such row.

    draft: the claiming attempt's row. Its caller, lease, timeout and window hold from now on, not those of a policy
        that was; and a closed record opens with the bytes that are sent now.
    """
    row = _ROWS[was.status, trigger]
    if not row.claims:
        raise IllegalTransition(f"{trigger.name} does not claim")
    spent = 0 if fresh_window or trigger in FORGETS_SPENT else was.spent - (was.status is U)
    fields: dict[str, Any] = {"spent": max(0, spent), "resent": trigger is Trigger.RESEND, "error": None, "note": None}
    if draft is not None:
        fields |= {name: getattr(draft, name) for name in ("caller", "window", "lease", "timeout")}
        if was.status in (S, F):
            fields |= {name: getattr(draft, name) for name in ("content_id", "payload_id", "payload")}
    return _change(row, was, was, now, fields, by)


def finish(
    was: Record,
    status: Status,
    now: Instant,
    *,
    result: Result | None = None,
    error: str | None = None,
    about: Mapping[str, object] | None = None,
) -> Change:
    """The owner's outcome, in time or late.

    A resend settles by success only: a refusal proves nothing of the first send. Only a success keeps a result,
    so that nothing else can ever be replayed; and the truth ends what a person allowed while it was not known.
    """
    trigger = _ENDS[status]
    if was.resent:
        trigger = Trigger.SETTLE if status is S else Trigger.LOSE
    kept = result if status is S else None
    told = {**was.about, **about} if about else was.about
    row = _ROWS[was.status, trigger]
    return _change(row, was, was, now, {"result": kept, "released": False, "error": error, "about": told})


def head(was: Record, now: Instant, about: Mapping[str, object] | None = None) -> Change:
    """The head of an answer that streams, made durable before its caller gets it. The outcome is still open."""
    return _change(_ROWS[was.status, Trigger.HEAD], was, was, now, {"about": {**was.about, **(about or {})}})


def abandon(was: Record, now: Instant, why: str) -> Change:
    """Mark a gone owner's execution unknown. Its owner may still report the truth."""
    return _change(_ROWS[was.status, Trigger.ABANDON], was, was, now, {"error": why})


def gone(record: Record, alive: bool | None, now: Instant) -> str | None:
    """Why a running record's owner is believed gone, None while it is believed.

    A record with a `timeout` is not marked: it waits for its takeover, as Ledger-Once had it.
    """
    silent = now.since(record.touched)
    if record.timeout is not None:
        return None
    if alive is False:
        return "its owner died before the outcome was recorded"
    return f"its owner gave no sign of life for {silent:.0f} s" if silent > record.lease else None


def fresh(record: Record, now: Instant) -> bool:
    """Whether its last sign of life is so recent that nobody believes its owner gone, nor will in a moment."""
    return now.longest_since(record.touched) < record.lease / 2


def takes_late(record: Record, status: Status) -> bool:
    """Whether a record takes its last owner's late outcome; a resend is settled by success only.

    Its proof of success goes even over a person's word that nothing happened.
    """
    return (record.status, status) in ((U, S), (F, S)) or ((record.status, status) == (U, F) and not record.resent)


def resolve(
    was: Record,
    done: bool,
    now: Instant,
    note: str | None,
    result: Result | None = None,
    *,
    by: str | None = None,
    about: Mapping[str, object] | None = None,
) -> Change:
    """A person's or a verifier's word on an unknown. by: who says so, for the journal; about: known by now, too."""
    trigger = Trigger.RESOLVE_DONE if done else Trigger.RESOLVE_NOT_DONE
    told = {**was.about, **about} if about else was.about
    fields = {"note": note, "result": result if done else None, "released": False, "about": told}
    return _change(_ROWS[was.status, trigger], was, was, now, fields, detail={"done": done, "note": note, "by": by})


def release(was: Record, now: Instant, note: str | None = None, *, by: str | None = None) -> Change:
    """Allow the next attempt to execute. Refused while running: the row does not exist. by: who allows it."""
    fields = {"released": True, "note": note}
    return _change(_ROWS[was.status, Trigger.RELEASE], was, was, now, fields, detail={"note": note, "by": by})


def answered(record: Record, event: EventType, now: Instant, **detail: object) -> Event:
    """The journal's line for an attempt answered without an execution, or a warning; its counts are in `ANSWERED`."""
    return Event(event, record.id, record.tool, record.wf, now.wall, record.caller, detail)


def mint_key(record_id: str, generation: int, nonce: str) -> str:
    """The UUID-shaped key we send upstream: one per generation, never predictable, stored with the claim."""
    # Here, because it loads OpenSSL: who only reads a ledger mints nothing.
    import hashlib

    digest = hashlib.sha256(f"{record_id}\n{generation}\n{nonce}".encode()).digest()
    return str(uuid.UUID(bytes=digest[:16], version=4))


def _change(
    row: Transition,
    base: Record,
    was: Record | None,
    now: Instant,
    fields: dict[str, Any],
    by: Claimant | None = None,
    detail: Mapping[str, object] | None = None,
) -> Change:
    """base: what the record is copied from, with these fields, and moved to where the row of the table leads."""
    fields |= {"status": row.end, "touched": base.touched if row.trigger is Trigger.RELEASE else now}
    if by is not None:
        fields |= {"owner": by.token, "epoch": base.epoch + 1, "released": False, "result": None}
        if row.new_generation:
            generation = base.generation + 1
            # Store only a key that is really sent: a resend under one the provider never saw is a second effect.
            sent = by.key or (mint_key(base.id, generation, by.nonce) if by.nonce else None)
            fields |= {"generation": generation, "began": now, "upstream_key": sent}
    if row.spends:
        fields["spent"] = max(0, base.spent + row.spends)
    counts = row.counts if was is None or not was.resent else _counts(row, was)
    return Change(base.having(fields), was, row, now, counts, detail)


def _counts(row: Transition, was: Record) -> Mapping[str, int]:
    """A resend that is lost again answers its own attempt as held: the operation has one unknown, not two."""
    if was.status is R and row.counts.get("unknown", 0) > 0:
        return {**row.counts, "unknown": 0, "held": 1}
    return row.counts
