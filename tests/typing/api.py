"""The public surface as a user's type checker sees it; `scripts/check` runs mypy over it. Nothing here is executed."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, assert_type

from ledger import Guard, MemoryStore, OutcomeUnknown, Record, SqliteStore, Status, Store, _Mem, guard


def charge(customer: str, amount: float) -> dict[str, int]:
    return {"amount": int(amount)}


async def post(url: str) -> int:
    return len(url)


class Mine(Store):
    """A store of the user's own needs no annotation to be one."""

    def get(self, id: str) -> Any:
        return None

    def claim(self, r: Any) -> bool:
        return True

    def put(self, r: Any) -> None: ...
    def delete(self, id: str) -> None: ...

    def all(self, wf: str | None = None) -> list[Any]:
        return []

    def clear(self, wf: str | None = None) -> None: ...


@guard.once
def refund(charge: str) -> bool:
    return True


@guard.once(replay=True, key="post-{url}")
async def notify(url: str) -> int:
    return 0


def seen(record: Record) -> None:
    assert_type(record.status, Status)
    assert_type(record.blocked, int)


async def use() -> None:
    assert_type(guard(charge, "a", amount=1), dict[str, int] | None)
    assert_type(guard(charge, "a", 1, key="k"), dict[str, int] | None)
    call: Coroutine[Any, Any, int | None] = guard(post, "x")
    assert_type(await call, int | None)
    assert_type(await guard(post, "x"), int | None)
    assert_type(refund("c"), bool)
    assert_type(await notify("x"), int)
    assert_type(guard.wrap_tools({"charge": charge})["charge"]("a", 1), dict[str, int])
    tools: list[Callable[..., object]] = guard.wrap_tools([charge, refund])
    tools[0]("a")
    with guard.workflow("order-1"), guard.as_caller("A"):
        guard.policy(charge, max=2, ttl=60).policy("post", replay=True, timeout=None).quiet()
    guard.on_success(seen).on_block(seen).on_failure(seen).on_unknown(lambda r: r.wf)
    assert_type(guard.stats()["executed"], int)
    assert_type(guard.history(tool=charge, wf="order-1", limit=10), list[dict[str, Any]])
    try:
        guard.force(charge, "a", 1)
    except OutcomeUnknown as held:
        guard.resolve(held.record, done=True)
    for made in (Guard(), Guard(store=_Mem()), Guard(store=MemoryStore(), strict=True), Guard(store=Mine())):
        made.retry(charge, "a", 1)
        made.persist("x.db").close()
    assert_type(Guard.from_rules("ledger.yaml", SqliteStore("x.db")), Guard)
