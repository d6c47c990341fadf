"""What people write at their first try: one line that names the thing and says what to write instead."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from langchain_core.tools import StructuredTool

from ledger import Guard, LedgerError, _Mem


def send(to: str) -> str:
    """Send one."""
    return to


TOOL = StructuredTool.from_function(send)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (lambda guard: guard.policy(send, on_unknown="rerun"), r"on_unknown must be 'hold' or 'retry', not 'rerun'"),
        (lambda guard: guard.policy(send, on_unknown="resend"), r"on_unknown must be 'hold' or 'retry', not 'resend'"),
        (lambda guard: guard.history(limit="10"), r"limit must be a whole number of at least 1, not '10'"),
        (lambda guard: guard.history(limit=0), r"limit must be a whole number of at least 1, not 0"),
        (lambda guard: guard(TOOL, to="ada"), r"send is a tool object.*guard\.wrap_tools\(\[send\]\)"),
        (lambda guard: guard.force(TOOL, to="ada"), r"send is a tool object.*guard\.wrap_tools\(\[send\]\)"),
        (lambda guard: Guard(store=_Mem), r"_Mem is a class, no store; write Guard\(store=_Mem\(\)\)"),
    ],
)
def test_it_is_refused_in_one_line(guard: Guard, wrong: Callable[[Guard], Any], told: str) -> None:
    with pytest.raises((TypeError, ValueError), match=told) as refused:
        wrong(guard)
    assert "\n" not in str(refused.value)
    assert guard.stats()["attempts"] == 0


@pytest.mark.parametrize(
    ("path", "told"),
    [(".", r"it is a folder; name a file in it"), ("missing/ledger.db", r"there is no folder .*missing")],
)
def test_a_ledger_that_can_be_at_no_such_place(tmp_path: Path, path: str, told: str) -> None:
    with pytest.raises(LedgerError, match=told):
        Guard().persist(tmp_path / path)
