"""Functions and arguments of odd kinds: each is guarded as any other, or refused in one line before it runs."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime as dt
import functools
import types
import uuid
from collections.abc import Callable, Generator
from typing import Any
from unittest.mock import Mock

import pytest

from ledger import Guard, OutcomeUnknown, UnstableArgument
from tests.guard.conftest import Tool


class TestCallables:
    def test_a_default_that_the_function_changes_is_no_other_call(self, guard: Guard) -> None:
        def order(item: str, basket: list[str] = []) -> list[str]:  # noqa: B006
            basket.append(item)
            return list(basket)

        assert guard(order, "tea") == ["tea"]
        assert guard(order, "tea") is None
        assert guard(order, item="milk") == ["tea", "milk"]
        assert guard(order, item="milk") is None

    def test_a_decorator_that_fills_in_an_argument(self, guard: Guard) -> None:
        sent: list[tuple[str, str]] = []

        def with_client(fn: Callable[..., None]) -> Callable[..., None]:
            @functools.wraps(fn)
            def filled(*args: Any, **kwargs: Any) -> None:
                fn("the client", *args, **kwargs)

            return filled

        @with_client
        def send(client: str, to: str) -> None:
            sent.append((client, to))

        for to in ("ada", "ada", "bob"):
            guard(send, to)
        assert sent == [("the client", "ada"), ("the client", "bob")]

    def test_a_method_that_dispatches_on_its_argument(self, guard: Guard) -> None:
        class Desk:
            @functools.singledispatchmethod
            def file(self, what: object) -> str:
                return f"filed {what}"

        assert [guard(Desk().file, 1), guard(Desk().file, 1)] == ["filed 1", None]

    async def test_a_generator_that_is_a_coroutine(self, guard: Guard) -> None:
        @types.coroutine
        def post(url: str) -> Generator[Any, None, str]:
            yield from asyncio.sleep(0).__await__()
            return f"posted {url}"

        call: Any = guard  # no type says that such a generator is awaited
        assert [await call(post, "u"), await call(post, "u")] == ["posted u", None]

    def test_objects_that_were_given_names_are_told_apart_by_them(self, guard: Guard) -> None:
        send, charge = Mock(__name__="send"), Mock(__name__="charge")
        told: list[Any] = [guard(named, to="ada") for named in (send, charge, send)]
        assert told[2] is None
        assert (send.call_count, charge.call_count) == (1, 1)

    def test_a_lambda_is_told_by_the_plain_values_it_closes_over(self, guard: Guard) -> None:
        paid: list[str] = []

        def pay_all(invoices: list[str]) -> None:
            for invoice in invoices:
                guard(lambda: paid.append(invoice))  # noqa: B023 (so people write it)

        pay_all(["INV-1", "INV-2"])
        pay_all(["INV-1", "INV-2"])
        assert paid == ["INV-1", "INV-2"]

    def test_a_lambda_whose_variable_is_not_set_yet(self, guard: Guard) -> None:
        paid: list[str] = []
        pay: Callable[[], None] = lambda: paid.append("INV-1") if paid else invoice()  # noqa: E731
        with pytest.raises(NameError, match="invoice"):
            guard(pay)

        def invoice() -> None:
            paid.append("INV-0")

        guard(pay)
        assert paid == ["INV-0"]


class TestArguments:
    def test_a_function_that_calls_itself(self, guard: Guard) -> None:
        def count_down(n: int) -> int:
            return n if n == 0 else count_down(n - 1)

        counted: list[int] = []

        def measure(job: Callable[[int], int]) -> None:
            counted.append(job(3))

        guard(measure, count_down)
        guard(measure, count_down)
        assert counted == [0]

    def test_functions_made_with_other_values_are_other_arguments(self, guard: Guard) -> None:
        def reminder(day: int) -> Callable[[], int]:
            return lambda_free(day)

        def lambda_free(day: int) -> Callable[[], int]:
            def remind() -> int:
                return day

            return remind

        scheduled: list[int] = []

        def schedule(job: Callable[[], int]) -> None:
            scheduled.append(job())

        for day in (1, 2, 1):
            guard(schedule, reminder(day))
        assert scheduled == [1, 2]

    @pytest.mark.parametrize("value", [dt.datetime.min, dt.datetime.max], ids=["first", "last"])
    def test_the_ends_of_time_in_any_zone(self, guard: Guard, tool: Tool, value: dt.datetime) -> None:
        for hours in (-5, 5):
            at = value.replace(tzinfo=dt.timezone(dt.timedelta(hours=hours)))
            assert guard(tool.charge, "a", note=at) is not None
            assert guard(tool.charge, "a", note=at) is None

    def test_every_other_byte(self, guard: Guard, tool: Tool) -> None:
        guard(tool.charge, "a", note=memoryview(b"abcdef")[::2])
        assert guard(tool.charge, "a", note=b"ace") is None

    def test_whatever_a_value_does_when_it_is_looked_at_it_is_named(self, guard: Guard, tool: Tool) -> None:
        class Unspeakable:
            def __repr__(self) -> str:
                raise RuntimeError("no words")

        @dataclasses.dataclass
        class Half:
            id: int = dataclasses.field(init=False)

        for value in (Unspeakable(), Half(), Mock()):
            with pytest.raises(UnstableArgument, match=r"Tool\.charge\(\): argument 'note', a .* key="):
                guard(tool.charge, "a", note=value)
        assert tool.effects == []
        assert guard(tool.charge, "a", note=Mock(), key="k") is not None

    @pytest.mark.parametrize("key", ["", uuid.UUID(int=1), b"x", object()], ids=["empty", "UUID", "bytes", "object"])
    def test_a_key_that_names_nothing_is_refused(self, guard: Guard, tool: Tool, key: Any) -> None:
        with pytest.raises(UnstableArgument, match=r"Tool\.charge\(\): key= "):
            guard(tool.charge, "a", key=key)
        assert tool.effects == []


def test_an_exception_that_takes_no_note_is_still_the_one_that_is_raised(guard: Guard) -> None:
    class Timeout(TimeoutError):
        def add_note(self, note: str) -> None:
            raise RuntimeError(note)

    def pay(invoice: str) -> None:
        raise Timeout(invoice)

    with pytest.raises(Timeout):
        guard(pay, "INV-1")
    with pytest.raises(OutcomeUnknown):
        guard(pay, "INV-1")


class TestPolicies:
    def test_no_window_is_for_ever_as_in_ledger_once(self, guard: Guard, tool: Tool) -> None:
        guard.policy(tool.charge, ttl=60).policy(tool.charge, ttl=0)
        assert [guard(tool.charge, "a") is None for _ in range(3)] == [False, True, True]

    @pytest.mark.parametrize(
        ("told", "error"),
        [
            ({"ttl": -1}, "ttl must not be negative, not -1"),
            ({"ttl": dt.timedelta(hours=1)}, r"ttl must be a number of seconds, not datetime\.timedelta"),
            ({"max": "2"}, "max must be a whole number of effects, not '2'"),
            ({"wait": float("nan")}, "wait must not be negative, not nan"),
            ({"timeout": "never"}, "timeout must be a number of seconds, not 'never'"),
        ],
        ids=str,
    )
    def test_a_wrong_number_is_named_as_it_was_said(
        self, guard: Guard, tool: Tool, told: dict[str, Any], error: str
    ) -> None:
        with pytest.raises((ValueError, TypeError), match=error):
            guard.policy(tool.charge, **told)
        guard(tool.charge, "a")
        assert guard(tool.charge, "a") is None


class TestMethodsOverridden:
    """`super()` leads to another method of the same name on the same instance: it is no second call of the first."""

    def test_both_guarded_both_run(self, guard: Guard) -> None:
        effects: list[str] = []

        class Till:
            @guard.once
            def pay(self, amount: int) -> str:
                effects.append(f"paid {amount}")
                return f"paid {amount}"

            @classmethod
            @guard.once
            def open(cls, drawer: int) -> str:
                effects.append(f"opened {drawer}")
                return f"opened {drawer}"

        class Logged(Till):
            @guard.once
            def pay(self, amount: int) -> str:
                effects.append("logged")
                return super().pay(amount)

            @classmethod
            @guard.once
            def open(cls, drawer: int) -> str:
                return super().open(drawer)

        class Quiet(Till):
            pass

        assert [Logged().pay(5), Logged().pay(5), Logged.open(1), Logged.open(1)] == ["paid 5", None, "opened 1", None]
        assert [Quiet().pay(5), Quiet().pay(5), Till().pay(5)] == ["paid 5", None, "paid 5"]
        assert effects == ["logged", "paid 5", "opened 1", "paid 5", "paid 5"]
        assert {row["tool"] for row in guard.history()} == {
            "Logged.pay",
            "Till.pay",
            "Logged.open",
            "Till.open",
            "Quiet.pay",
        }

    def test_and_without_decorators(self, guard: Guard) -> None:
        class Till:
            def pay(self, amount: int) -> str:
                return f"paid {amount}"

        class Logged(Till):
            def pay(self, amount: int) -> str:
                return str(guard(super().pay, amount))

        assert guard(Logged().pay, 5) == "paid 5"
        assert guard(Logged().pay, 5) is None


class TestDecoratorsThatKeepNoName:
    """Without `functools.wraps` what a decorator makes has the decorator's name, whatever it decorates."""

    @staticmethod
    def logged(fn: Callable[..., Any]) -> Callable[..., Any]:
        def inner(*args: Any) -> Any:
            return fn(*args)

        return inner

    def test_two_functions_are_two_tools(self, guard: Guard) -> None:
        def pay(amount: int) -> str:
            return f"paid {amount}"

        def refund(amount: int) -> str:
            return f"refunded {amount}"

        paying, refunding = self.logged(pay), self.logged(refund)
        guard.policy(paying, max=2)
        assert [guard(paying, 5), guard(refunding, 5), guard(paying, 5)] == ["paid 5", "refunded 5", "paid 5"]
        assert [guard(paying, 5), guard(refunding, 5), guard(self.logged(refund), 5)] == [None] * 3

    def test_and_two_methods(self, guard: Guard) -> None:
        class Till:
            @self.logged
            def pay(self, amount: int) -> str:
                return f"paid {amount}"

            @self.logged
            def refund(self, amount: int) -> str:
                return f"refunded {amount}"

        till = Till()
        assert [guard(till.pay, 5), guard(till.refund, 5), guard(Till().pay, 5)] == ["paid 5", "refunded 5", None]

    def test_and_lambdas(self, guard: Guard) -> None:
        paying, refunding = self.logged(lambda n: f"paid {n}"), self.logged(lambda n: f"refunded {n}")
        assert [guard(paying, 5), guard(refunding, 5), guard(paying, 5)] == ["paid 5", "refunded 5", None]

    def test_and_those_that_were_decorated_twice(self, guard: Guard) -> None:
        def pay(amount: int) -> str:
            return f"paid {amount}"

        def refund(amount: int) -> str:
            return f"refunded {amount}"

        paying, refunding = self.logged(self.logged(pay)), self.logged(self.logged(refund))
        assert [guard(paying, 5), guard(refunding, 5), guard(paying, 5)] == ["paid 5", "refunded 5", None]

    def test_two_that_hold_each_other_are_told_apart_from_others(self, guard: Guard) -> None:
        def ping(*args: int) -> str:
            return pong(*args) if args[0] else "ping"

        def pong(*args: int) -> str:
            return ping(args[0] - 1)

        assert [guard(ping, 2), guard(pong, 2), guard(ping, 2)] == ["ping", "ping", None]
