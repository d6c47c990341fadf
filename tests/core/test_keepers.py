"""Heartbeats, owed outcomes and the sweep: what keeps a living owner's claim, and ends a dead one's."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Collection
from pathlib import Path

import pytest

from ledger import clock, lifecycle, owners
from ledger.calls import AsyncCall, Call
from ledger.drivers import arun, run
from ledger.errors import StoreUnavailable
from ledger.keeper import AsyncKeeper, Keeper
from ledger.lifecycle import Change, Claimant
from ledger.policy import Policy
from ledger.ports import Held
from ledger.records import Instant, Record, Status
from ledger.steps import Answer, Attempt, Finish, Outcome, Reply, Written, begin
from ledger.stores.memory import MemoryStore
from ledger.stores.sqlite_async import AsyncSqliteStore
from tests.core.world import draft, first


def ago(seconds: float) -> Instant:
    now = clock.now()
    return Instant(now.wall - seconds, now.mono - seconds, now.boot)


def mine(id: str = "a1", **fields: object) -> Attempt:
    return Attempt(draft(id, **fields), Policy(), Claimant(owners.new_token()), clock.now())


def dead_token() -> str:
    boot, namespace, pid, start, nonce = owners.new_token().split(":")
    return f"{boot}:{namespace}:{pid}:{int(start) - 1}:{nonce}"


class Moody(AsyncSqliteStore):
    """Its disk is full whenever the story says so."""

    full = False

    async def replace(self, change: Change) -> bool:
        if self.full:
            raise StoreUnavailable("disk full")
        return await super().replace(change)


class Full(MemoryStore):
    """As `Moody`, and full from the start."""

    full = True

    def replace(self, change: Change) -> bool:
        if self.full:
            raise StoreUnavailable("disk full")
        return super().replace(change)


@pytest.fixture
async def store(tmp_path: Path):
    opened = Moody(tmp_path / "ledger.db")
    yield opened
    await opened.close()


class TestOwners:
    def test_we_live(self) -> None:
        assert owners.alive(owners.new_token()) is True

    def test_who_has_our_pid_but_another_start_is_not_us(self) -> None:
        assert owners.alive(dead_token()) is False

    @pytest.mark.parametrize("part", [0, 1])
    def test_another_boot_or_container_cannot_be_seen(self, part: int) -> None:
        parts = owners.new_token().split(":")
        parts[part] = "elsewhere"
        assert owners.alive(":".join(parts)) is None

    @pytest.mark.parametrize("token", ["", "worker-1", "a:b:c", "::::"])
    def test_a_token_of_another_make_says_nothing(self, token: str) -> None:
        assert owners.alive(token) is None

    def test_a_zombie_is_dead(self) -> None:
        import os

        child = os.posix_spawn("/bin/true", ["true"], {})
        os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
        boot, namespace, *_ = owners.new_token().split(":")
        start = Path(f"/proc/{child}/stat").read_text().rsplit(")", 1)[1].split()[19]
        assert owners.alive(f"{boot}:{namespace}:{child}:{start}:x") is False
        os.waitpid(child, 0)

    def test_a_process_may_be_called_anything(self) -> None:
        """Its name is bytes, and `)` may be one of them."""
        code = "import ctypes, sys; ctypes.CDLL(None).prctl(15, b'\\xff) R \\xe9', 0, 0, 0); print(flush=True); input()"
        with subprocess.Popen([sys.executable, "-c", code], stdin=-1, stdout=-1) as child:
            assert child.stdout is not None
            child.stdout.readline()
            boot, namespace, *_ = owners.new_token().split(":")
            start = Path(f"/proc/{child.pid}/stat").read_bytes().rsplit(b")", 1)[1].split()[19].decode()
            assert owners.alive(f"{boot}:{namespace}:{child.pid}:{start}:x") is True
            child.kill()

    def test_tokens_are_unique(self) -> None:
        assert len({owners.new_token() for _ in range(1000)}) == 1000


class TestSweep:
    async def test_it_marks_the_dead_and_the_silent_and_nobody_else(self, store: Moody) -> None:
        living, dead = owners.new_token(), dead_token()
        for id, token, touched in [
            ("a1", living, 0), ("b2", dead, 0), ("c3", "elsewhere", 0), ("d4", "elsewhere", 40), ("e5", living, 40),
        ]:  # fmt: skip
            await store.insert(first(draft(id), Claimant(token), ago(touched)))
        await store.insert(first(draft("f6", timeout=300.0), Claimant(dead), ago(40)))
        assert await AsyncKeeper(store).sweep() == 3
        assert {r.id for r in await store.running()} == {"a1", "c3", "f6"}

    async def test_only_claims_that_are_worked_on_are_renewed(self, store: Moody) -> None:
        keeper = AsyncKeeper(store)
        records = []
        for id in ("a1", "b2"):
            change = first(draft(id), Claimant(owners.new_token()), ago(20))
            await store.insert(change)
            keeper.take(change.record)
            records.append(change.record)
        keeper.drop(records[1])
        await keeper.beat()
        silent = {r.id: clock.now().since(r.touched) for r in await store.running()}
        assert silent["a1"] < 5 < 19 < silent["b2"]


class TestGoingOn:
    """A keeper that stops lets living owners' claims lapse."""

    async def test_an_error_nobody_thought_of_ends_no_heartbeats(
        self, store: Moody, capsys: pytest.CaptureFixture[str]
    ) -> None:
        beaten = asyncio.Event()

        class Odd(AsyncKeeper):
            beats = 0

            async def beat(self) -> None:
                self.beats += 1
                if self.beats < 3:
                    raise ZeroDivisionError("a bug")
                beaten.set()

        keeper = asyncio.create_task(Odd(store, beat=0.001).run())
        await beaten.wait()
        keeper.cancel()
        assert "the keeper of the ledger goes on after ZeroDivisionError: a bug" in capsys.readouterr().err

    def test_nor_those_of_a_thread(self) -> None:
        beaten = threading.Event()

        class Odd(MemoryStore):
            beats = 0

            def renew(self, claims: Collection[Held], now: Instant) -> None:
                self.beats += 1
                if self.beats < 3:
                    raise ZeroDivisionError("a bug")
                beaten.set()

        keeper = Keeper(Odd(), beat=0.001)
        keeper.take(first(draft("a1")).record)
        assert beaten.wait(30)
        keeper.close()

    def test_a_threads_sweep_marks_the_dead_and_tidies(self) -> None:
        class Watched(MemoryStore):
            tidied = 0

            def tidy(self, now: Instant) -> None:
                self.tidied += 1

        store = Watched()
        store.insert(first(draft("a1"), Claimant(dead_token()), clock.now()))
        keeper = Keeper(store)
        assert (keeper.sweep(), store.tidied) == (1, 1)
        assert store.get("a1").status is Status.UNKNOWN  # type: ignore[union-attr]


