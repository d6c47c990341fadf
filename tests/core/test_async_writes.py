"""The asynchronous store's writes: on the loop while nobody is in the way, never in the loop's way."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest

from ledger import clock
from ledger.errors import StoreUnavailable
from ledger.lifecycle import Change, Claimant, first_claim
from ledger.records import Record
from ledger.stores.sqlite_async import AsyncSqliteStore
from ledger.stores.worker import Worker


def claim(id: str, **fields: object) -> Change:
    return first_claim(Record(id=id, tool="charge", **fields), Claimant("me"), clock.now())  # type: ignore[arg-type]


async def test_the_loop_turns_while_another_process_holds_the_ledger(tmp_path: Path) -> None:
    store = AsyncSqliteStore(tmp_path / "ledger.db")
    other = sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    writing = asyncio.create_task(store.insert(claim("a1")))
    for _ in range(20):
        await asyncio.sleep(0.005)
    assert not writing.done()
    other.execute("COMMIT")
    assert await writing
    other.close()
    await store.close()


async def test_a_caller_that_gives_up_leaves_a_write_that_still_happens(tmp_path: Path) -> None:
    store = AsyncSqliteStore(tmp_path / "ledger.db")
    leaving = asyncio.create_task(store.insert(claim("a1")))
    await asyncio.sleep(0)
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    assert await store.insert(claim("b2"))
    assert await store.look(claim("a1").record) is not None
    await store.close()


async def test_one_that_cannot_be_written_fails_nobody_in_its_batch(tmp_path: Path) -> None:
    store = AsyncSqliteStore(tmp_path / "ledger.db")
    together = [store.insert(claim("a1")), store.insert(claim("b2", caller="\ud800")), store.insert(claim("c3"))]
    good, bad, late = await asyncio.gather(*together, return_exceptions=True)
    assert (good, late) == (True, True)
    assert isinstance(bad, StoreUnavailable)
    assert await store.look(claim("c3").record) is not None
    await store.close()


async def test_a_worker_does_its_jobs_in_order_and_ends_when_asked() -> None:
    worker, done = Worker("a-worker"), list[int]()
    first, second = worker.submit(lambda: done.append(1) or "one"), worker.submit(lambda: done.append(2) or "two")
    assert (await first, await second) == ("one", "two")
    left = worker.submit(lambda: done.append(3))
    left.cancel()
    worker.close()
    assert done == [1, 2, 3]
    await asyncio.sleep(0)
