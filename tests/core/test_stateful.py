"""Any interleaving of workers, crashes, pauses and people keeps the promise, on every kind of store."""

from __future__ import annotations

import itertools
import shutil
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import settings

from ledger.ownstores import lift
from ledger.ports import SyncStore
from ledger.records import Event
from ledger.stores.memory import MemoryStore
from ledger.stores.sqlite import SqliteStore
from tests.core.bare import DictStore
from tests.core.workers import OPERATIONS, Workers


class Alternately:
    """Two processes' view of one store of a user's own: what is asked goes to one and the other in turn."""

    def __init__(self, rows: DictStore) -> None:
        self._both = [lift(rows), lift(rows)]
        self._turns = itertools.cycle(self._both)

    def events(self, limit: int) -> list[Event]:
        return [event for store in self._both for event in store.events(limit=limit)]

    def __getattr__(self, name: str) -> Any:
        return getattr(next(self._turns), name)


class OnSixMethods(Workers):
    """It has no content to compare: only guarded calls are kept there."""

    def open_store(self) -> SyncStore:
        store: Any = Alternately(DictStore())
        return store  # type: ignore[no-any-return]

    def _arrive(self, id: str) -> int:
        return super()._arrive("a1" if OPERATIONS[id][0].content_id else id)


class InMemory(Workers):
    def open_store(self) -> SyncStore:
        return MemoryStore()


class OnFile(Workers):
    def open_store(self) -> SyncStore:
        self.folder = Path(tempfile.mkdtemp())
        return SqliteStore(self.folder / "ledger.db", durability="normal")

    def teardown(self) -> None:
        super().teardown()
        shutil.rmtree(self.folder)


TestInMemory: Any = InMemory.TestCase
TestInMemory.settings = settings(max_examples=120, stateful_step_count=50, deadline=None)
TestOnSixMethods: Any = OnSixMethods.TestCase
TestOnSixMethods.settings = settings(max_examples=40, stateful_step_count=50, deadline=None)
TestOnFile: Any = OnFile.TestCase
TestOnFile.settings = settings(max_examples=40, stateful_step_count=50, deadline=None)