class TestOwedOutcomes:
    async def _owed(self, store: Moody, keeper: AsyncKeeper, *ids: str) -> None:
        async def effect(record: Record) -> Outcome:
            store.full = True
            return Outcome(Status.SUCCESS, value="charged")

        for id in ids:
            store.full = False
            attempt = mine(id)
            reply = await arun(begin(attempt, clock.now()), AsyncCall(store, keeper, effect))
            assert (reply.answer, reply.outcome and reply.outcome.value) == (Answer.EXECUTED, "charged")

    async def test_they_are_written_when_the_store_can_take_them(self, store: Moody) -> None:
        keeper = AsyncKeeper(store)
        await self._owed(store, keeper, "a1", "b2")
        await keeper.beat()
        assert len(await store.running()) == 2
        store.full = False
        await keeper.beat()
        found = [await store.look(draft(id)) for id in ("a1", "b2")]
        assert [r and r.status for r in found] == [Status.SUCCESS] * 2

    async def test_one_that_cannot_be_written_keeps_no_other_from_it(self, store: Moody) -> None:
        keeper = AsyncKeeper(store)
        await self._owed(store, keeper, "a1", "b2", "c3")

        class Broken(AsyncCall):
            async def finish(self, step: Finish) -> Written:
                raise StoreUnavailable("still full")

        owed = keeper._owed[0]
        keeper._owed[0] = (owed[0], Broken(store, keeper))
        store.full = False
        await keeper.pay()
        assert [r.id for r in await store.running()] == ["a1"]
        assert [step.record.id for step, _ in keeper._owed] == ["a1"]

    async def test_one_at_which_paying_is_broken_off_costs_no_other_its_outcome(self, store: Moody) -> None:
        """As a sidecar that is told to end in the midst of it does, and then pays what is left."""
        keeper = AsyncKeeper(store)
        await self._owed(store, keeper, "a1", "b2", "c3")
        store.full = False
        reached = asyncio.Event()

        class Slow(AsyncCall):
            async def finish(self, step: Finish) -> Written:
                if not reached.is_set():
                    reached.set()
                    await asyncio.Event().wait()
                return await super().finish(step)

        keeper._owed[1] = (keeper._owed[1][0], Slow(store, keeper))
        paying = asyncio.create_task(keeper.pay())
        await reached.wait()
        paying.cancel()
        await asyncio.wait([paying])
        assert {r.id for r in await store.running()} == {"b2", "c3"}
        await keeper.pay()
        assert await store.running() == []

    async def test_marked_unknown_meanwhile_the_truth_is_still_told(self, store: Moody) -> None:
        keeper = AsyncKeeper(store)
        await self._owed(store, keeper, "a1")
        store.full = False
        [record] = await store.running()
        assert await store.replace(lifecycle.abandon(record, clock.now(), "silent"))
        await keeper.pay()
        found = await store.look(draft("a1"))
        assert found is not None
        assert (found.status, found.unknown, found.runs) == (Status.SUCCESS, 0, 1)

    def test_the_threaded_keeper_pays_at_its_end(self) -> None:
        store = Full()
        keeper = Keeper(store, beat=3600)
        attempt = mine()
        call = Call(store, keeper, lambda record: Outcome(Status.SUCCESS))
        assert isinstance(run(begin(attempt, clock.now()), call), Reply)
        store.full = False
        keeper.close()
        assert [r.status for r in store.all()] == [Status.SUCCESS]

    def test_nor_does_ctrl_c_nor_a_bug_that_always_comes_again(self) -> None:
        class Interrupted(Full):
            def replace(self, change: Change) -> bool:
                if change.record.id == "a1" and not self.full:
                    raise KeyboardInterrupt
                return super().replace(change)

        store = Interrupted()
        keeper = Keeper(store, beat=3600)
        for id in ("a1", "b2", "c3"):
            attempt = mine(id)
            run(begin(attempt, clock.now()), Call(store, keeper, lambda record: Outcome(Status.SUCCESS)))
        store.full = False
        for _ in range(2):
            with pytest.raises(KeyboardInterrupt):
                keeper.close()
        assert {r.id: r.status for r in store.all()} == {
            "a1": Status.RUNNING,
            "b2": Status.SUCCESS,
            "c3": Status.SUCCESS,
        }


async def test_a_waiter_is_woken_by_the_end_of_an_execution_here(store: Moody) -> None:
    keeper = AsyncKeeper(store)
    go = asyncio.Event()

    async def effect(record: Record) -> Outcome:
        await go.wait()
        return Outcome(Status.SUCCESS)

    async def call() -> Reply:
        attempt = Attempt(draft(), Policy(replay=True), Claimant(owners.new_token()), clock.now())
        return await arun(begin(attempt, clock.now()), AsyncCall(store, keeper, effect))

    calls = [asyncio.create_task(call()) for _ in range(20)]
    await asyncio.sleep(0.1)
    go.set()
    async with asyncio.timeout(0.9):
        answers = [(await c).answer for c in calls]
    assert sorted(answers) == [Answer.EXECUTED] + [Answer.REPLAYED] * 19
