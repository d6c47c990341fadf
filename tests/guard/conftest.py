"""Fixtures of the guard tests."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger import Guard, MemoryStore, SqliteStore

# The lock has openai-agents for 3.13 and newer only: see pyproject.toml.
collect_ignore = ["test_frameworks.py"] if sys.version_info < (3, 13) else []


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nobody's real ledger, and none of the developer's settings."""
    for name in ("LEDGER_WORKFLOW", "LEDGER_QUIET", "LEDGER_STRICT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LEDGER_DB", str(tmp_path / "ledger.db"))


@pytest.fixture(params=["memory", "file"])
def guard(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Guard]:
    store = MemoryStore() if request.param == "memory" else SqliteStore(tmp_path / "guard.db")
    made = Guard(store=store)
    yield made
    made.close()
    store.close()


class Tool:
    """A tool that remembers its effects."""

    def __init__(self) -> None:
        self.effects: list[tuple[object, ...]] = []
        self.raises: list[BaseException] = []

    def charge(self, customer: str, amount: float = 0.0, note: object = None) -> dict[str, object]:
        self.effects.append((customer, amount))
        if self.raises:
            raise self.raises.pop(0)
        return {"id": f"ch_{len(self.effects)}"}

    async def acharge(self, customer: str, amount: float = 0.0) -> dict[str, object]:
        return self.charge(customer, amount)


@pytest.fixture
def tool() -> Tool:
    return Tool()
