"""The contract of every store: what `SyncStore` promises, whoever implements it."""

from __future__ import annotations

import pytest

from ledger import lifecycle
from ledger.lifecycle import Trigger
from ledger.ports import Held, Query, SyncStore
from ledger.records import EventType, Kind, Result, Status
from tests.core.world import again, at, balanced, claimed, done, draft, failed, first, lost, names, put_through, who


class TestInsert:
    def test_only_the_first_claim_of_an_id_counts(self, store: SyncStore) -> None:
        assert store.insert(first(by=who("one")))
        assert not store.insert(first(by=who("two")))
        found = store.get("a1")
        assert found is not None
        assert (found.owner, found.epoch, found.attempts) == ("one", 1, 1)
        assert names(store) == ["claimed"]

    @pytest.mark.parametrize("identity", ["content_id", "payload_id"])
    def test_the_same_content_under_another_id_is_refused_while_open(self, our_store: SyncStore, identity: str) -> None:
        running = claimed(our_store, draft("a1", **{identity: "same"}))
        other = draft("b2", **{identity: "same"})
        assert not our_store.insert(first(other)), "running"
        put_through(our_store, lost(running))
        assert not our_store.insert(first(other)), "unknown"
        unknown = our_store.get("a1")
        assert unknown is not None
        put_through(our_store, lifecycle.resolve(unknown, done=False, now=at(2), note=None))
        assert our_store.insert(first(other)), "settled: no longer in the way"

    @pytest.mark.parametrize("identity", ["content_id", "payload_id"])
    def test_records_without_content_are_never_mixed_up(self, our_store: SyncStore, identity: str) -> None:
        claimed(our_store, draft("a1"))
        assert our_store.insert(first(draft("b2")))
        assert our_store.insert(first(draft("c3", **{identity: "x"})))
        assert our_store.insert(first(draft("d4", **{identity: "y"})))

    @pytest.mark.parametrize("identity", ["content_id", "payload_id"])
    def test_a_closed_record_is_not_claimed_again_beside_the_same_content(
        self, our_store: SyncStore, identity: str
    ) -> None:
        """A rule was renamed and renamed back: the old name's record is failed, the new one's is unknown."""
        old = put_through(our_store, failed(claimed(our_store, draft("a1", **{identity: "same"}))))
        new = claimed(our_store, draft("b2", **{identity: "same"}))
        assert not our_store.replace(again(old, Trigger.RECLAIM))
        put_through(our_store, done(new))
        assert our_store.replace(again(old, Trigger.RECLAIM))

    def test_everything_written_is_read_back(self, our_store: SyncStore) -> None:
        record = draft(
            "f00d",
            kind=Kind.HTTP,
            rule="r",
            wf="order-42 ✓",
            caller="agent-A",
            content_id="c",
            payload_id="p",
            payload="fp",
            version=3,
            lease=7.5,
            timeout=300.0,
            window=86400.0,
            about={"url": "https://x/ü", "n": [1, None]},
        )
        written = claimed(our_store, record, now=at(5))
        assert our_store.get("f00d") == written.but(attempts=1, created=our_store.get("f00d").created)  # type: ignore[union-attr]
        assert our_store.get("f00d").created.wall == at(5).wall  # type: ignore[union-attr]


class TestLook:
    def test_by_id_then_by_payload_then_by_bytes(self, our_store: SyncStore) -> None:
        claimed(our_store, draft("a1", content_id="bytes"))
        claimed(our_store, draft("b2", payload_id="meaning"))
        looked = [
            our_store.look(draft("a1", payload_id="meaning")),
            our_store.look(draft("c3", payload_id="meaning", content_id="bytes")),
            our_store.look(draft("c3", content_id="bytes")),
            our_store.look(draft("c3")),
        ]
        assert [r and r.id for r in looked] == ["a1", "b2", "a1", None]

    def test_a_closed_record_is_found_by_id_only(self, our_store: SyncStore) -> None:
        put_through(our_store, done(claimed(our_store, draft("a1", content_id="bytes", payload_id="m"))))
        assert our_store.look(draft("b2", content_id="bytes", payload_id="m")) is None
        assert our_store.look(draft("a1")) is not None

    def test_what_was_read_is_a_copy(self, store: SyncStore) -> None:
        claimed(store)
        store.look(draft()).wf = "scribbled"  # type: ignore[union-attr]
        assert store.get("a1").wf == "default"  # type: ignore[union-attr]


