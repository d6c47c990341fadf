"""What is gone is let go of: functions, guards and their threads; and a store that its owner closed is told as such."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable
from pathlib import Path

import pytest

from ledger import Guard, MemoryStore, SqliteStore, StoreUnavailable


def test_a_function_that_was_guarded_once(guard: Guard) -> None:
    def made(order: int) -> Callable[[], int]:
        def charge() -> int:
            return order

        return charge

    charge = made(7)
    assert guard(charge) == 7
    gone = weakref.ref(charge)
    del charge
    gc.collect()
    assert gone() is None


def test_a_class_whose_method_was_guarded_once(guard: Guard) -> None:
    def made() -> type:
        class Till:
            def pay(self, amount: int) -> int:
                return amount

        assert guard(Till().pay, 7) == 7
        return Till

    gone = weakref.ref(made())
    gc.collect()
    assert gone() is None


def test_a_guard_that_nobody_closed_and_its_thread(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    guard = Guard(store=MemoryStore()).quiet()
    assert guard(str, "ada") == "ada"
    [keeper] = set(threading.enumerate()) - before
    del guard
    gc.collect()
    keeper.join(30)
    assert not keeper.is_alive()


def test_what_it_owes_is_still_written(tmp_path: Path) -> None:
    """The store fails as the function ends, and nobody holds the guard any more when it can be written again."""

    class Full(MemoryStore):
        full = False

        def replace(self, change: object) -> bool:
            if self.full:
                raise StoreUnavailable("the disk is full")
            return super().replace(change)  # type: ignore[arg-type]

    store = Full()

    def charge(order: int) -> int:
        store.full = True
        return order

    guard = Guard(store=store).quiet()
    assert guard(charge, 7) == 7
    del guard
    gc.collect()
    store.full = False
    waited = threading.Event()
    for _ in range(300):
        if store.all()[0].status == "success":
            break
        waited.wait(0.1)
    assert store.all()[0].status == "success"


def test_a_store_that_was_closed(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "ledger.db")
    guard = Guard(store=store).quiet()
    guard(str, "ada")
    store.close()
    for to in ("ada", "bob"):
        with pytest.raises(StoreUnavailable, match=r"ledger\.db cannot be used: .*closed"):
            guard(str, to)
