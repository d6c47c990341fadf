"""One function under two guards: on one ledger it is one operation, on two it is one in each; its effect happens."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ledger import Guard, InFlight, LedgerError, MemoryStore, OutcomeUnknown, SqliteStore


@pytest.fixture(params=["one store", "one file", "two files"])
def guards(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Guard, Guard]]:
    stores: list[Any] = [MemoryStore()] * 2
    if request.param != "one store":
        stores = [SqliteStore(tmp_path / f"{name if request.param == 'two files' else 'one'}.db") for name in "ab"]
    made = Guard(store=stores[0]).quiet(), Guard(store=stores[1]).quiet()
    yield made
    for one, store in zip(made, stores, strict=True):
        one.close()
        store.close()


def test_a_function_that_another_guard_guards_runs_once(guards: tuple[Guard, Guard]) -> None:
    one, other = guards
    effects: list[str] = []

    @one.once
    def send(to: str) -> str:
        effects.append(to)
        return f"sent to {to}"

    [tool] = other.wrap_tools([send])
    assert tool("ada") == "sent to ada"
    assert tool("ada") is None
    assert send("ada") is None
    assert effects == ["ada"]
    assert send("bob") == "sent to bob"
    tool("bob")
    assert effects == ["ada", "bob"]
    totals = one.stats()
    assert totals["attempts"] == totals["executed"] + totals["blocked"]


def test_so_does_an_async_one(guards: tuple[Guard, Guard]) -> None:
    one, other = guards
    effects: list[str] = []

    @one.once(replay=True)
    async def send(to: str) -> str:
        await asyncio.sleep(0)
        effects.append(to)
        return f"sent to {to}"

    async def both() -> list[Any]:
        twice = other.once(send, replay=True)
        return [await twice("ada"), await twice("ada"), await send("ada")]

    assert asyncio.run(both()) == ["sent to ada"] * 3
    assert effects == ["ada"]


def test_what_it_raises_is_the_outcome_of_both(guards: tuple[Guard, Guard]) -> None:
    one, other = guards
    declined: list[bool] = [True]

    @one.once
    def pay(amount: int) -> str:
        if declined.pop():
            raise ValueError("declined")
        return "paid"

    twice = other.once(pay)
    with pytest.raises(ValueError, match="declined"):
        twice(5)
    declined.append(False)
    assert twice(5) == "paid"


@pytest.mark.parametrize("call", [lambda guard, fn, n: guard(fn, n), lambda guard, fn, n: fn(n)])
def test_one_that_calls_itself_through_the_other_guard_is_not_run_for_ever(
    guards: tuple[Guard, Guard], call: Callable[..., Any]
) -> None:
    one, other = guards
    effects: list[int] = []

    @one.once(replay=True)
    def again(n: int) -> str:
        effects.append(n)
        try:
            return str(call(other, again, n))
        except InFlight:
            return "itself"

    twice = other.once(again, replay=True)
    assert "itself" in str(twice(1))
    assert len(effects) <= 2


class TestADecoratorAroundAGuardedFunction:
    """`functools.wraps` copies what a guarded function is marked with onto the decorator's."""

    def test_is_not_left_out(self, guard: Guard) -> None:
        told: list[str] = []

        def logged(fn: Callable[..., Any]) -> Callable[..., Any]:
            @functools.wraps(fn)
            def inner(*args: Any, **kwargs: Any) -> Any:
                told.append("called")
                return fn(*args, **kwargs)

            return inner

        @logged
        @guard.once
        def send(to: str) -> str:
            told.append(f"sent to {to}")
            return to

        [tool] = guard.wrap_tools([send])
        assert tool("ada") == "ada"
        assert tool("ada") is None
        assert told == ["called", "sent to ada"]
        assert guard(send, "bob") == "bob"
        assert told[2:] == ["called", "sent to bob"]

    def test_nor_around_a_method(self, guard: Guard) -> None:
        told: list[str] = []

        def logged(fn: Callable[..., Any]) -> Callable[..., Any]:
            @functools.wraps(fn)
            def inner(self: Any, *args: Any) -> Any:
                told.append("called")
                return fn(self, *args)

            return inner

        class Mailer:
            @logged
            @guard.once
            def send(self, to: str) -> str:
                told.append(f"sent to {to}")
                return to

            @guard.once
            def plainly(self, to: str) -> str:
                told.append(f"plainly to {to}")
                return to

        assert guard(Mailer().send, "ada") == "ada"
        assert guard(Mailer().send, "ada") is None
        assert Mailer().send("ada") is None
        assert told == ["called", "sent to ada", "called"]
        assert guard(Mailer().plainly, "ada") == "ada"
        assert Mailer().plainly("ada") is None

    @pytest.mark.parametrize("error", [ValueError("declined"), TimeoutError("no answer")])
    def test_that_tries_again_does_so_only_where_nothing_happened(self, guard: Guard, error: Exception) -> None:
        effects: list[str] = []

        def persistent(fn: Callable[..., Any]) -> Callable[..., Any]:
            @functools.wraps(fn)
            def inner(*args: Any) -> Any:
                with contextlib.suppress(type(error), LedgerError):
                    return fn(*args)
                return fn(*args)

            return inner

        @persistent
        @guard.once(replay=True)
        def send(to: str) -> str:
            effects.append(to)
            if len(effects) == 1:
                raise error
            return to

        [tool] = guard.wrap_tools([send])
        if isinstance(error, ValueError):
            assert tool("ada") == "ada"
            assert effects == ["ada", "ada"]
        else:
            for _ in range(2):
                with pytest.raises(LedgerError):
                    tool("ada")
            assert effects == ["ada"]

    def test_that_fails_after_the_effect_is_held(self, guard: Guard) -> None:
        effects: list[str] = []

        def audited(fn: Callable[..., Any]) -> Callable[..., Any]:
            @functools.wraps(fn)
            async def inner(*args: Any) -> Any:
                await fn(*args)
                raise ValueError("the audit is down")

            return inner

        @audited
        @guard.once
        async def send(to: str) -> str:
            effects.append(to)
            return to

        async def calls() -> None:
            with pytest.raises(ValueError, match="the audit is down"):
                await guard(send, "ada")
            with pytest.raises(OutcomeUnknown):
                await guard(send, "ada")

        asyncio.run(calls())
        assert effects == ["ada"]

    def test_that_calls_twice_has_one_effect(self, guard: Guard) -> None:
        effects: list[str] = []

        def twice(fn: Callable[..., Any]) -> Callable[..., Any]:
            @functools.wraps(fn)
            async def inner(*args: Any) -> Any:
                return await asyncio.gather(fn(*args), fn(*args))

            return inner

        @twice
        @guard.once
        async def send(to: str) -> str:
            await asyncio.sleep(0)
            effects.append(to)
            return to

        async def call() -> Any:
            return await guard(send, "ada")

        assert asyncio.run(call()) == ["ada", None]
        assert effects == ["ada"]
