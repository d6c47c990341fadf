"""Fixtures of the core tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.ports import SyncStore
from ledger.stores.memory import MemoryStore
from ledger.stores.sqlite import SqliteStore
from tests.core.world import AwaitedStore


@pytest.fixture(params=["memory", "sqlite", "async-sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SyncStore]:
    """Every store passes the same stories."""
    opened: SyncStore
    match request.param:
        case "memory":
            opened = MemoryStore()
        case "sqlite":
            opened = SqliteStore(tmp_path / "ledger.db")
        case _:
            opened = AwaitedStore(tmp_path / "ledger.db")
    yield opened
    opened.close()
