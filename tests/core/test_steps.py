"""One call as a dialogue: what the machine asks for, what the world answers. No I/O anywhere."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Self

import pytest

from ledger import lifecycle
from ledger.lifecycle import Trigger
from ledger.policy import OnUnknown
from ledger.records import EventType, Record, Status
from ledger.steps import (
    Answer,
    Attempt,
    Claim,
    Execute,
    Finish,
    Look,
    Outcome,
    Overtaken,
    Reply,
    Seen,
    Step,
    Swap,
    Verdict,
    Verify,
    Wait,
    Written,
    begin,
)
from tests.core.test_lifecycle import a, applied
from tests.core.world import again, at, attempt, draft, failed, first, lost, who

SUCCESS = Outcome(Status.SUCCESS, value="charged")
FAILED = Outcome(Status.FAILED, error="declined")
UNKNOWN = Outcome(Status.UNKNOWN, error="timed out")


class Call:
    """A playbook: `asks` what the machine must want next, `hears` what the driver hands back."""

    def __init__(self, attempt: Attempt) -> None:
        self.step: Step = begin(attempt, attempt.arrived)

    def asks(self, kind: type[Step], **facts: Any) -> Self:  # type: ignore[valid-type]
        assert type(self.step) is kind, f"asked for {self.step}"
        for name, expected in facts.items():
            assert getattr(self.step, name) == expected, name
        return self

    def hears(self, *told: object) -> Self:
        assert not isinstance(self.step, Reply)
        self.step = self.step.next(*told)  # type: ignore[arg-type]
        return self

    def meets(self, record: Record | None, alive: bool | None = None, seconds: float = 5) -> Self:
        """A duplicate: the claim is refused, and this is what is in the way."""
        self.asks(Claim).hears(False).asks(Look)
        return self.hears(Seen(record, alive) if record else None, at(seconds))

    def swaps(self, trigger: Trigger) -> Self:
        assert type(self.step) is Swap, f"asked for {self.step}"
        change = self.step.change
        assert change.was is not None
        rows = [r for r in lifecycle.TABLE if r.trigger is trigger and r.start is change.was.status]
        assert [(r.end, r.event) for r in rows] == [(change.record.status, change.event.event)]
        assert change.record.generation == change.was.generation + rows[0].new_generation
        return self

    def replies(self, answer: Answer, event: EventType | None = None) -> Reply:
        assert type(self.step) is Reply, f"asked for {self.step}"
        assert self.step.answer is answer
        assert (self.step.event and self.step.event.event) == event
        return self.step


class TestFirstAttempt:
    @pytest.mark.parametrize(
        ("outcome", "answer"),
        [(SUCCESS, Answer.EXECUTED), (FAILED, Answer.FAILED), (UNKNOWN, Answer.UNKNOWN)],
    )
    def test_claim_execute_finish_reply(self, outcome: Outcome, answer: Answer) -> None:
        call = Call(attempt(who("me"))).asks(Claim).hears(True).asks(Execute).hears(outcome, at(1)).asks(Finish)
        reply = call.hears(Written.YES).replies(answer)
        assert reply.outcome is outcome
        assert (reply.record.status, reply.record.owner) == (outcome.status, "me")

    def test_an_outcome_the_store_cannot_take_now_is_still_the_callers(self) -> None:
        call = Call(attempt()).hears(True).hears(SUCCESS, at(1)).asks(Finish).hears(Written.OWED)
        assert call.replies(Answer.EXECUTED).outcome is SUCCESS

    def test_a_hint_looks_before_it_claims(self) -> None:
        known = begin(attempt(), at(0), known=True)
        assert type(known) is Look
        assert type(known.next(None, at(1))) is Claim


class TestDuplicateOfASuccess:
    def test_it_is_replayed_or_blocked(self) -> None:
        Call(attempt(replay=True)).meets(a(Status.SUCCESS)).replies(Answer.REPLAYED, EventType.REPLAYED)
        Call(attempt()).meets(a(Status.SUCCESS)).replies(Answer.BLOCKED, EventType.BLOCKED)

    @pytest.mark.parametrize(("seconds", "over"), [(59, False), (61, False), (62, True)])
    def test_the_window_counts_from_the_outcome(self, seconds: float, over: bool) -> None:
        call = Call(attempt(window=60)).meets(a(Status.SUCCESS), seconds=seconds)
        call.swaps(Trigger.REPEAT) if over else call.replies(Answer.BLOCKED, EventType.BLOCKED)

    def test_turning_the_clock_does_not_end_the_window(self) -> None:
        step = Look(attempt(window=60)).next(Seen(a(Status.SUCCESS), None), at(5, jump=86_400))
        assert isinstance(step, Reply)
        assert step.answer is Answer.BLOCKED

    def test_max_allows_so_many_in_one_window(self) -> None:
        once = a(Status.SUCCESS)
        call = Call(attempt(max=2)).meets(once).swaps(Trigger.REPEAT).hears(True).asks(Execute)
        assert isinstance(call.step, Execute)
        call.hears(SUCCESS, at(6)).asks(Finish)
        assert isinstance(call.step, Finish)
        twice = applied(call.step.change)
        Call(attempt(max=2)).meets(twice).replies(Answer.BLOCKED, EventType.BLOCKED)

    def test_a_fresh_window_starts_a_fresh_count(self) -> None:
        call = Call(attempt(window=60)).meets(a(Status.SUCCESS), seconds=100).swaps(Trigger.REPEAT)
        assert isinstance(call.step, Swap)
        assert call.step.change.record.spent == 0

    def test_another_payload_under_the_same_key_is_a_conflict(self) -> None:
        kept = a(Status.SUCCESS).but(payload="one")
        Call(attempt(record=draft(payload="two"))).meets(kept).replies(Answer.CONFLICT, EventType.CONFLICT)
        Call(attempt(record=draft(payload="one"))).meets(kept).replies(Answer.BLOCKED, EventType.BLOCKED)
        Call(attempt(record=draft(payload=""))).meets(kept).replies(Answer.BLOCKED, EventType.BLOCKED)

    def test_a_key_stands_for_its_payload_only_where_it_may_have_happened(self) -> None:
        corrected = attempt(record=draft(payload="two"), window=60)
        for status, alive in ((Status.RUNNING, True), (Status.UNKNOWN, None)):
            call = Call(corrected).meets(a(status).but(payload="one"), alive=alive)
            call.replies(Answer.CONFLICT, EventType.CONFLICT)
        for record, trigger in (
            (a(Status.FAILED), Trigger.RECLAIM),
            (a(Status.SUCCESS).but(released=True), Trigger.RELEASED),
        ):
            call = Call(corrected).meets(record.but(payload="one")).swaps(trigger)
            assert isinstance(call.step, Swap)
            assert call.step.change.record.payload == "two"
        Call(corrected).meets(a(Status.SUCCESS).but(payload="one"), seconds=100).swaps(Trigger.REPEAT)

    def test_a_person_allowed_it(self) -> None:
        Call(attempt()).meets(a(Status.SUCCESS).but(released=True)).swaps(Trigger.RELEASED).hears(True).asks(Execute)

    def test_the_answers_event_names_who_asked_now(self) -> None:
        call = Call(attempt(record=draft(caller="B"))).meets(a(Status.SUCCESS).but(caller="A"))
        reply = call.replies(Answer.BLOCKED, EventType.BLOCKED)
        assert reply.event is not None
        assert (reply.event.caller, reply.record.caller) == ("B", "A")


class TestWhileTheOwnerLives:
    def test_a_duplicate_waits_for_what_is_left_and_looks_again(self) -> None:
        call = Call(attempt(wait=30, replay=True)).meets(a(Status.RUNNING), alive=True, seconds=5)
        call.asks(Wait, seconds=25.0).hears(False, at(20)).asks(Look)
        call.hears(Seen(a(Status.SUCCESS), None), at(20)).replies(Answer.REPLAYED, EventType.REPLAYED)

    def test_the_wait_is_over(self) -> None:
        call = Call(attempt(wait=10)).meets(a(Status.RUNNING), alive=True, seconds=10)
        reply = call.replies(Answer.IN_FLIGHT, EventType.BLOCKED)
        assert reply.event is not None
        assert reply.event.detail["why"] == "in flight"

    def test_no_patience_no_wait(self) -> None:
        Call(attempt(wait=0)).meets(a(Status.RUNNING), True, 0).replies(Answer.IN_FLIGHT, EventType.BLOCKED)

    def test_a_waiter_whose_caller_left_drops_out(self) -> None:
        call = Call(attempt()).meets(a(Status.RUNNING), alive=True).asks(Wait).hears(True, at(6))
        call.replies(Answer.GONE, EventType.BLOCKED)

    def test_when_it_fails_one_waiter_claims_and_the_others_wait_on(self) -> None:
        declined = applied(failed(a(Status.RUNNING)))
        winner, loser = (Call(attempt()).meets(a(Status.RUNNING), True).asks(Wait) for _ in range(2))
        for call in (winner, loser):
            call.hears(False, at(6)).asks(Look).hears(Seen(declined, None), at(6)).swaps(Trigger.RECLAIM)
        winner.hears(True).asks(Execute)
        reclaimed = applied(again(declined, Trigger.RECLAIM))
        loser.hears(False).asks(Look, beside=True).hears(None, at(7)).asks(Claim).hears(False)
        loser.asks(Look, beside=False).hears(Seen(reclaimed, True), at(7)).asks(Wait)

    def test_after_a_failure_what_a_person_allowed_counts_afresh(self) -> None:
        call = Call(attempt()).meets(a(Status.FAILED).but(released=True, spent=1)).swaps(Trigger.RELEASED)
        assert isinstance(call.step, Swap)
        assert (call.step.change.record.spent, call.step.change.record.released) == (0, False)

    def test_a_record_that_vanished_is_claimed_anew(self) -> None:
        Call(attempt()).meets(None).asks(Claim).hears(True).asks(Execute)


class TestOwnerGone:
    @pytest.mark.parametrize(("alive", "seconds"), [(False, 1), (None, 31), (True, 31)])
    def test_it_is_marked_unknown_and_held_never_run(self, alive: bool | None, seconds: float) -> None:
        call = Call(attempt()).meets(a(Status.RUNNING), alive, seconds).swaps(Trigger.ABANDON)
        assert isinstance(call.step, Swap)
        unknown = applied(call.step.change)
        call.hears(True).asks(Look, beside=False).hears(Seen(unknown, None), at(seconds))
        call.replies(Answer.HELD, EventType.HELD)

    def test_whoever_loses_the_marking_looks_again(self) -> None:
        call = Call(attempt()).meets(a(Status.RUNNING), False).swaps(Trigger.ABANDON)
        call.hears(False).asks(Look, beside=False).hears(Seen(a(Status.SUCCESS), None), at(6))
        call.replies(Answer.BLOCKED, EventType.BLOCKED)

    def test_with_a_timeout_it_is_taken_over_when_that_is_past(self) -> None:
        crashed = a(Status.RUNNING).but(timeout=300.0)
        Call(attempt()).meets(crashed, False, 300).replies(Answer.IN_FLIGHT, EventType.BLOCKED)
        call = Call(attempt()).meets(crashed, False, 301).swaps(Trigger.TAKE_OVER).hears(True).asks(Execute)
        assert isinstance(call.step, Execute)
        assert (call.step.record.epoch, call.step.record.generation) == (2, 1)

    def test_a_heartbeat_postpones_the_takeover(self) -> None:
        slow = a(Status.RUNNING).but(timeout=300.0, touched=at(290))
        Call(attempt(wait=1000)).meets(slow, True, 500).asks(Wait)


class TestUnknown:
    def test_it_is_held(self) -> None:
        Call(attempt(replay=True)).meets(a(Status.UNKNOWN)).replies(Answer.HELD, EventType.HELD)

    def test_it_counts_toward_max_and_no_max_runs_past_it(self) -> None:
        Call(attempt(max=5)).meets(a(Status.UNKNOWN)).replies(Answer.HELD, EventType.HELD)

    def test_the_window_does_not_end_it(self) -> None:
        Call(attempt(window=1)).meets(a(Status.UNKNOWN), seconds=1e6).replies(Answer.HELD, EventType.HELD)

    @pytest.mark.parametrize(
        ("retention", "seconds", "resent"),
        [(3600, 3299, True), (3600, 3301, False), (3600, 3601, False), (60, 53, True), (60, 55, False)],
    )
    def test_it_is_resent_while_it_arrives_before_the_key_is_forgotten(self, retention, seconds, resent) -> None:
        policy = {"on_unknown": OnUnknown.RESEND, "key_retention": float(retention)}
        call = Call(attempt(**policy)).meets(a(Status.UNKNOWN), seconds=seconds)
        call.swaps(Trigger.RESEND) if resent else call.replies(Answer.HELD, EventType.HELD)

    def test_it_is_never_resent_without_the_same_key(self) -> None:
        policy = {"on_unknown": OnUnknown.RESEND, "key_retention": 3600.0}
        Call(attempt(**policy)).meets(a(Status.UNKNOWN).but(upstream_key=None)).replies(Answer.HELD, EventType.HELD)
        other = attempt(lifecycle.Claimant("me", key="another key"), **policy)
        Call(other).meets(a(Status.UNKNOWN)).replies(Answer.HELD, EventType.HELD)

    @pytest.mark.parametrize("jump", [-7200.0, 7200.0])
    def test_turning_the_clock_gives_a_resend_no_more_time(self, jump: float) -> None:
        unknown = Seen(a(Status.UNKNOWN), None)
        step = Look(attempt(on_unknown=OnUnknown.RESEND, key_retention=3600.0)).next(unknown, at(10, jump))
        assert isinstance(step, Reply)
        assert step.answer is Answer.HELD

    def test_a_refused_resend_leaves_it_unknown(self) -> None:
        call = Call(attempt(on_unknown=OnUnknown.RESEND, key_retention=3600.0)).meets(a(Status.UNKNOWN))
        reply = (
            call.hears(True).asks(Execute).hears(FAILED, at(9)).asks(Finish).hears(Written.YES).replies(Answer.UNKNOWN)
        )
        assert reply.record.status is Status.UNKNOWN

    def test_the_seeds_way_runs_it_again(self) -> None:
        Call(attempt(on_unknown=OnUnknown.RETRY)).meets(a(Status.UNKNOWN)).swaps(Trigger.RERUN)

    def test_a_person_allowed_it(self) -> None:
        Call(attempt()).meets(a(Status.UNKNOWN).but(released=True)).swaps(Trigger.RELEASED)


class TestVerified:
    """The world is asked before anybody is held."""

    def _asked(self) -> Call:
        return Call(attempt(on_unknown=OnUnknown.VERIFY, replay=True)).meets(a(Status.UNKNOWN)).asks(Verify)

    def test_it_happened(self) -> None:
        call = self._asked().hears(Verdict(True, note="found"), at(6)).swaps(Trigger.RESOLVE_DONE)
        assert isinstance(call.step, Swap)
        settled = call.step.change.record
        assert settled.note == "found"
        assert call.step.change.event.detail["by"] == "verify"
        call.hears(True).asks(Look).hears(Seen(settled, None), at(6)).replies(Answer.REPLAYED, EventType.REPLAYED)

    def test_it_did_not_happen_so_it_runs_now(self) -> None:
        call = self._asked().hears(Verdict(False), at(6)).swaps(Trigger.RESOLVE_NOT_DONE)
        assert isinstance(call.step, Swap)
        settled = call.step.change.record
        call.hears(True).asks(Look).hears(Seen(settled, None), at(6)).swaps(Trigger.RECLAIM)

    def test_nobody_can_tell(self) -> None:
        self._asked().hears(Verdict(None), at(6)).replies(Answer.HELD, EventType.HELD)

    def test_why_nobody_can_tell_is_in_the_journal(self) -> None:
        told = self._asked().hears(Verdict(None, note="403"), at(6)).replies(Answer.HELD, EventType.HELD).event
        assert told is not None
        assert told.detail == {"why": "403"}

    def test_somebody_settled_it_meanwhile(self) -> None:
        self._asked().hears(Verdict(False), at(6)).hears(False).asks(Look)


class TestForced:
    @pytest.mark.parametrize("status", list(Status))
    def test_it_runs_whatever_the_record_says(self, status: Status) -> None:
        Call(replace(attempt(), forced=True)).meets(a(status), alive=True).swaps(Trigger.FORCE)


class TestUnlimited:
    @pytest.mark.parametrize(
        ("status", "trigger"),
        [(Status.SUCCESS, Trigger.REPEAT), (Status.FAILED, Trigger.RECLAIM), (Status.UNKNOWN, Trigger.RERUN)],
    )
    def test_a_read_runs_again(self, status: Status, trigger: Trigger) -> None:
        Call(attempt(unlimited=True)).meets(a(status)).swaps(trigger)

    def test_a_read_waits_for_nobody(self) -> None:
        # Of the length of a real id: of two characters, one hash in 256 gives the same.
        read = draft("a1" * 32)
        call = Call(attempt(record=read, unlimited=True)).meets(applied(first(read)), alive=True).asks(Claim)
        assert isinstance(call.step, Claim)
        assert call.step.change.record.id != read.id


class TestUnderAnotherName:
    """The same content is open, but a rule was renamed."""

    other = draft("b2", content_id="same", payload="two")

    def test_an_unknown_one_holds(self) -> None:
        open_ = applied(lost(applied(first(draft("a1", content_id="same", payload="one")))))
        Call(attempt(record=self.other)).meets(open_).replies(Answer.HELD, EventType.HELD)

    def test_a_running_one_is_waited_for(self) -> None:
        open_ = applied(first(draft("a1", content_id="same", payload="one")))
        call = Call(attempt(record=self.other)).meets(open_, True).asks(Wait).hears(False, at(6)).asks(Look)
        call.hears(None, at(6)).asks(Claim)

    def test_its_answer_is_ours_when_the_meaning_is_the_same(self) -> None:
        open_ = applied(lost(applied(first(draft("a1", payload_id="m"))))).but(released=True)
        Call(attempt(record=draft("b2", payload_id="m"))).meets(open_).swaps(Trigger.RELEASED)

    def test_our_own_closed_record_does_not_run_beside_it(self) -> None:
        ours = applied(failed(applied(first(draft("b2", content_id="same")))))
        open_ = applied(lost(applied(first(draft("a1", content_id="same")))))
        call = Call(attempt(record=draft("b2", content_id="same"))).meets(ours).swaps(Trigger.RECLAIM).hears(False)
        call.asks(Look, beside=True)
        assert isinstance(call.step, Look)
        assert (call.step.wanted.id, call.step.wanted.content_id) == ("", "same")
        call.hears(Seen(open_, None), at(6)).replies(Answer.HELD, EventType.HELD)


class TestOvertaken:
    def _paused(self, outcome: Outcome) -> tuple[Call, Record]:
        call = Call(attempt(who("paused"))).hears(True).asks(Execute)
        assert isinstance(call.step, Execute)
        record = applied(first(by=who("paused")))
        call.hears(outcome, at(60)).asks(Finish).hears(Written.NO).asks(Overtaken)
        return call, record

    @pytest.mark.parametrize(("outcome", "answer"), [(SUCCESS, Answer.EXECUTED), (FAILED, Answer.FAILED)])
    def test_marked_unknown_meanwhile_the_truth_is_told_late(self, outcome: Outcome, answer: Answer) -> None:
        call, record = self._paused(outcome)
        call.hears(Seen(applied(lifecycle.abandon(record, at(40), "silent")), None), at(60)).asks(Finish)
        assert isinstance(call.step, Finish)
        assert call.step.change.record.status is outcome.status
        assert call.hears(Written.YES).replies(answer).outcome is outcome

    def test_a_successor_is_never_overwritten(self) -> None:
        call, record = self._paused(SUCCESS)
        successor = applied(again(record, Trigger.TAKE_OVER))
        call.hears(Seen(successor, True), at(60)).replies(Answer.EXECUTED)

    def test_an_unknown_outcome_adds_nothing_to_an_unknown_record(self) -> None:
        call, record = self._paused(UNKNOWN)
        call.hears(Seen(applied(lifecycle.abandon(record, at(40), "silent")), None), at(60)).replies(Answer.UNKNOWN)

    def test_a_person_settled_it_meanwhile(self) -> None:
        call, record = self._paused(SUCCESS)
        resolved = applied(lifecycle.resolve(applied(lifecycle.abandon(record, at(40), "silent")), True, at(50), None))
        call.hears(Seen(resolved, None), at(60)).replies(Answer.EXECUTED)

    def test_a_person_removed_it_meanwhile(self) -> None:
        call, _ = self._paused(SUCCESS)
        reply = call.hears(None, at(60)).replies(Answer.EXECUTED)
        assert reply.record.id == "a1"

    def test_a_refused_resend_is_not_called_failed(self) -> None:
        call = Call(attempt(who("re"), on_unknown=OnUnknown.RESEND, key_retention=9e9)).meets(a(Status.UNKNOWN))
        assert isinstance(call.step, Swap)
        resent = applied(call.step.change)
        call.hears(True).hears(FAILED, at(60)).hears(Written.NO).asks(Overtaken)
        abandoned = applied(lifecycle.abandon(resent, at(50), "silent"))
        call.hears(Seen(abandoned, None), at(60)).replies(Answer.UNKNOWN)


def test_a_remark_goes_into_the_event_of_the_answer() -> None:
    told = Attempt(draft(), attempt(replay=True).policy, who(), at(0), remark=lambda record: f"merged into {record.id}")
    reply = Call(told).meets(a(Status.SUCCESS)).replies(Answer.REPLAYED, EventType.REPLAYED)
    assert reply.event is not None
    assert reply.event.detail["remark"] == f"merged into {reply.record.id}"
