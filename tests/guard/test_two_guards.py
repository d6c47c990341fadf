"""One function under two guards: on one ledger it is one operation, on two it is one in each; its effect happens."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ledger import Guard, InFlight, MemoryStore, SqliteStore


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
