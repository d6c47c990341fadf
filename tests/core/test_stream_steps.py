"""A call whose answer streams, as a dialogue: its head, its end, and who comes in between."""

from __future__ import annotations

from ledger import lifecycle
from ledger.records import Status
from ledger.steps import Announce, Answer, Claim, Execute, Finish, Follow, Opened, Reply, Wait, Written
from tests.core.test_lifecycle import a
from tests.core.test_steps import SUCCESS, UNKNOWN, Call
from tests.core.world import at, attempt


class TestAnAnswerThatStreams:
    """Its head is durable before the caller has it; what came of it is recorded when it ends."""

    def test_the_head_is_announced_and_the_end_decides(self) -> None:
        call = Call(attempt()).asks(Claim).hears(True).asks(Execute)
        call.hears(Opened("head", {"response_status": 200}), at(1)).asks(Announce)
        call.hears(True).asks(Follow)
        assert call.step.record.about["response_status"] == 200  # type: ignore[union-attr]
        call.hears(SUCCESS, at(2)).asks(Finish).hears(Written.YES).asks(Reply, answer=Answer.EXECUTED)

    def test_a_body_that_breaks_is_unknown_whatever_its_head_said(self) -> None:
        call = Call(attempt()).asks(Claim).hears(True).hears(Opened("head"), at(1)).hears(True)
        call.hears(UNKNOWN, at(2)).asks(Finish).hears(Written.YES).asks(Reply, answer=Answer.UNKNOWN)

    def test_a_head_that_could_not_be_written_costs_the_caller_nothing(self) -> None:
        call = Call(attempt()).asks(Claim).hears(True).hears(Opened("head"), at(1)).asks(Announce)
        call.hears(False).asks(Follow).hears(SUCCESS, at(2)).asks(Finish)
        call.hears(Written.YES).asks(Reply, answer=Answer.EXECUTED)

    def test_a_duplicate_waits_for_the_end(self) -> None:
        opened = lifecycle.head(a(Status.RUNNING), at(1)).record
        Call(attempt()).meets(opened, alive=True).asks(Wait)
