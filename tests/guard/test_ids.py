"""An id outlives every release: a retry after an upgrade finds the record from before it."""

from __future__ import annotations

import datetime as dt
import functools
import uuid
from decimal import Decimal
from pathlib import PurePosixPath
from typing import Any

import pytest

from ledger.fingerprint import operation_id


def plain(to: Any, amount: Any = 0, *, currency: Any = "usd", note: Any = None) -> None: ...


def pay(to: Any, amount: Any = 0, *more: Any, currency: Any = "usd", **rest: Any) -> None: ...


class Mailer:
    def __ledger_id__(self) -> str:
        return "eu"

    def send(self, to: str) -> None: ...


for _fn in (plain, pay, Mailer):
    _fn.__module__ = "shop"
_DAY = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)

RECORDED = [
    (plain, ('é\ud800\n"x', 1), {}, "ee6d1907d6d4cde3cb021facdc29d415"),
    (plain, (), {"note": None, "amount": True, "to": "x"}, "ff5fbb91bf187b0c076b14b07123889f"),
    (plain, ("x", 99.9900000001), {"currency": "eur"}, "2be81219170b8f19abc474f7d453cb03"),
    (plain, ("x", float("inf")), {}, "8dc380b35b8fef24f2e81641df7c567c"),
    (plain, ("x", 2**70), {}, "9be2af013600beca91d06993088183e0"),
    (plain, ("x", -(2**63)), {}, "091180e2913089f85c70184dfd6ec73d"),
    (plain, ("x", 2**64 - 1), {}, "4731a8123b074d88381d809d679b6a3f"),
    (plain, ("x", {"b": [1, (2.5, None)], "a": {3, 1}}), {}, "75164ebcc82a181f5e2146d802d7d5a1"),
    (plain, (Decimal("1.50"), _DAY), {"note": uuid.UUID(int=5), "currency": b"x"}, "c0982df14025dc7ce034fda2a1004b39"),
    (plain, (PurePosixPath("/a/b"), dt.timedelta(days=1)), {}, "a9ba3f2f8291c75260674011c417b6c7"),
    (pay, ("x", 1, 2, "3"), {"z": 1, "a": [1]}, "f8be8f3c807c129b26b4878d5ae00394"),
    (Mailer().send, ("x",), {}, "8e69de719b6a2170a35a7792d9a77462"),
    (max, (1, 2), {}, "87f17c466d678fd94d13c60c572b9263"),
]


@pytest.mark.parametrize(("fn", "args", "kwargs", "id"), RECORDED)
def test_a_call_has_the_id_it_was_recorded_under(fn: Any, args: Any, kwargs: Any, id: str) -> None:
    assert operation_id(fn, args, kwargs, "wf") == id


def test_so_have_calls_in_other_workflows_and_under_a_key() -> None:
    assert operation_id(plain, ("x", 3.0), {}, "größe") == "fa8e30eb6d8cbe94970217cb2affc90b"
    assert operation_id(plain, ("x",), {}, "wf", "order-1") == "0e51d16fedbd96959b420f123890c323"


def test_what_a_partial_was_given_counts() -> None:
    for_ada, for_bob = functools.partial(plain, "ada"), functools.partial(plain, to="bob")
    ids = [operation_id(fn, (), {"amount": 1}, "wf") for fn in (for_ada, for_bob)]
    ids += [operation_id(plain, (to, 1), {}, "wf") for to in ("ada", "bob")]
    assert ids[:2] == ids[2:]
    assert ids[0] != ids[1]