class TestReplace:
    def test_the_owner_finishes_once(self, store: SyncStore) -> None:
        running = claimed(store)
        assert store.replace(done(running))
        assert not store.replace(failed(running))
        found = store.get("a1")
        assert found is not None
        assert (found.status, found.runs, found.failed) == (Status.SUCCESS, 1, 0)
        assert names(store) == ["claimed", "succeeded"]

    def test_an_owner_taken_over_cannot_finish(self, store: SyncStore) -> None:
        paused = claimed(store)
        successor = put_through(store, again(paused, Trigger.TAKE_OVER))
        assert not store.replace(done(paused, b"paused"))
        assert store.replace(done(successor, b"successor", now=at(3)))
        assert store.get("a1").result.body == b"successor"  # type: ignore[union-attr]

    def test_another_owner_of_the_same_epoch_cannot_finish(self, store: SyncStore) -> None:
        running = claimed(store)
        assert not store.replace(done(running.but(owner="somebody else")))
        assert not store.replace(done(running.but(epoch=2)))

    def test_an_owner_finishes_although_its_heartbeat_moved_the_record(self, store: SyncStore) -> None:
        running = claimed(store)
        store.renew([Held("a1", running.owner, 1)], at(9))
        assert store.replace(done(running))

    def test_who_swaps_from_what_it_saw_loses_to_a_heartbeat(self, store: SyncStore) -> None:
        running = claimed(store)
        store.renew([Held("a1", running.owner, 1)], at(9))
        assert not store.replace(lifecycle.abandon(running, at(40), "silent"))
        assert store.replace(lifecycle.abandon(store.get("a1"), at(50), "silent"))  # type: ignore[arg-type]

    def test_who_swaps_from_what_it_saw_loses_to_a_release(self, store: SyncStore) -> None:
        unknown = put_through(store, lost(claimed(store)))
        put_through(store, lifecycle.release(unknown, at(2)))
        assert not store.replace(lifecycle.resolve(unknown, done=False, now=at(3), note="meanwhile"))

    def test_one_of_many_reclaims(self, store: SyncStore) -> None:
        was = put_through(store, failed(claimed(store)))
        assert [store.replace(again(was, Trigger.RECLAIM)) for _ in range(5)] == [True, False, False, False, False]
        assert store.get("a1").attempts == 2  # type: ignore[union-attr]

    def test_a_refused_change_leaves_no_trace(self, store: SyncStore) -> None:
        running = claimed(store)
        before = store.get("a1"), names(store)
        assert not store.replace(done(running.but(owner="somebody else")))
        assert not store.replace(done(running.but(id="b2")))
        assert (store.get("a1"), names(store)) == before

    def test_counters_are_added_to_and_never_overwritten(self, store: SyncStore) -> None:
        running = claimed(store)
        for event in (EventType.REPLAYED, EventType.BLOCKED, EventType.HELD, EventType.CONFLICT):
            store.append(lifecycle.answered(running, event, at(1)))
        store.flush()
        put_through(store, done(running))
        found = store.get("a1")
        assert found is not None
        assert (found.attempts, found.runs, found.replayed, found.refused, found.held, found.conflicts) == (
            5,
            1,
            1,
            1,
            1,
            1,
        )
        assert balanced(found)


class TestResults:
    def test_a_result_belongs_to_its_epoch(self, store: SyncStore) -> None:
        success = put_through(store, done(claimed(store), b"first"))
        assert store.get("a1").result == Result({"n": 1}, b"first")  # type: ignore[union-attr]
        second = put_through(store, again(success, Trigger.REPEAT))
        assert store.get("a1").result is None  # type: ignore[union-attr]
        without = lifecycle.finish(second, Status.SUCCESS, at(3))
        put_through(store, without)
        assert store.get("a1").result is None, "the first result answers nothing any more"  # type: ignore[union-attr]

    def test_a_release_keeps_the_result(self, store: SyncStore) -> None:
        success = put_through(store, done(claimed(store), b"kept"))
        put_through(store, lifecycle.release(success.but(result=None), at(2)))
        assert store.get("a1").result.body == b"kept"  # type: ignore[union-attr]

    def test_an_empty_body_is_a_body_and_none_is_not(self, store: SyncStore) -> None:
        put_through(store, done(claimed(store, draft("a1")), b""))
        running = claimed(store, draft("b2"))
        put_through(store, lifecycle.finish(running, Status.SUCCESS, at(1), result=Result({"status": 200}, None)))
        assert store.get("a1").result.body == b""  # type: ignore[union-attr]
        assert store.get("b2").result == Result({"status": 200}, None)  # type: ignore[union-attr]

    def test_lists_carry_no_results(self, store: SyncStore) -> None:
        put_through(store, done(claimed(store)))
        assert [r.result for r in store.page(Query())] == [None]


