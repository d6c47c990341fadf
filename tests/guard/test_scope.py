"""Workflows and callers: local to a context, with a default for contexts that set none."""

from __future__ import annotations

import asyncio
import threading

import pytest

from ledger import Guard
from tests.guard.conftest import Tool


def where(guard: Guard) -> list[tuple[str, str | None]]:
    return [(r.wf, r.caller) for r in reversed(guard._engine.store.all())]


def test_the_default_workflow_is_the_environments(guard: Guard, tool: Tool, monkeypatch: pytest.MonkeyPatch) -> None:
    guard(tool.charge, "a")
    monkeypatch.setenv("LEDGER_WORKFLOW", "run-42")
    guard(tool.charge, "a")
    assert where(guard) == [("default", None), ("run-42", None)]


def test_as_a_statement_it_holds_from_now_on_and_in_new_threads(guard: Guard, tool: Tool) -> None:
    guard.workflow("order-1")
    guard.as_caller("agent-A")
    guard(tool.charge, "a")
    worker = threading.Thread(target=lambda: guard(tool.charge, "b"))
    worker.start()
    worker.join()
    assert where(guard) == [("order-1", "agent-A")] * 2


def test_a_with_is_local_and_ends(guard: Guard, tool: Tool) -> None:
    guard.workflow("day")
    with guard.workflow("order-1"):
        guard(tool.charge, "a")
        with guard.workflow("order-1/refund"), guard.as_caller("B"):
            guard(tool.charge, "b")
        worker = threading.Thread(target=lambda: guard(tool.charge, "c"))
        worker.start()
        worker.join()
    guard(tool.charge, "d")
    assert where(guard) == [("order-1", None), ("order-1/refund", "B"), ("day", None), ("day", None)]


def test_an_exception_ends_it_too(guard: Guard, tool: Tool) -> None:
    with pytest.raises(ZeroDivisionError), guard.workflow("order-1"):
        _ = 1 / 0
    guard(tool.charge, "a")
    assert where(guard) == [("default", None)]


async def test_tasks_that_serve_different_orders_never_mix(guard: Guard, tool: Tool) -> None:
    async def serve(order: int) -> None:
        guard.workflow(f"order-{order}")
        await asyncio.sleep(0)
        await guard(tool.acharge, "same customer")

    await asyncio.gather(*(serve(n) for n in range(10)))
    assert sorted(wf for wf, _ in where(guard)) == sorted(f"order-{n}" for n in range(10))
    assert len(tool.effects) == 10


def test_two_guards_do_not_share_a_workflow(guard: Guard, tool: Tool) -> None:
    other = Guard(store=guard._engine.store)
    other.workflow("theirs")
    guard(tool.charge, "a")
    assert where(guard) == [("default", None)]
    other.close()
