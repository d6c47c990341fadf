"""Results come back as what they were, or are not kept at all."""

from __future__ import annotations

import collections
import dataclasses
import datetime as dt
import enum
import math
import sys
import types
import uuid
from decimal import Decimal
from typing import Any, NamedTuple

import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.codec import CannotLoad, CannotStore, decode, encode
from ledger.records import Result


class Colour(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


@dataclasses.dataclass(frozen=True, slots=True)
class Charge:
    id: str
    at: dt.datetime
    lines: tuple[int, ...] = ()
    loaded: bool = dataclasses.field(default=False, init=False)

    def __post_init__(self) -> None:
        if self.id == "boom":
            raise RuntimeError("a constructor ran")


class Inner(pydantic.BaseModel):
    when: dt.date


class Outer(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="allow")
    name: str = pydantic.Field(alias="theName")
    inner: Inner | None = None


class Pair(NamedTuple):
    a: int
    b: list[int]


NOW = dt.datetime(2025, 1, 2, 3, 4, 5, 6, tzinfo=dt.timezone(dt.timedelta(hours=2)))


@pytest.mark.parametrize(
    "value",
    [
        None, True, 0, -1, 10**400, 1.5, math.inf, "", "ü \ud800 \x00", b"\x00\xff", [], {}, (), set(), frozenset({1}),
        (1, [2, (3,)]), {"a": {"b": [None]}}, {1: "x", "1": "y", (2, 3): set()}, {"$": "tuple", "v": [1]},
        NOW, NOW.replace(tzinfo=None), dt.date(2025, 1, 2), dt.time(3, 4, 5, 6), dt.timedelta(-1, 2, 3),
        Decimal("1.10"), Decimal("NaN"), uuid.UUID(int=7), Colour.RED, Level.HIGH, Pair(1, [2]),
        Charge("ch_1", NOW, (1, 2)), Outer(theName="n", inner=Inner(when=dt.date(2025, 1, 2)), more={1, 2}),
    ],
    ids=repr,
)  # fmt: skip
def test_it_comes_back_as_it_was(value: Any) -> None:
    back = decode(encode(value))
    assert type(back) is type(value)
    assert repr(back) == repr(value)
    if not (isinstance(value, Decimal) and value.is_nan()):
        assert back == value


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text() | st.binary() | st.floats(allow_nan=False) | st.dates(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner) | st.tuples(inner, inner),
        max_leaves=20,
    )
)
def test_anything_made_of_plain_values_comes_back(value: Any) -> None:
    back = decode(encode(value))
    assert back == value
    assert repr(back) == repr(value)


def test_no_constructor_runs() -> None:
    stored = encode(Charge("ok", NOW))
    assert stored.body is not None
    assert decode(Result(stored.meta, stored.body.replace(b'"ok"', b'"boom"'))).id == "boom"


class Local:
    pass


def _loop() -> list[Any]:
    loop: list[Any] = []
    loop.append(loop)
    return loop


@pytest.mark.parametrize(
    "value",
    [object(), Local(), [Local()], len, Local, iter([]), collections.OrderedDict(a=1), _loop(), range(3), 1j],
    ids=lambda v: type(v).__name__,
)
def test_what_would_come_back_as_something_else_is_not_stored(value: Any) -> None:
    with pytest.raises(CannotStore):
        encode(value)


def test_a_class_that_cannot_be_found_again_is_not_stored() -> None:
    @dataclasses.dataclass
    class Hidden:
        a: int

    with pytest.raises(CannotStore, match="Hidden"):
        encode(Hidden(1))


def test_a_result_that_is_too_large_is_not_stored() -> None:
    with pytest.raises(CannotStore, match="more than"):
        encode("x" * (8 * 1024 * 1024))


def test_a_class_is_looked_up_only_among_what_is_imported() -> None:
    body = encode(Charge("ch", NOW)).body
    assert body is not None
    gone = Result({"codec": 1}, body.replace(__name__.encode(), b"antigravity"))
    with pytest.raises(CannotLoad, match=r"antigravity\.Charge is not imported"):
        decode(gone)
    assert "antigravity" not in sys.modules


@pytest.mark.parametrize(
    ("tag", "of", "v"),
    [
        ("dataclass", "os:_Environ", {}),
        ("dataclass", "subprocess:Popen", {"args": ["true"]}),
        ("enum", "subprocess:Popen", "wait"),
        ("enum", "enum:Enum", "mro"),
        ("namedtuple", "subprocess:Popen", [["true"]]),
        ("model", "subprocess:Popen", {"fields": {}, "set": []}),
        ("dataclass", "os:system", {}),
        ("surprise", "", []),
    ],
)
def test_a_ledger_cannot_make_us_build_anything_else(tag: str, of: str, v: Any) -> None:
    import json

    with pytest.raises(CannotLoad):
        decode(Result({"codec": 1}, json.dumps({"$": tag, "of": of, "v": v}).encode()))


def test_a_class_that_changed_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    stored = encode(Charge("ch", NOW))
    changed = dataclasses.make_dataclass("Charge", ["id", "amount"])
    monkeypatch.setitem(sys.modules, __name__, types.SimpleNamespace(Charge=changed))
    with pytest.raises(CannotLoad, match="is now something else"):
        decode(stored)


def test_what_was_not_kept_cannot_be_read() -> None:
    for result in (Result({"codec": 1}, None), Result({"status": 200}, b"null")):
        with pytest.raises(CannotLoad):
            decode(result)
