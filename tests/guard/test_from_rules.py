"""`Guard.from_rules`: the policies of guarded functions, from the same file as the rules of requests."""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger import Guard, MemoryStore
from ledger_rules import RulesError
from tests.guard.conftest import Tool


def test_the_tools_of_a_rules_file_are_policies(tmp_path: Path, tool: Tool) -> None:
    (tmp_path / "ledger.yaml").write_text(
        "version: 1\n"
        "tools:\n"
        "  charge: {max: 2, window: 24h}\n"
        "  acharge: {replay: true}\n"
        "  len: {unlimited: true}\n"
        "  send: {timeout: never, on_unknown: retry}\n"
    )
    guard = Guard.from_rules(tmp_path / "ledger.yaml", MemoryStore()).quiet()
    assert [guard(tool.charge, "a") is not None for _ in range(3)] == [True, True, False]
    assert [guard(len, "abc") for _ in range(3)] == [3, 3, 3]

    def send() -> None:
        raise TimeoutError

    for _ in range(2):
        with pytest.raises(TimeoutError):
            guard(send)
    assert guard._engine.store.all()[0].timeout is None  # type: ignore[attr-defined]
    guard.close()


def test_a_mistake_in_the_file_is_told_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "ledger.yaml").write_text("version: 1\ntools:\n  charge: {maximum: 2}\n")
    with pytest.raises(RulesError, match=r"ledger\.yaml:3:.*maximum"):
        Guard.from_rules(tmp_path / "ledger.yaml")
    with pytest.raises(RulesError, match=r"nowhere\.yaml"):
        Guard.from_rules(tmp_path / "nowhere.yaml")