class TestHeartbeat:
    def test_it_moves_only_the_claims_it_names(self, store: SyncStore) -> None:
        running = claimed(store, draft("a1"))
        claimed(store, draft("b2"))
        store.renew([Held("a1", running.owner, 1), Held("b2", "an old owner", 1), Held("c3", "x", 1)], at(9))
        assert {r.id: r.touched for r in store.running()} == {"a1": at(9), "b2": at(0)}

    def test_it_revives_nothing(self, store: SyncStore) -> None:
        unknown = put_through(store, lost(claimed(store)))
        store.renew([Held("a1", unknown.owner, 1)], at(9))
        assert store.get("a1").touched == at(1)  # type: ignore[union-attr]

    def test_running_lists_what_runs(self, store: SyncStore) -> None:
        claimed(store, draft("a1"))
        put_through(store, done(claimed(store, draft("b2"))))
        put_through(store, lost(claimed(store, draft("c3"))))
        assert [r.id for r in store.running()] == ["a1"]


class TestRemove:
    @pytest.fixture
    def _one_of_each(self, store: SyncStore) -> None:
        claimed(store, draft("a1"))
        put_through(store, done(claimed(store, draft("b2"))))
        put_through(store, lost(claimed(store, draft("c3"))))
        put_through(store, failed(claimed(store, draft("d4"))))

    @pytest.mark.usefixtures("_one_of_each")
    def test_what_may_have_an_open_outcome_stays(self, store: SyncStore) -> None:
        assert store.remove(["a1", "b2", "c3", "d4", "e5"], at(2)) == 2
        assert [r.id for r in store.page(Query())] == ["c3", "a1"]
        assert names(store)[-2:] == ["cleared", "cleared"]

    @pytest.mark.usefixtures("_one_of_each")
    def test_unless_it_is_named(self, store: SyncStore) -> None:
        assert store.remove(["a1", "c3"], at(2), {Status.UNKNOWN}) == 1
        assert store.remove(["a1"], at(2), set(Status)) == 1
        assert [r.id for r in store.page(Query())] == ["d4", "b2"]

    def test_many_at_once(self, store: SyncStore) -> None:
        ids = [f"{n:04x}" for n in range(2_500)]
        for id in ids:
            store.put(draft(id, status=Status.SUCCESS, attempts=1, runs=1))
        assert store.remove(ids, at(2)) == len(ids)
        assert store.stats(Query())["attempts"] == 0

    def test_a_removed_operation_is_new_and_answers_from_nothing_old(self, store: SyncStore) -> None:
        put_through(store, done(claimed(store), b"old"))
        store.delete("a1")
        again_ = claimed(store, now=at(5))
        assert store.get("a1").result is None  # type: ignore[union-attr]
        put_through(store, lifecycle.finish(again_, Status.SUCCESS, at(6)))
        assert store.get("a1").result is None  # type: ignore[union-attr]


class TestSixMethods:
    """As Ledger-Once's own stores had them."""

    def test_claim_get_put_delete(self, store: SyncStore) -> None:
        assert store.claim(draft("a1"))
        assert not store.claim(draft("a1"))
        found = store.get("a1")
        assert found is not None
        store.put(found.but(status=Status.SUCCESS, runs=1, result=Result({}, b"x")))
        assert store.get("a1").result == Result({}, b"x")  # type: ignore[union-attr]
        store.put(store.get("a1").but(result=None))  # type: ignore[union-attr]
        assert store.get("a1").result is None  # type: ignore[union-attr]
        store.delete("a1")
        store.delete("a1")
        assert store.get("a1") is None

    def test_all_and_clear_by_workflow(self, store: SyncStore) -> None:
        for id, wf in (("a1", "one"), ("b2", "two"), ("c3", "two")):
            put_through(store, done(claimed(store, draft(id, wf=wf))))
        assert {r.id for r in store.all("two")} == {"b2", "c3"}
        store.clear("two")
        assert [r.id for r in store.all()] == ["a1"]
        store.clear()
        assert store.all() == []

    def test_putting_a_record_keeps_its_place(self, store: SyncStore) -> None:
        for id in ("a1", "b2"):
            claimed(store, draft(id))
        store.put(store.get("a1").but(note="edited"))  # type: ignore[union-attr]
        assert [r.id for r in store.all()] == ["b2", "a1"]
