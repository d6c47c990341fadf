"""Which calls are one operation. A false merge drops a real payment; a false miss makes it twice."""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import functools
import io
import math
import subprocess
import sys
import uuid
from collections.abc import Callable
from decimal import Decimal
from pathlib import PurePosixPath
from typing import Any, NamedTuple

import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger import UnstableArgument
from ledger.fingerprint import operation_id
from ledger.functions import known


def pay(to: str, amount: Any = 0, *more: Any, currency: str = "usd", **rest: Any) -> None: ...


def same(one: Any, two: Any) -> bool:
    return operation_id(pay, ("x", one), {}, "wf") == operation_id(pay, ("x", two), {}, "wf")


def call(*args: Any, fn: Callable[..., Any] = pay, wf: str = "wf", key: str | None = None, **kwargs: Any) -> str:
    return operation_id(fn, args, kwargs, wf, key)


class TestArguments:
    def test_order_keywords_and_defaults_do_not_matter(self) -> None:
        ids = {
            call("x", 1),
            call(to="x", amount=1),
            call(amount=1, to="x"),
            call("x", amount=1, currency="usd"),
            operation_id(functools.partial(pay, "x"), (1,), {}, "wf"),
        }
        assert len(ids) == 1

    def test_everything_else_does(self) -> None:
        ids = [
            call("x", 1), call("y", 1), call("x", 2), call("x", 1, 2), call("x", 1, currency="eur"), call("x", 1, a=1),
            call("x", 1, wf="other"), call("x", 1, key="k"), call("x", 1, fn=lambda to, amount: None),
        ]  # fmt: skip
        assert len(set(ids)) == len(ids)

    def test_a_key_counts_instead_of_the_arguments_but_within_tool_and_workflow(self) -> None:
        assert call("x", object(), key="k") == call("y", key="k")
        assert (
            len({call("x", key="k"), call("x", key="j"), call("x", key="k", wf="o"), call("x", fn=print, key="k")}) == 4
        )

    def test_a_builtin_without_a_signature(self) -> None:
        assert call(1, 2, fn=max) == call(1, 2, fn=max) != call(2, 1, fn=max)


class Money(enum.Enum):
    USD = 1
    EUR = 2


@dataclasses.dataclass
class Order:
    id: int
    lines: list[str]


@dataclasses.dataclass
class Refund:
    id: int
    lines: list[str]


class Model(pydantic.BaseModel):
    id: int
    secret: pydantic.SecretStr | None = None


class Pair(NamedTuple):
    a: int
    b: int


UTC = dt.datetime(2025, 1, 1, 12, tzinfo=dt.UTC)
NOON = UTC.astimezone(dt.timezone(dt.timedelta(hours=2)))


@pytest.mark.parametrize(
    ("one", "two"),
    [
        (99.99, 99.9900000001),
        (0.1 + 0.2, 0.3),
        (99.0, 99),
        (-0.0, 0.0),
        (1e20, 10**20),
        ({"a": 1, "b": [1, 2]}, {"b": [1, 2], "a": 1}),
        ([1, 2], (1, 2)),
        ({1, 2, 3}, frozenset([3, 2, 1])),
        (UTC, NOON),
        (Decimal("1.50"), Decimal("1.5")),
        (Order(1, ["a"]), Order(1, ["a"])),
        (Model(id=1), Model(id=1)),
        (b"x", bytearray(b"x")),
        (Pair(1, 2), [1, 2]),
    ],
)
def test_one_meaning(one: Any, two: Any) -> None:
    assert same(one, two)


@pytest.mark.parametrize(
    ("one", "two"),
    [
        (1e-9, 4e-9),
        (99.99, 99.991),
        (1_000_000_000.01, 1_000_000_000.02),
        (0.00001234567, 0.00001234568),
        (1, True),
        (0, False),
        (1, "1"),
        (None, "None"),
        (10**30, 10**30 + 1),
        (float("nan"), float("inf")),
        ([1, 2], [2, 1]),
        ([1], [[1]]),
        ({"a": 1}, {"a": "1"}),
        ({"1": "x"}, {1: "x"}),
        ({1, 2}, [1, 2]),
        (["set", [1]], {1}),
        ("a", b"a"),
        (Money.USD, Money.EUR),
        (Money.USD, 1),
        (Order(1, ["a"]), Order(1, ["b"])),
        (Order(1, []), Refund(1, [])),
        (Model(id=1), Model(id=2)),
        (UTC, UTC.replace(tzinfo=None)),
        (UTC, UTC + dt.timedelta(microseconds=1)),
        (dt.date(2025, 1, 1), "2025-01-01"),
        (Decimal("0.10000000000000000000000000000001"), Decimal("0.1")),
        (uuid.UUID(int=1), uuid.UUID(int=2)),
        (PurePosixPath("a"), PurePosixPath("b")),
        (len, max),
        ("\ud800", "\ud801"),
    ],
)
def test_two_meanings(one: Any, two: Any) -> None:
    assert not same(one, two)


