"""Tellings when receivers, commands and sidecars fail: each person is told, once, and a slow one holds nobody up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from ledger import clock
from ledger.keeper import AsyncKeeper
from ledger.records import Instant, Record, Status
from ledger.steps import Outcome
from ledger.stores.sqlite_async import AsyncSqliteStore
from ledger_proxy import notifier, telling
from ledger_proxy.notifier import Notifier, Tell
from ledger_rules.notify import Notify
from tests.console.conftest import Agent

OPS, BOSS = Notify("ops", command=("ops",)), Notify("boss", command=("boss",))
PATIENCE = 30.0


class Time:
    """A clock that a story turns on."""

    def __init__(self) -> None:
        self._ahead = 0.0
        self._real = clock.now

    def now(self) -> Instant:
        real = self._real()
        return Instant(real.wall + self._ahead, real.mono + self._ahead, real.boot)

    def passes(self, seconds: float) -> None:
        self._ahead += seconds


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    monkeypatch.setattr(notifier, "LOOK_SECONDS", 0.01)
    one = Time()
    monkeypatch.setattr(clock, "now", one.now)
    return one


@pytest.fixture
def unknown(tmp_path: Path) -> Callable[[str], None]:
    """Leaves an unknown in the ledger."""

    def leave(id: str) -> None:
        agent = Agent(tmp_path / "ledger.db")
        agent.ask(id, Status.UNKNOWN)
        agent.close()

    return leave


@asynccontextmanager
async def telling_by(path: Path, tell: Tell, *whom: Notify) -> AsyncIterator[AsyncSqliteStore]:
    """What a sidecar on this ledger does for its operators."""
    store = AsyncSqliteStore(path)
    keeper = AsyncKeeper(store)
    task = asyncio.create_task(Notifier(store, keeper, lambda: whom, tell).run())
    try:
        yield store
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await store.close()


async def until(seen: Callable[[], object], meanwhile: Callable[[], object] = lambda: None) -> None:
    async with asyncio.timeout(PATIENCE):
        while not seen():
            meanwhile()
            await asyncio.sleep(0.02)


async def tellings(store: AsyncSqliteStore) -> Sequence[Record]:
    """All of them, once what came of each is recorded."""
    async with asyncio.timeout(PATIENCE):
        while True:
            found = [r for r in await store.page(notifier.Query()) if r.tool.startswith("notify/")]
            if all(r.status is not Status.RUNNING for r in found):
                return found
            await asyncio.sleep(0.02)


async def test_a_receiver_that_is_down_for_an_hour_is_told_when_it_is_back(
    tmp_path: Path, time: Time, unknown: Callable[[str], None]
) -> None:
    unknown("aa")
    tried: list[float] = []
    began = time.now().wall

    async def tell(_: Notify, __: Record) -> Outcome:
        tried.append(time.now().wall - began)
        return Outcome(Status.SUCCESS) if tried[-1] > 3600 else Outcome(Status.FAILED, error="connection refused")

    async with telling_by(tmp_path / "ledger.db", tell, OPS) as store:
        await until(lambda: tried and tried[-1] > 3600, lambda: time.passes(10))
        times = len(tried)
        assert 6 <= times <= 12, "neither given up nor hammered"
        for _ in range(50):
            time.passes(600)
            await asyncio.sleep(0.01)
        assert len(tried) == times, "told once"
        (told,) = await tellings(store)
        assert (told.status, told.runs, told.failed) == (Status.SUCCESS, 1, times - 1)


async def test_a_receiver_that_is_slow_holds_nobody_up(
    tmp_path: Path, time: Time, unknown: Callable[[str], None]
) -> None:
    unknown("aa")
    stuck, told = asyncio.Event(), list[str]()

    async def tell(notify: Notify, record: Record) -> Outcome:
        if notify is OPS:
            await stuck.wait()
        else:
            told.append(record.id)
        return Outcome(Status.SUCCESS)

    async with telling_by(tmp_path / "ledger.db", tell, OPS, BOSS):
        await until(lambda: told == ["aa"])
        await asyncio.to_thread(unknown, "bb")
        await until(lambda: told == ["aa", "bb"])
        stuck.set()


async def test_of_two_sidecars_one_tells_and_the_other_takes_over_what_was_not_told(
    tmp_path: Path, time: Time, unknown: Callable[[str], None]
) -> None:
    unknown("aa")
    path, first_may_end = tmp_path / "ledger.db", asyncio.Event()
    tried, told = list[str](), list[str]()

    async def in_vain(_: Notify, record: Record) -> Outcome:
        tried.append(record.id)
        await first_may_end.wait()
        return Outcome(Status.FAILED, error="connection refused")

    async def tell(notify: Notify, record: Record) -> Outcome:
        told.append(f"{notify.name} of {record.id}")
        return Outcome(Status.SUCCESS)

    async with telling_by(path, in_vain, OPS):
        await until(lambda: tried == ["aa"])
        async with telling_by(path, tell, OPS, BOSS) as second:
            # Of both it looked in one go: it saw that the other sidecar is at work for the first.
            await until(lambda: told)
            await asyncio.to_thread(unknown, "bb")
            await until(lambda: "boss of bb" in told)
            assert "ops of aa" not in told
            first_may_end.set()
            await until(lambda: "ops of aa" in told, lambda: time.passes(30))
            of_aa = [r for r in await tellings(second) if r.tool == "notify/ops" and r.about["args"]["record"] == "aa"]
            assert [(r.status, r.runs) for r in of_aa] == [(Status.SUCCESS, 1)]


async def test_a_command_that_hangs_is_ended_with_all_that_it_began(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(telling, "SECONDS", 0.5)
    child, shell = tmp_path / "child", tmp_path / "shell"
    script = f"echo $$ > {shell}; sleep 1000 & echo $! > {child}; wait"
    teller = telling.Teller(lambda: pytest.fail("no webhook"), "ledger.db")
    outcome = await teller.tell(Notify("ops", command=("sh", "-c", script)), Record(id="aa", tool="t"))
    assert (outcome.status, outcome.error) == (Status.UNKNOWN, "no end within 0.5 s")
    assert not Path(f"/proc/{shell.read_text().strip()}").exists(), "it is waited for: no zombie, no open pipe"
    stat = Path(f"/proc/{child.read_text().strip()}/stat")
    await until(lambda: not stat.exists() or stat.read_text().split()[2] == "Z")
