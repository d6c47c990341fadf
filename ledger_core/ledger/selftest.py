"""`guard.check()`: the promise, tried in memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ledger.compat import _Mem


def check(make: Callable[..., Any]) -> bool:
    """True, or AssertionError that says what is wrong. make: makes a guard on a store."""
    calls: list[int] = []

    def charge(order: int) -> dict[str, int]:
        calls.append(order)
        return {"order": order}

    guard = make(store=_Mem()).quiet()
    results = [guard(charge, order=1) for _ in range(3)]
    told = guard.stats()
    guard.close()
    _expect("executions", calls, [1])
    _expect("results", results, [{"order": 1}, None, None])
    for name, expected in (("attempts", 3), ("executed", 1), ("blocked", 2)):
        _expect(name, told[name], expected)
    return True


def _expect(what: str, found: object, expected: object) -> None:
    if found != expected:
        raise AssertionError(f"{what}: expected {expected}, got {found}")
