"""One call in flight, as typed steps. Pure: a driver does each step's I/O and hands the outcome to `.next`.

This is the second of Ledger's two machines (the first, `lifecycle`, is what the ledger durably knows). A call
starts as `Claim` and ends as `Reply`; between them it may look at the record in its way, wait for it, swap it
and execute. Proxy and guard both go through these steps, there is no second path:

    Claim -> Execute -> Finish -> Reply                      the first attempt
    Claim -> Look -> Reply                                   a duplicate: replayed, blocked, held, conflict
    Claim -> Look -> Wait -> Look -> ...                     a duplicate while the owner lives
    Claim -> Look -> Swap -> Execute -> Finish -> Reply      failed before, window over, resend, takeover
    Claim -> Look -> Swap -> Look -> ...                     the owner is gone: marked unknown, looked at again
    Claim -> Execute -> Announce -> Follow -> Finish         an answer that streams: its head first, its outcome later
    Claim -> Look -> Verify -> Swap -> Look -> ...           unknown: the world was asked, and knew
    Finish -> Overtaken -> Finish | Reply                    marked unknown meanwhile: the true outcome, late

A driver handles every member of `Step`, or its `assert_never` fails the type check.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import overload

from ledger import lifecycle
from ledger.attempts import Answer, Attempt, Opened, Outcome, Seen, Verdict, Written
from ledger.lifecycle import Change, Trigger
from ledger.policy import OnUnknown
from ledger.records import Event, EventType, Instant, Record, Status
from ledger.values import value

__all__ = [
    "VERIFIER", "Announce", "Answer", "Attempt", "Claim", "Execute", "Finish", "Follow", "Look", "Opened", "Outcome",
    "Overtaken", "Reply", "Seen", "Step", "Swap", "Verdict", "Verify", "Wait", "Written", "begin",
]  # fmt: skip


@value
class Claim:
    """Insert the record if absent."""

    attempt: Attempt
    change: Change

    def next(self, claimed: bool) -> Execute | Look:
        """Whoever inserted it executes; anybody else looks at what is in the way."""
        return Execute(self.attempt, self.change.record) if claimed else Look(self.attempt)


@value
class Look:
    """Read the record in the way. beside: look past our own closed record, at an open one with the same content."""

    attempt: Attempt
    beside: bool = False

    @property
    def wanted(self) -> Record:
        """What to look for."""
        return self.attempt.draft.but(id="") if self.beside else self.attempt.draft

    def next(self, seen: Seen | None, now: Instant) -> Step:
        """Decide from the record; a record that vanished is claimed anew."""
        return begin(self.attempt, now) if seen is None else _decide(self.attempt, seen, now)


@value
class Wait:
    """Wait until the record changes, `seconds` pass, or the caller leaves."""

    attempt: Attempt
    record: Record
    seconds: float

    def next(self, gone: bool, now: Instant) -> Look | Reply:
        """Look again; a caller who left drops out."""
        if gone:
            return _reply(self.attempt, Answer.GONE, self.record, EventType.BLOCKED, now, why="caller left")
        return Look(self.attempt)


@value
class Swap:
    """Compare and swap the record; `change` names what must still hold."""

    attempt: Attempt
    change: Change

    def next(self, swapped: bool) -> Execute | Look:
        """The one who swapped it to running executes; a loser looks again, now also at what stands beside it."""
        if swapped and self.change.record.status is Status.RUNNING:
            return Execute(self.attempt, self.change.record)
        return Look(self.attempt, beside=self.change.opens and not swapped)


@value
class Verify:
    """Ask the world whether the unknown effect happened."""

    attempt: Attempt
    record: Record

    def next(self, verdict: Verdict, now: Instant) -> Swap | Reply:
        """Settle the record by it and look again; hold when the world cannot tell."""
        if verdict.happened is None:
            return _held(self.attempt, self.record, now, verdict.note)
        note = verdict.note or "verified"
        settled = lifecycle.resolve(self.record, verdict.happened, now, note, verdict.result, by=VERIFIER)
        return Swap(self.attempt, settled)


@value
class Execute:
    """Cause the effect, once."""

    attempt: Attempt
    record: Record

    @overload
    def next(self, came: Outcome, now: Instant) -> Finish: ...
    @overload
    def next(self, came: Outcome | Opened, now: Instant) -> Finish | Announce: ...
    def next(self, came: Outcome | Opened, now: Instant) -> Finish | Announce:
        """Record what came of it, or that it has begun to come."""
        if isinstance(came, Opened):
            return Announce(self.attempt, self.record, came, lifecycle.head(self.record, now, came.about))
        return Finish(self.attempt, self.record, came, _finishing(self.record, came, now))


@value
class Announce:
    """Make the head of a streamed answer durable; then the caller may have it."""

    attempt: Attempt
    record: Record
    opened: Opened
    change: Change

    def next(self, announced: bool) -> Follow:
        """Go on in any case: the effect may have happened, and its claim is durable."""
        return Follow(self.attempt, self.change.record if announced else self.record, self.opened)


@value
class Follow:
    """Take the rest of a streamed answer. The caller has its head by now, and may leave."""

    attempt: Attempt
    record: Record
    opened: Opened

    def next(self, outcome: Outcome, now: Instant) -> Finish:
        """Record what came of it."""
        return Finish(self.attempt, self.record, outcome, _finishing(self.record, outcome, now))


@value
class Finish:
    """Make the outcome durable."""

    attempt: Attempt
    record: Record
    outcome: Outcome
    change: Change

    def next(self, written: Written) -> Reply | Overtaken:
        """Answer with the live outcome, recorded or owed."""
        if written is Written.NO:
            return Overtaken(self.attempt, self.record, self.outcome)
        return Reply(_LIVE[self.change.record.status], self.change.record, self.outcome)


@value
class Overtaken:
    """Somebody moved the record while we executed: read it again."""

    attempt: Attempt
    record: Record
    outcome: Outcome

    def next(self, seen: Seen | None, now: Instant) -> Finish | Reply:
        """Our own record marked unknown takes the true outcome late; a successor's is never overwritten."""
        mine = self.record
        record = seen.record if seen else None
        ours = record is not None and (record.owner, record.epoch) == (mine.owner, mine.epoch)
        if record is not None and ours and lifecycle.takes_late(record, self.outcome.status):
            return Finish(self.attempt, record, self.outcome, _finishing(record, self.outcome, now))
        told = Status.UNKNOWN if mine.resent and self.outcome.status is Status.FAILED else self.outcome.status
        return Reply(_LIVE[told], record if record is not None and record.id == mine.id else mine, self.outcome)


