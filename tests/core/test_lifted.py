"""A user's own six methods under Ledger: what holds beyond the contract, and what it says it cannot do."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator

import pytest

from ledger import Record, lifecycle
from ledger.errors import StoreUnavailable
from ledger.lifecycle import Trigger
from ledger.ownstores import ROW, lift
from ledger.ports import Held, Query, SyncStore
from ledger.records import Record as Row
from ledger.records import Result, Status
from ledger.stores.memory import MemoryStore
from tests.core.bare import AwaitedDictStore, DictStore
from tests.core.world import again, at, claimed, done, draft, failed, first, put_through


class Meddled(DictStore):
    """Somebody else does something between two of our calls."""

    between: Callable[[], object] = staticmethod(lambda: None)

    def claim(self, r: Record) -> bool:
        meddle, self.between = self.between, lambda: None
        meddle()
        return super().claim(r)


@pytest.fixture
def bare() -> Meddled:
    return Meddled()


@pytest.fixture
def store(bare: Meddled) -> Iterator[SyncStore]:
    opened = lift(bare)
    yield opened
    opened.close()


class TestNeverTwice:
    def test_one_of_many_takes_over_in_any_number_of_processes(self, bare: Meddled) -> None:
        crashed = claimed(lift(bare), draft(timeout=300.0))
        won: list[Row] = []
        ready = threading.Barrier(16)

        def contend() -> None:
            other_process = lift(bare)
            found = other_process.look(draft())
            assert found is not None
            change = again(found, Trigger.TAKE_OVER, now=at(400))
            ready.wait()
            if other_process.replace(change):
                won.append(change.record)

        threads = [threading.Thread(target=contend) for _ in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(won) == 1
        late = lift(bare)
        assert not late.replace(done(crashed)), "who was taken over cannot finish"
        assert late.replace(done(won[0], now=at(401)))

    def test_a_heartbeat_between_reading_and_claiming_keeps_the_claim(self, bare: Meddled, store: SyncStore) -> None:
        running = claimed(store, draft(timeout=300.0))
        owner = lift(bare)
        bare.between = lambda: owner.renew([Held("a1", running.owner, 1)], at(400))
        assert not store.replace(again(running, Trigger.TAKE_OVER, now=at(400)))
        assert owner.replace(done(running, now=at(401))), "its owner still has it"
        assert store.get("a1").status is Status.SUCCESS  # type: ignore[union-attr]

    def test_a_removal_and_a_new_start_between_reading_and_claiming_is_seen(
        self, bare: Meddled, store: SyncStore
    ) -> None:
        old = put_through(store, failed(claimed(store)))
        other = lift(bare)

        def anew() -> None:
            other.delete("a1")
            put_through(other, done(claimed(other, now=at(50)), b"new", now=at(51)))

        bare.between = anew
        assert not store.replace(again(old, Trigger.RECLAIM))
        assert store.get("a1").result == Result({"n": 1}, b"new")  # type: ignore[union-attr]

    def test_a_removal_between_reading_and_claiming_leaves_nothing(self, bare: Meddled, store: SyncStore) -> None:
        old = put_through(store, failed(claimed(store)))
        bare.between = lambda: lift(bare).delete("a1")
        assert not store.replace(again(old, Trigger.RECLAIM))
        assert bare.rows == {}

    def test_a_claim_that_says_neither_yes_nor_no_runs_nothing(self) -> None:
        class Mute(DictStore):
            def claim(self, r: Record) -> bool:
                super().claim(r)
                return None  # type: ignore[return-value]

        with pytest.raises(StoreUnavailable, match=r"Mute\.claim must say True or False, not None"):
            lift(Mute()).insert(first())

    @pytest.mark.parametrize("lost", [{}, {"amount": 49}])
    def test_a_store_that_forgets_is_refused_before_anything_runs(self, lost: dict[str, int]) -> None:
        class Forgetful(DictStore):
            def get(self, id: str) -> Record | None:
                found = super().get(id)
                if found is not None:
                    found.args = lost
                return found

        bare = Forgetful()
        with pytest.raises(StoreUnavailable, match=r"Forgetful does not give back .*owner.*to_json"):
            lift(bare).insert(first(draft(timeout=300.0), now=at(5)))
        assert bare.rows == {}

    def test_a_record_that_cannot_be_read_is_refused(self) -> None:
        class Garbled(DictStore):
            def get(self, id: str) -> Record | None:
                found = super().get(id)
                if found is not None:
                    found.args[ROW] = found.args[ROW][:40]
                return found

        with pytest.raises(StoreUnavailable, match=r"Garbled\.get gave a Record that cannot be read"):
            lift(Garbled()).insert(first())

    def test_an_id_too_long_for_a_column_is_found_out_before_anything_runs(self) -> None:
        class Narrow(DictStore):
            def claim(self, r: Record) -> bool:
                if len(r.id) > 32:
                    raise ValueError("value too long for type character varying(32)")
                return super().claim(r)

        bare = Narrow()
        with pytest.raises(StoreUnavailable, match=r"Narrow\.claim failed: ValueError: value too long"):
            lift(bare).insert(first(draft("a" * 32)))
        assert bare.rows == {}


class TestItsOwnersView:
    def test_the_users_own_get_shows_the_record_as_it_is(self, bare: Meddled, store: SyncStore) -> None:
        put_through(store, done(claimed(store)))
        assert bare.get("a1").status is Status.SUCCESS  # type: ignore[union-attr]

    def test_further_rows_are_hidden(self, bare: Meddled, store: SyncStore) -> None:
        put_through(store, again(put_through(store, failed(claimed(store))), Trigger.RECLAIM))
        assert sorted(bare.rows) == ["a1", "a1~2", "a1~3"]
        assert [(r.id, r.status, r.attempts) for r in store.all()] == [("a1", Status.RUNNING, 2)]
        store.remove(["a1"], at(9), set(Status))
        assert bare.rows == {}

    def test_another_process_reads_what_this_one_wrote(self, bare: Meddled, store: SyncStore) -> None:
        put_through(store, done(claimed(store), b"kept"))
        there = lift(bare)
        assert there.look(draft()).result == Result({"n": 1}, b"kept")  # type: ignore[union-attr]
        assert there.stats(Query())["executed"] == 1

    def test_what_it_was_given_is_not_ours_to_change(self) -> None:
        class Keeping(DictStore):
            """Keeps the very objects, as the simplest store would."""

            def __init__(self) -> None:
                super().__init__()
                self.kept: dict[str, Record] = {}

            def get(self, id: str) -> Record | None:
                return self.kept.get(id)

            def claim(self, r: Record) -> bool:
                return self.kept.setdefault(r.id, r) is r

            def put(self, r: Record) -> None:
                self.kept[r.id] = r

            def delete(self, id: str) -> None:
                self.kept.pop(id, None)

        store = lift(Keeping())
        running = claimed(store)
        store.look(draft()).wf = "scribbled"  # type: ignore[union-attr]
        assert store.replace(lifecycle.finish(running, Status.SUCCESS, at(1)))
        assert store.get("a1").wf == "default"  # type: ignore[union-attr]


class TestErrors:
    def test_what_is_no_store_says_what_it_lacks(self) -> None:
        class Half:
            def get(self, id: str) -> None: ...
            def claim(self, r: Record) -> bool: ...

        with pytest.raises(TypeError, match="Half is no store: it lacks put, delete, all, clear"):
            lift(Half())

    def test_our_own_stores_are_left_as_they_are(self) -> None:
        ours = MemoryStore()
        assert lift(ours) is ours

    def test_its_errors_name_it_and_fail_closed(self) -> None:
        class Down(DictStore):
            def claim(self, r: Record) -> bool:
                raise ConnectionError("no route to host")

        with pytest.raises(StoreUnavailable, match=r"Down\.claim failed: ConnectionError: no route to host"):
            lift(Down()).insert(first())

    async def test_awaited_methods_work_while_a_loop_is_running(self) -> None:
        store = lift(AwaitedDictStore())
        assert store.insert(first())
        await asyncio.sleep(0)
        assert store.get("a1") is not None
        store.close()


class TestWhatSixMethodsCannotDo:
    """Said on top of `ledger.stores.lifted`; here it is shown, so that nobody relies on it."""

    @pytest.mark.parametrize("identity", ["content_id", "payload_id"])
    def test_they_take_no_http_operations(self, store: SyncStore, identity: str) -> None:
        with pytest.raises(StoreUnavailable, match="Meddled has six methods, and HTTP operations need a store"):
            store.insert(first(draft(**{identity: "same"})))

    def test_they_keep_no_journal_beyond_the_process(self, bare: Meddled, store: SyncStore) -> None:
        put_through(store, done(claimed(store)))
        assert len(store.events()) == 2
        there = lift(bare)
        assert (there.events(), there.timeline("a1"), there.activity(Query(), 300)) == ([], [], {})
        assert there.stats(Query(since=at(0).wall))["attempts"] == 0
