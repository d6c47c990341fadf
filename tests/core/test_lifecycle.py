"""The table: every row does what it says, and nothing else exists."""

from __future__ import annotations

import uuid

import pytest

from ledger import lifecycle
from ledger.errors import IllegalTransition
from ledger.lifecycle import TABLE, Change, Guard, Transition, Trigger
from ledger.records import NEVER, Instant, Record, Result, Status
from ledger.stores import rows
from tests.core.world import at, balanced, done, draft, failed, first, lost, who

R, S, F, U = Status.RUNNING, Status.SUCCESS, Status.FAILED, Status.UNKNOWN
CLAIMS = {row.trigger for row in TABLE if row.claims} - {Trigger.CLAIM}
FINISHES = {Trigger.SUCCEED: S, Trigger.FAIL: F, Trigger.LOSE: U, Trigger.SETTLE: S}


def applied(change: Change) -> Record:
    """What a store makes of a change: the record with its counts."""
    seen = change.was or draft()
    return change.record.but(**{n: getattr(seen, n) + d for n, d in change.counts.items()})


def a(status: Status, resent: bool = False) -> Record:
    """A record that honestly came to this status."""
    record = applied(first(by=who("one")))
    if resent:
        record = applied(lifecycle.claim(applied(lost(record)), Trigger.RESEND, who("two"), at(2)))
    if status is R:
        return record
    return applied(lifecycle.abandon(record, at(3), "gone") if status is U else {S: done, F: failed}[status](record))


def pull(was: Record, trigger: Trigger) -> Change:
    """Ask for a transition by its trigger."""
    if trigger in FINISHES:
        return lifecycle.finish(was, FINISHES[trigger], at(5))
    match trigger:
        case Trigger.HEAD:
            return lifecycle.head(was, at(5), {"response_status": 200})
        case Trigger.ABANDON:
            return lifecycle.abandon(was, at(5), "gone")
        case Trigger.RESOLVE_DONE | Trigger.RESOLVE_NOT_DONE:
            return lifecycle.resolve(was, trigger is Trigger.RESOLVE_DONE, at(5), "by hand")
        case Trigger.RELEASE:
            return lifecycle.release(was, at(5))
        case Trigger.CLAIM:
            return lifecycle.first_claim(was, who("new"), at(5))
        case _:
            return lifecycle.claim(was, trigger, who("new"), at(5))


@pytest.mark.parametrize("row", TABLE, ids=lambda r: f"{r.start}-{r.trigger.name}")
def test_every_row_does_what_it_says(row: Transition) -> None:
    was = draft() if row.start is None else a(row.start, resent=row.trigger is Trigger.SETTLE)
    change = pull(was, row.trigger)
    record = applied(change)
    assert (record.status, change.guard, change.event.event) == (row.end, row.guard, row.event)
    assert change.was is (None if row.start is None else was)
    assert record.generation == was.generation + row.new_generation
    assert record.epoch == was.epoch + row.claims
    assert (record.owner == "new") == row.claims
    assert (record.upstream_key != was.upstream_key) == row.new_generation
    assert (record.began == at(5)) == row.new_generation
    assert balanced(record)
    assert record.touched == (was.touched if row.trigger is Trigger.RELEASE else at(5))
    assert was == (draft() if row.start is None else a(row.start, resent=row.trigger is Trigger.SETTLE)), "untouched"


@pytest.mark.parametrize(
    "row", [r for r in TABLE if r.guard is Guard.OWNER], ids=lambda r: f"{r.start}-{r.trigger.name}"
)
def test_an_owner_changes_nothing_but_what_stores_write_for_it(row: Transition) -> None:
    change = pull(a(row.start or R, resent=row.trigger is Trigger.SETTLE).but(released=True, note="left"), row.trigger)
    assert change.was is not None
    pairs = zip(rows.STATE, rows.state_row(change.record), rows.state_row(change.was), strict=True)
    assert {name for name, now, before in pairs if now != before} <= set(rows.OWNED)


_ROWS = {(row.start, row.trigger) for row in TABLE}
ABSENT = [(s, t) for s in Status for t in Trigger if t is not Trigger.CLAIM and (s, t) not in _ROWS]


@pytest.mark.parametrize(("status", "trigger"), ABSENT)
def test_nothing_that_is_not_in_the_table_exists(status: Status, trigger: Trigger) -> None:
    with pytest.raises(IllegalTransition):
        pull(a(status, resent=trigger is Trigger.SETTLE and status in (R, U)), trigger)


@pytest.mark.parametrize("trigger", sorted(set(Trigger) - CLAIMS - {Trigger.CLAIM}))
def test_only_claims_claim(trigger: Trigger) -> None:
    for status in Status:
        with pytest.raises(IllegalTransition):
            lifecycle.claim(a(status), trigger, who(), at(5))


