"""Fixtures of the core tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.ownstores import lift
from ledger.ports import SyncStore
from ledger.stores.memory import MemoryStore
from ledger.stores.sqlite import SqliteStore
from tests.core.bare import AwaitedDictStore, DictStore
from tests.core.world import AwaitedStore

OURS = ("memory", "sqlite", "async-sqlite")
LIFTED = ("six methods", "six methods, awaited")


@pytest.fixture(params=[*OURS, *LIFTED])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SyncStore]:
    """Every store passes the same stories."""
    opened = _open(request.param, tmp_path)
    yield opened
    opened.close()


@pytest.fixture(params=OURS)
def our_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SyncStore]:
    """For the stories that six methods cannot tell: see `test_lifted.TestWhatSixMethodsCannotDo`."""
    opened = _open(request.param, tmp_path)
    yield opened
    opened.close()


def _open(kind: str, folder: Path) -> SyncStore:
    match kind:
        case "memory":
            return MemoryStore()
        case "sqlite":
            return SqliteStore(folder / "ledger.db")
        case "async-sqlite":
            return AwaitedStore(folder / "ledger.db")
        case "six methods":
            return lift(DictStore())
        case _:
            return lift(AwaitedDictStore())