@value
class Reply:
    """The end. event: the journal's line for an attempt that executed nothing."""

    answer: Answer
    record: Record
    outcome: Outcome | None = None
    event: Event | None = None


type Step = Claim | Look | Wait | Swap | Verify | Execute | Announce | Follow | Finish | Overtaken | Reply

ON_ITS_WAY = 300.0
"""Seconds that a resend may take until the provider looks its key up: it connects, and may wait and upload first.

Of a key that is kept for less than ten times as long, a tenth of that time.
"""

VERIFIER = "verify"
"""Who settled it, in the journal: not a person."""

_LIVE = {
    Status.SUCCESS: Answer.EXECUTED,
    Status.FAILED: Answer.FAILED,
    Status.UNKNOWN: Answer.UNKNOWN,
}


def begin(attempt: Attempt, now: Instant, known: bool = False) -> Claim | Look:
    """The first step of every call. known: a hint, never trusted, that a record is there: look before claiming."""
    if known:
        return Look(attempt)
    about = None if attempt.about is None else attempt.about()
    return Claim(attempt, lifecycle.first_claim(attempt.draft, attempt.by, now, about))


def _finishing(record: Record, outcome: Outcome, now: Instant) -> Change:
    return lifecycle.finish(
        record, outcome.status, now, result=outcome.result, error=outcome.error, about=outcome.about
    )


def _decide(attempt: Attempt, seen: Seen, now: Instant) -> Step:
    record = seen.record
    if not record.same_operation(attempt.draft):
        return _other_rules(attempt, seen, now)
    if attempt.forced:
        return _swap(attempt, record, Trigger.FORCE, now)
    if _conflicts(attempt, record, now):
        return _reply(attempt, Answer.CONFLICT, record, EventType.CONFLICT, now)
    match record.status:
        case Status.RUNNING:
            return _running(attempt, seen, now)
        case Status.FAILED:
            return _swap(attempt, record, Trigger.RELEASED if record.released else Trigger.RECLAIM, now)
        case Status.SUCCESS:
            return _success(attempt, record, now)
        case Status.UNKNOWN:
            return _unknown(attempt, record, now)