def test_every_way_into_running_is_guarded_by_an_insert_or_a_swap() -> None:
    into = [row for row in TABLE if row.end is R and row.trigger is not Trigger.HEAD]
    assert all(row.claims for row in into)
    assert {row.guard for row in into if row.start is not None} == {Guard.SEEN}
    assert [row.guard for row in into if row.start is None] == [Guard.ABSENT]


def test_the_head_of_a_stream_moves_nothing_but_what_is_told_of_it() -> None:
    was = a(R)
    change = lifecycle.head(was, at(5), {"response_status": 200})
    assert change.record == was.but(about={**was.about, "response_status": 200}, touched=at(5))
    assert (change.guard, dict(change.counts)) == (Guard.OWNER, {})


def test_nothing_leads_from_a_gone_owner_to_an_execution_but_takeover_and_force() -> None:
    assert {row.trigger for row in TABLE if row.start is R and row.claims} == {Trigger.TAKE_OVER, Trigger.FORCE}


class TestGenerations:
    """The generation names the intended effect, and the upstream key follows it."""

    def test_a_resend_repeats_the_key(self) -> None:
        record = a(U)
        resent = lifecycle.claim(record, Trigger.RESEND, who("two"), at(5)).record
        assert (resent.upstream_key, resent.generation, resent.began) == (record.upstream_key, 1, record.began)
        assert resent.epoch == 2

    def test_keys_are_uuid_shaped_and_never_the_same_for_two_generations_or_claimants(self) -> None:
        keys = {lifecycle.mint_key(id, n, nonce) for id in "ab" for n in (1, 2) for nonce in "xy"}
        assert len(keys) == 8
        assert all(str(uuid.UUID(key)) == key and uuid.UUID(key).version == 4 for key in keys)

    def test_a_removed_and_remade_record_has_a_fresh_key(self) -> None:
        assert first(by=who("one")).record.upstream_key != first(by=who("two")).record.upstream_key

    def test_no_key_is_stored_that_is_not_sent(self) -> None:
        assert first(by=lifecycle.Claimant("one")).record.upstream_key is None
        assert first(by=lifecycle.Claimant("one", key="mine")).record.upstream_key == "mine"

    def test_a_crash_loop_of_resends_keeps_the_first_time(self) -> None:
        record = a(U)
        for n in range(5):
            record = applied(lifecycle.claim(record, Trigger.RESEND, who(), at(10 + n)))
            record = applied(lifecycle.abandon(record, at(11 + n), "gone"))
        assert (record.generation, record.epoch, record.began) == (1, 6, at(0))
        assert (record.attempts, record.unknown, record.held, record.spent) == (6, 1, 5, 1)
        assert balanced(record)


class TestSpent:
    """Effects that may have happened count toward `max`."""

    def test_success_and_unknown_count_and_failed_does_not(self) -> None:
        assert [a(status).spent for status in (S, F, U, R)] == [1, 0, 1, 0]

    def test_a_second_effect_adds_up_and_a_fresh_window_forgets(self) -> None:
        success = a(S)
        second = applied(done(applied(lifecycle.claim(success, Trigger.REPEAT, who(), at(5)))))
        assert second.spent == 2
        fresh = lifecycle.claim(second, Trigger.REPEAT, who(), at(9), fresh_window=True)
        assert applied(done(applied(fresh))).spent == 1

    def test_an_unknown_counts_once_however_it_ends(self) -> None:
        unknown = a(U)
        assert applied(lifecycle.resolve(unknown, True, at(5), None)).spent == 1
        assert applied(lifecycle.resolve(unknown, False, at(5), None)).spent == 0
        assert applied(done(unknown)).spent == 1, "late"
        assert applied(failed(unknown)).spent == 0, "late"
        resent = applied(lifecycle.claim(unknown, Trigger.RESEND, who(), at(5)))
        assert applied(done(resent)).spent == 1

    @pytest.mark.parametrize("trigger", [Trigger.RELEASED, Trigger.FORCE])
    def test_what_a_person_allowed_starts_over(self, trigger: Trigger) -> None:
        assert applied(lifecycle.claim(a(S), trigger, who(), at(5))).spent == 0


