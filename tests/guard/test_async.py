"""Async functions: the same promises, on the same store."""

from __future__ import annotations

import asyncio
import functools
import gc

import pytest

from ledger import Guard, OutcomeUnknown, Status
from tests.guard.conftest import Tool


async def test_once_and_replayed(guard: Guard, tool: Tool) -> None:
    assert await guard(tool.acharge, "a", 1) == {"id": "ch_1"}
    assert await guard(tool.acharge, "a", 1.0) is None
    guard.policy(tool.acharge, replay=True)
    assert await guard(tool.acharge, "a", 1) == {"id": "ch_1"}
    assert guard.stats()["attempts"] == 3


async def test_sync_and_async_functions_share_one_guard(guard: Guard, tool: Tool) -> None:
    await guard(tool.acharge, "a")
    guard(tool.charge, "a")
    assert len(tool.effects) == 2, "two functions, two operations"
    assert guard.stats()["executed"] == 2


async def test_partials_and_callable_objects(guard: Guard, tool: Tool) -> None:
    class Webhook:
        async def __call__(self, url: str) -> str:
            return url

    assert await guard(functools.partial(tool.acharge, "a"), amount=1) == {"id": "ch_1"}
    assert await guard(tool.acharge, "a", 1) is None
    assert await guard(Webhook(), "https://x") == "https://x"


async def test_concurrent_duplicates_run_once_and_share_the_result(guard: Guard) -> None:
    effects: list[int] = []

    async def slow(order: int) -> str:
        effects.append(order)
        await asyncio.sleep(0.15)
        return "done"

    guard.policy(slow, replay=True)
    assert await asyncio.gather(*(guard(slow, 1) for _ in range(30))) == ["done"] * 30
    assert effects == [1]
    told = guard.stats()
    assert (told["attempts"], told["executed"], told["replayed"]) == (30, 1, 29)


async def test_a_cancelled_call_is_unknown(guard: Guard) -> None:
    began = asyncio.Event()

    async def slow() -> None:
        began.set()
        await asyncio.sleep(60)

    call = asyncio.create_task(guard(slow))
    await began.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    with pytest.raises(OutcomeUnknown, match="CancelledError"):
        await guard(slow)


async def test_a_timeout_around_the_call_is_unknown(guard: Guard) -> None:
    async def slow() -> None:
        await asyncio.sleep(60)

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await guard(slow)
    assert guard._engine.store.all()[0].status is Status.UNKNOWN


async def test_a_waiter_that_is_cancelled_harms_nobody(guard: Guard) -> None:
    async def slow() -> str:
        await asyncio.sleep(0.2)
        return "done"

    guard.policy(slow, replay=True)
    first = asyncio.create_task(guard(slow))
    await asyncio.sleep(0.02)
    waiter = asyncio.create_task(guard(slow))
    await asyncio.sleep(0.02)
    waiter.cancel()
    assert await first == "done"
    assert await guard(slow) == "done"
    assert guard.stats()["executed"] == 1


async def test_what_raises_may_be_retried(guard: Guard, tool: Tool) -> None:
    tool.raises = [ValueError("declined")]
    with pytest.raises(ValueError, match="declined"):
        await guard(tool.acharge, "a")
    assert await guard(tool.acharge, "a") == {"id": "ch_2"}


class TestAsyncFunctionsThatLookPlain:
    """A decorator that is not async, a lambda, a C function: only the returned value tells."""

    async def test_they_are_awaited_and_guarded(self, guard: Guard, tool: Tool) -> None:
        def charge(customer: str) -> object:
            return tool.acharge(customer)

        guard.policy(charge, replay=True)
        assert await guard(charge, "a") == {"id": "ch_1"}
        assert await guard(charge, "a") == {"id": "ch_1"}
        assert tool.effects == [("a", 0.0)]

    async def test_another_process_knows_from_the_record_that_it_is_to_be_awaited(self, tool: Tool) -> None:
        def charge(customer: str) -> object:
            return tool.acharge(customer)

        for expected in ({"id": "ch_1"}, None):
            guard = Guard()
            assert await guard(charge, "a") == expected
            guard.close()
        assert len(tool.effects) == 1

    async def test_concurrent_ones_run_once_and_nobody_waits_for_the_loop(self, guard: Guard) -> None:
        effects: list[int] = []

        async def slow(order: int) -> str:
            effects.append(order)
            await asyncio.sleep(0.05)
            return "done"

        def plain(order: int) -> object:
            return slow(order)

        guard.policy(plain, replay=True)
        assert await asyncio.gather(*(guard(plain, 1) for _ in range(10))) == ["done"] * 10
        assert effects == [1]

    async def test_what_raises_may_be_retried(self, guard: Guard, tool: Tool) -> None:
        tool.raises = [ValueError("declined")]
        with pytest.raises(ValueError, match="declined"):
            await guard(lambda: tool.acharge("a"))

    def test_one_that_nobody_awaits_has_failed(self, guard: Guard, tool: Tool) -> None:
        with pytest.warns(RuntimeWarning, match="never awaited"):
            self._forget(guard, tool)
        guard._engine.keeper.beat()
        assert tool.effects == []
        assert (guard.stats()["failed"], guard.stats()["running"]) == (1, 0)

    def _forget(self, guard: Guard, tool: Tool) -> None:
        guard(lambda: tool.acharge("a"))
        gc.collect()


async def test_the_workflow_is_the_one_of_the_call_not_of_the_await(guard: Guard, tool: Tool) -> None:
    with guard.workflow("order-1"):
        call = guard(tool.acharge, "a")
    await call
    assert [r.wf for r in guard._engine.store.all()] == ["order-1"]