def _conflicts(attempt: Attempt, record: Record, now: Instant) -> bool:
    """Whether the key stands for another payload: one that is under way, may have happened, or did in this window.

    Where nothing happened, the correction of a refused request is an attempt like any other; a provider that holds
    the key against it says so itself.
    """
    if not attempt.draft.payload or not record.payload or attempt.draft.payload == record.payload:
        return False
    if record.status is Status.SUCCESS:
        return not record.released and not _window_over(attempt, record, now)
    return record.status is not Status.FAILED


def _window_over(attempt: Attempt, record: Record, now: Instant) -> bool:
    window = attempt.policy.window
    return window is not None and now.since(record.touched) > window


def _running(attempt: Attempt, seen: Seen, now: Instant) -> Step:
    record = seen.record
    if attempt.policy.unlimited and record.id == attempt.draft.id:
        # A read waits for nobody: it gets a row of its own beside the one that is running.
        own = hashlib.sha256(f"{record.id}\n{attempt.by.token}".encode()).hexdigest()
        beside = attempt.draft.but(id=own[: len(record.id)])
        return begin(replace(attempt, draft=beside), now)
    silent = now.since(record.touched)
    if record.timeout is not None and silent > record.timeout and seen.alive is not True:
        return _swap(attempt, record, Trigger.TAKE_OVER, now)
    why = lifecycle.gone(record, seen.alive, now)
    if why is not None:
        return Swap(attempt, lifecycle.abandon(record, now, why))
    left = attempt.policy.wait - now.since(attempt.arrived)
    if left <= 0 or (seen.alive is False and record.timeout is not None):
        return _reply(attempt, Answer.IN_FLIGHT, record, EventType.BLOCKED, now, why="in flight")
    return Wait(attempt, record, left)


def _success(attempt: Attempt, record: Record, now: Instant) -> Step:
    policy = attempt.policy
    over = _window_over(attempt, record, now)
    if record.released:
        return _swap(attempt, record, Trigger.RELEASED, now)
    if policy.unlimited or over or record.spent < policy.max:
        return _swap(attempt, record, Trigger.REPEAT, now, fresh_window=over)
    if policy.replay:
        # Whole: a result that cannot be read is no answer, and is not counted as one.
        return _reply(attempt, Answer.REPLAYED, record.whole(), EventType.REPLAYED, now)
    return _reply(attempt, Answer.BLOCKED, record, EventType.BLOCKED, now)


def _unknown(attempt: Attempt, record: Record, now: Instant) -> Step:
    policy = attempt.policy
    if record.released:
        return _swap(attempt, record, Trigger.RELEASED, now)
    if policy.on_unknown is OnUnknown.RESEND and _key_honoured(attempt, record, now):
        return _swap(attempt, record, Trigger.RESEND, now)
    if policy.on_unknown is OnUnknown.RETRY or policy.unlimited:
        return _swap(attempt, record, Trigger.RERUN, now)
    if policy.on_unknown is OnUnknown.VERIFY:
        return Verify(attempt, record)
    return _held(attempt, record, now)


def _held(attempt: Attempt, record: Record, now: Instant, why: str | None = None) -> Reply:
    return _reply(attempt, Answer.HELD, record, EventType.HELD, now, **({"why": why} if why else {}))


def _other_rules(attempt: Attempt, seen: Seen, now: Instant) -> Step:
    """The same bytes are open under another identity: never run beside them, never answer from them."""
    if seen.record.status is Status.RUNNING:
        return _running(attempt, seen, now)
    return _held(attempt, seen.record, now)


def _key_honoured(attempt: Attempt, record: Record, now: Instant) -> bool:
    """Whether this attempt would go out under the key of the first send, and arrive while the provider knows it."""
    retention = attempt.policy.key_retention
    if record.upstream_key is None or retention is None or attempt.by.key not in (None, record.upstream_key):
        return False
    return now.longest_since(record.began) < retention - min(ON_ITS_WAY, retention / 10)


def _swap(attempt: Attempt, record: Record, trigger: Trigger, now: Instant, fresh_window: bool = False) -> Swap:
    return Swap(attempt, lifecycle.claim(record, trigger, attempt.by, now, fresh_window, attempt.draft))


def _reply(attempt: Attempt, answer: Answer, record: Record, event: EventType, now: Instant, **detail: object) -> Reply:
    if attempt.remark is not None and (remark := attempt.remark(record)) is not None:
        detail["remark"] = remark
    asked = record if record.caller == attempt.draft.caller else record.but(caller=attempt.draft.caller)
    told = lifecycle.answered(asked, event, now, **detail)
    return Reply(answer, record, None, told)