@given(st.integers(1, 10**9), st.integers(1, 10**9))
def test_cents_are_never_merged(one: int, two: int) -> None:
    assert same(one / 100, two / 100) == (one == two)


def test_integers_of_any_length() -> None:
    assert same(10**5000, 10**5000)
    assert not same(10**5000, 10**5000 + 1)


@given(st.integers(1, 10**9))
def test_drift_in_the_last_places_is_no_other_amount(cents: int) -> None:
    amount = cents / 100
    assert same(amount, math.nextafter(amount, math.inf))
    assert same(amount, math.nextafter(amount, -math.inf))


@given(st.integers(2**52, 2**53 - 1))
def test_large_whole_numbers_are_never_merged(value: int) -> None:
    assert not same(float(value), float(value + 1))
    assert same(float(value), value)


class Client:
    def charge(self, amount: int) -> None: ...

    @classmethod
    def make(cls, amount: int) -> None: ...


class Other(Client): ...


class Named(Client):
    def __init__(self, id: str) -> None:
        self.id = id

    @property
    def __ledger_id__(self) -> str:
        return self.id


class TestTools:
    def test_methods_of_two_classes_never_meet(self) -> None:
        ids = {call(1, fn=fn) for fn in (Client().charge, Other().charge, Client.make, Other.make)}
        assert len(ids) == 4

    def test_the_instance_is_left_out_unless_its_class_tells_them_apart(self) -> None:
        assert call(1, fn=Client().charge) == call(1, fn=Client().charge)
        assert call(1, fn=Named("a").charge) == call(1, fn=Named("a").charge) != call(1, fn=Named("b").charge)

    def test_a_renamed_closure_keeps_its_name(self) -> None:
        def make(name: str) -> Callable[[], None]:
            def tool() -> None: ...

            tool.__name__ = name
            return tool

        assert call(fn=make("a")) == call(fn=make("a")) != call(fn=make("b"))
        assert known(make("a")).tool.identity == f"{__name__}.a"

    def test_lambdas_are_told_apart_by_their_code(self) -> None:
        one, two, also_one = (lambda: 1), (lambda: 2), (lambda: 1)
        assert call(fn=one) == call(fn=also_one) != call(fn=two)

    def test_wrapped_functions_keep_their_name(self) -> None:
        @functools.wraps(pay)
        def logged(*args: Any, **kwargs: Any) -> None: ...

        assert call("x", 1, fn=logged) == call("x", 1)


class TestUnstable:
    @pytest.mark.parametrize(
        "value",
        [
            object(),
            [object()],
            {"a": object()},
            iter([]),
            io.StringIO("x"),
            Client(),
            lambda: 1,
            Model(id=1, secret="s"),
        ],
        ids=["object", "in a list", "in a dict", "iterator", "file", "client", "lambda", "model"],
    )
    def test_it_is_named_and_asks_for_a_key(self, value: Any) -> None:
        with pytest.raises(UnstableArgument, match=r"pay\(\): argument 'amount' .*key="):
            call("x", value)
        assert call("x", value, key="k")

    def test_a_structure_that_contains_itself(self) -> None:
        loop: list[Any] = []
        loop.append(loop)
        with pytest.raises(UnstableArgument, match="key="):
            call("x", loop)

    def test_a_default_that_nobody_passed_is_no_obstacle(self) -> None:
        def send(to: str, client: Any = object()) -> None: ...  # noqa: B008

        assert call("x", fn=send) == call("x", fn=send)
        with pytest.raises(UnstableArgument, match="'client'"):
            call("x", object(), fn=send)

    def test_a_class_that_names_itself(self) -> None:
        assert same(Named("a"), Named("a"))
        assert not same(Named("a"), Named("b"))


def test_ids_are_the_same_in_another_process_and_under_another_hash_seed() -> None:
    code = (
        "from tests.guard.test_fingerprint import *\n"
        "print(call('x', {'b': {3, 1, 2}, 'a': Order(1, ['ü'])}, n=1.5), call(fn=lambda: {1, 2}))"
    )
    told = {
        subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    assert len(told) == 1
    assert len(told.pop().split()[0]) == 32
