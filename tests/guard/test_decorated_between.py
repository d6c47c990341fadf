"""A decorator around a guarded function, guarded once more on the same ledger: what it does happens, the effect once.

`functools.wraps` copies what a guarded function is marked with onto the decorator's.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from ledger import Guard, InFlight, LedgerError, MemoryStore, OutcomeUnknown
from ledger.records import Record


def test_it_is_not_left_out(guard: Guard) -> None:
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


def test_nor_around_a_method(guard: Guard) -> None:
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
def test_one_that_tries_again_does_so_only_where_nothing_happened(guard: Guard, error: Exception) -> None:
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


def test_one_that_fails_after_the_effect_is_held(guard: Guard) -> None:
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


def test_one_that_calls_twice_has_one_effect(guard: Guard) -> None:
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


def test_one_that_returns_what_is_to_be_awaited_runs_it(guard: Guard) -> None:
    """A plain decorator around an async function: it was recorded as done, and never called."""
    effects: list[str] = []

    def logged(fn: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(fn)
        def inner(*args: Any) -> Any:
            return fn(*args)

        return inner

    @logged
    @guard.once(replay=True)
    async def send(to: str) -> str:
        effects.append(to)
        if to == "nobody":
            raise ValueError("no such address")
        return f"sent to {to}"

    async def calls() -> None:
        with pytest.raises(ValueError, match="no such address"):
            await guard(send, "nobody")
        assert await guard(send, "ada") == "sent to ada"
        assert await guard(send, "ada") == "sent to ada"

    asyncio.run(calls())
    assert effects == ["nobody", "ada"]
    assert sorted(row["status"] for row in guard.history()) == ["failed", "success"]


def test_one_that_returns_what_is_to_be_awaited_after_the_effect(guard: Guard) -> None:
    effects: list[str] = []

    def counted(fn: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(fn)
        def inner(*args: Any) -> Any:
            fn(*args)

            async def count() -> None:
                fn(*args)
                raise ValueError("the counter is down")

            return count()

        return inner

    @counted
    @guard.once
    def send(to: str) -> None:
        effects.append(to)

    async def call() -> None:
        guard(send, "ada").close()  # it is never awaited
        guard.close()
        with pytest.raises(OutcomeUnknown):
            await guard(send, "ada")
        for to in ("bob", "cid"):
            with pytest.raises(ValueError, match="the counter is down"):
                await guard(send, to)
            with pytest.raises(OutcomeUnknown):
                await guard(send, to)

    asyncio.run(call())
    assert effects == ["ada", "bob", "cid"]


def test_one_that_makes_a_plain_function_awaitable(guard: Guard) -> None:
    effects: list[str] = []

    def in_a_thread(fn: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(fn)
        def inner(*args: Any) -> Any:
            return asyncio.to_thread(fn, *args)

        return inner

    @in_a_thread
    @guard.once
    def send(to: str) -> str:
        effects.append(to)
        return f"sent to {to}"

    async def calls() -> list[Any]:
        return [await guard(send, to) for to in ("ada", "bob", "bob")]

    assert asyncio.run(calls()) == ["sent to ada", "sent to bob", None]
    assert effects == ["ada", "bob"]


def test_one_that_calls_in_two_threads_at_once_has_one_effect() -> None:
    class Slow(MemoryStore):
        """Each thread has looked before one goes on."""

        both: threading.Barrier | None = None

        def look(self, record: Record) -> Record | None:
            found = super().look(record)
            if self.both is not None:
                self.both.wait(30)
            return found

    store = Slow()
    guard, effects = Guard(store=store).quiet(), list[str]()

    def hedged(fn: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(fn)
        def inner(*args: Any) -> Any:
            store.both = threading.Barrier(2)
            contexts = [contextvars.copy_context() for _ in range(2)]
            threads = [threading.Thread(target=context.run, args=(fn, *args)) for context in contexts]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            store.both = None

        return inner

    @hedged
    @guard.once
    def send(to: str) -> None:
        effects.append(to)

    guard(send, "ada")
    assert effects == ["ada"]
    guard.close()


def test_one_that_fails_before_what_it_began_has_run(guard: Guard) -> None:
    """Nothing had happened, so the next call may run; what was begun counts as such a call."""
    effects: list[str] = []
    begun: list[asyncio.Task[Any]] = []

    def hasty(fn: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(fn)
        async def inner(*args: Any) -> Any:
            begun.append(asyncio.ensure_future(fn(*args)))
            raise ValueError("no time")

        return inner

    @hasty
    @guard.once
    async def send(to: str) -> str:
        effects.append(to)
        return to

    async def calls() -> None:
        with pytest.raises(ValueError, match="no time"):
            await guard(send, "ada")
        assert await begun[0] == "ada"
        assert await guard(send, "ada") is None

    asyncio.run(calls())
    assert effects == ["ada"]
    assert [row["status"] for row in guard.history()] == ["success"]


@pytest.mark.parametrize("replay", [False, True])
def test_one_that_calls_in_a_thread_that_knows_nothing_of_it_is_told(guard: Guard, replay: bool) -> None:
    """It waited for itself for ever, or was recorded as done and never called."""
    effects: list[str] = []
    contexts = [contextvars.Context, contextvars.copy_context]

    def in_a_pool(fn: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(fn)
        def inner(*args: Any) -> Any:
            context = contexts.pop(0)()
            with ThreadPoolExecutor(1) as pool:
                return pool.submit(context.run, fn, *args).result(60)

        return inner

    @in_a_pool
    @guard.once(replay=replay)
    def send(to: str) -> str:
        effects.append(to)
        return f"sent to {to}"

    with pytest.raises(InFlight, match=r"running under another guard.*contextvars\.copy_context\(\)\.run"):
        guard(send, "ada")
    assert effects == []
    assert guard(send, "ada") == "sent to ada"
    assert effects == ["ada"]