class TestLateOutcome:
    def test_the_owner_of_an_unknown_may_still_say_what_happened(self) -> None:
        for status in (S, F):
            assert lifecycle.takes_late(a(U), status)
            assert applied(lifecycle.finish(a(U), status, at(9))).status is status
        assert not lifecycle.takes_late(a(U), U)

    def test_a_settled_record_takes_nothing_late(self) -> None:
        assert not any(lifecycle.takes_late(a(status), outcome) for status in (R, S) for outcome in (S, F, U))
        assert not any(lifecycle.takes_late(a(F), outcome) for outcome in (F, U))

    def test_proof_of_success_goes_over_a_persons_word_that_nothing_happened(self) -> None:
        assert lifecycle.takes_late(a(F), S)

    def test_the_truth_ends_what_was_allowed_while_it_was_not_known(self) -> None:
        allowed = applied(lifecycle.release(a(U), at(5)))
        assert allowed.released
        assert not applied(done(allowed)).released
        assert not applied(lifecycle.resolve(allowed, True, at(6), "it did happen")).released


class TestResend:
    def test_it_settles_by_success_only(self) -> None:
        running = applied(lifecycle.claim(a(U), Trigger.RESEND, who("two"), at(5)))
        assert running.resent
        settled = applied(done(running))
        assert (settled.status, settled.runs, settled.unknown, settled.replayed) == (S, 1, 0, 1)
        for outcome in (failed, lost):
            record = applied(outcome(running))
            assert (record.status, record.unknown, record.held) == (U, 1, 1)
            assert balanced(record)
        assert not lifecycle.takes_late(applied(lost(running)), F)

    def test_the_next_claim_is_no_resend(self) -> None:
        settled = applied(done(applied(lifecycle.claim(a(U), Trigger.RESEND, who(), at(5)))))
        assert not lifecycle.claim(settled, Trigger.REPEAT, who(), at(9)).record.resent


class TestWhatAClaimCarries:
    def test_todays_policy_holds_not_the_one_of_the_first_claim(self) -> None:
        was = a(F).but(timeout=300.0, lease=30.0, caller="A", content_id="old")
        today = draft(timeout=None, lease=5.0, caller="B", content_id="new")
        record = lifecycle.claim(was, Trigger.RECLAIM, who(), at(5), draft=today).record
        assert (record.timeout, record.lease, record.caller, record.content_id) == (None, 5.0, "B", "new")

    def test_an_open_record_keeps_the_bytes_that_may_have_been_sent(self) -> None:
        record = lifecycle.claim(a(U).but(content_id="sent"), Trigger.RESEND, who(), at(5), draft=draft()).record
        assert record.content_id == "sent"

    def test_only_a_success_keeps_a_result(self) -> None:
        result = Result({"status": 500}, b"oops")
        kept = [lifecycle.finish(a(R), status, at(5), result=result).record.result for status in (S, F, U)]
        assert kept == [result, None, None]
        assert lifecycle.resolve(a(U), False, at(5), None, result).record.result is None

    def test_opening_is_from_closed_to_running(self) -> None:
        rows = [row for row in TABLE if row.start is not None]
        changes = [(row, pull(a(row.start, row.trigger is Trigger.SETTLE), row.trigger)) for row in rows if row.start]
        opening = {(row.start, row.trigger) for row, change in changes if change.opens}
        assert opening == {(row.start, row.trigger) for row in TABLE if row.claims and row.start in (S, F)}


class TestClocks:
    """A jump of the wall clock expires nothing, and gives no right more time."""

    @pytest.mark.parametrize("jump", [-86_400.0, -3_600.0, 0.0, 3_600.0, 86_400.0])
    def test_within_one_boot_the_wall_clock_kills_nobody(self, jump: float) -> None:
        running = a(R)
        assert lifecycle.gone(running, None, at(29, jump)) is None
        if jump >= 0:
            assert lifecycle.gone(running, None, at(31, jump)) is not None

    def test_after_a_reboot_the_wall_clock_is_all_there_is(self) -> None:
        later = Instant(at(31).wall, 5.0, "another boot")
        assert later.since(at(0)) == pytest.approx(31)
        assert Instant(at(-9).wall, 5.0, "another boot").since(at(0)) == 0

    @pytest.mark.parametrize(("jump", "expected"), [(0, 10), (3600, 3610), (-3600, 3590)])
    def test_a_right_runs_out_by_the_faster_clock(self, jump: float, expected: float) -> None:
        assert at(10, jump).longest_since(at(0)) == pytest.approx(expected)

    def test_never_is_long_ago(self) -> None:
        assert at(0).since(NEVER) > 1e9

    @pytest.mark.parametrize(
        ("alive", "seconds", "believed"),
        [(True, 29, True), (None, 29, True), (False, 0, False), (True, 31, False), (None, 31, False)],
    )
    def test_who_is_gone(self, alive: bool | None, seconds: float, believed: bool) -> None:
        assert (lifecycle.gone(a(R), alive, at(seconds)) is None) == believed

    def test_a_record_with_a_timeout_waits_for_its_takeover(self) -> None:
        assert lifecycle.gone(a(R).but(timeout=300.0), False, at(1000)) is None
