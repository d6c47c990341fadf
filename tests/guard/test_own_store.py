"""`Guard(store=...)` with a user's own six methods, as Ledger-Once promised: never twice, takeover included."""

from __future__ import annotations

import threading

import pytest

from ledger import Guard, OutcomeUnknown, Record, Status, Store, StoreUnavailable
from ledger.ownstores import read, shown
from ledger.records import Instant
from tests.core.bare import AwaitedDictStore, DictStore


@pytest.fixture(params=["plain", "awaited"])
def own(request: pytest.FixtureRequest) -> DictStore | AwaitedDictStore:
    return DictStore() if request.param == "plain" else AwaitedDictStore()


def rows(own: DictStore | AwaitedDictStore) -> DictStore:
    return own if isinstance(own, DictStore) else own.plain


def silent_for(own: DictStore | AwaitedDictStore, seconds: float) -> None:
    """As if the last claim's process had died so long ago."""
    for record in rows(own).all():
        row = read(record)
        earlier = Instant(row.touched.wall - seconds, row.touched.mono - seconds, row.touched.boot)
        rows(own).put(shown(row.but(touched=earlier, owner="another:machine:1:2:3")))


class TestOwnStore:
    def test_a_call_runs_once_and_its_duplicates_are_counted(self, own: DictStore | AwaitedDictStore) -> None:
        charged: list[int] = []
        guard = Guard(store=own)

        def charge(amount: int) -> int:
            charged.append(amount)
            return amount

        assert [guard(charge, amount=49) for _ in range(3)] == [49, None, None]
        assert charged == [49]
        told = guard.stats()
        assert (told["executed"], told["blocked"], told["attempts"]) == (1, 2, 3)
        guard.close()

    async def test_so_does_an_async_one(self, own: DictStore | AwaitedDictStore) -> None:
        guard = Guard(store=own)

        async def post(url: str) -> str:
            return f"posted {url}"

        guard.policy(post, replay=True)
        assert [await guard(post, url="x") for _ in range(2)] == ["posted x"] * 2
        assert guard.stats()["executed"] == 1
        guard.close()

    def test_its_owner_sees_records_as_they_were_put_there(self, own: DictStore | AwaitedDictStore) -> None:
        guard = Guard(store=own).quiet()
        guard.as_caller("A")(len, "abc")
        guard(len, "abc")
        [record] = guard._engine.store.all()
        assert isinstance(record, Record)
        assert (record.result, record.attempts, record.blocked, record.since) == (3, 2, 1, None)
        assert record == guard._engine.store.get(record.id)
        record.status, record.error = Status.FAILED, "told by a test"
        guard._engine.store.put(record)
        assert guard(len, "abc") == 3

    def test_a_failed_call_may_run_again(self, own: DictStore | AwaitedDictStore) -> None:
        guard, outcomes = Guard(store=own), [ValueError("declined"), None]

        def charge() -> str:
            if error := outcomes.pop(0):
                raise error
            return "charged"

        with pytest.raises(ValueError, match="declined"):
            guard(charge)
        assert guard(charge) == "charged"
        assert guard(charge) is None
        guard.close()

    def test_one_of_many_takes_over_after_a_crash(self, own: DictStore | AwaitedDictStore) -> None:
        ran: list[str] = []

        def charge(by: str) -> None:
            ran.append(by)
            if by == "crashed":
                raise SystemExit

        crashed = Guard(store=own)
        with pytest.raises(SystemExit):
            crashed(charge, "crashed", key="A-7")
        crashed.close()
        # Its process died in the middle: what was recorded is the claim alone.
        [name] = [id for id in rows(own).rows if id.endswith("~2")]
        rows(own).delete(name)
        [claim] = rows(own).all()
        rows(own).put(shown(read(claim).but(status=Status.RUNNING, unknown=0, spent=0)))
        silent_for(own, 301)
        ready = threading.Barrier(8)

        def contend() -> None:
            guard = Guard(store=own)
            ready.wait()
            guard(charge, "successor", key="A-7")
            guard.close()

        threads = [threading.Thread(target=contend) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert ran == ["crashed", "successor"]

    def test_an_open_outcome_is_held(self, own: DictStore | AwaitedDictStore) -> None:
        guard = Guard(store=own)

        def charge() -> None:
            raise TimeoutError

        with pytest.raises(TimeoutError):
            guard(charge)
        with pytest.raises(OutcomeUnknown):
            guard(charge)
        guard.close()


def test_a_store_may_subclass_the_protocol_and_what_it_left_out_runs_nothing() -> None:
    class Forgot(Store):
        def get(self, id: str) -> Record | None:
            return None

    with pytest.raises(StoreUnavailable, match=r"Forgot\.(claim|get)"):
        Guard(store=Forgot())(print, "never")


def test_what_is_no_store_is_refused_when_the_guard_is_made() -> None:
    with pytest.raises(TypeError, match="dict is no store: it lacks claim, put, delete, all"):
        Guard(store={})  # type: ignore[arg-type]
