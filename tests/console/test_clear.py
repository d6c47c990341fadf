"""`ledger clear`: says, asks, and never loses an open record by accident."""

from __future__ import annotations

import io

import pytest

from ledger.records import Status
from tests.console.conftest import Agent, Ledger


def _ids(agent: Agent) -> set[str]:
    return {r.id for r in agent.store.all()}


def _each_kind(agent: Agent) -> None:
    agent.ask("a1")
    agent.ask("b2", Status.FAILED)
    agent.ask("c3", Status.UNKNOWN)
    agent.starts("d4")


def test_open_records_stay(agent: Agent, ledger: Ledger) -> None:
    _each_kind(agent)
    said = ledger("clear", "--yes")
    assert said.code == 0
    assert said.out == "Removed 1 success, 1 failed.\n"
    assert "Kept: 1 running, 1 unknown" in said.err
    assert _ids(agent) == {"c3", "d4"}


def test_force_removes_them_too(agent: Agent, ledger: Ledger) -> None:
    _each_kind(agent)
    said = ledger("clear", "--yes", "--force")
    assert said.out == "Removed 1 success, 1 failed, 1 running, 1 unknown.\n"
    assert "may have had their effect, and would have it again" in said.err
    assert _ids(agent) == set()


def test_one_workflow(agent: Agent, ledger: Ledger) -> None:
    agent.ask("a1", wf="one")
    agent.ask("b2", wf="two")
    ledger("clear", "--wf", "one", "--yes")
    assert _ids(agent) == {"b2"}


def test_what_was_removed_runs_again_and_the_journal_says_why(agent: Agent, ledger: Ledger) -> None:
    agent.ask("a1")
    ledger("clear", "--yes")
    assert agent.ask("a1").answer == "executed"
    assert [e["event"] for e in ledger("tail", "--no-follow", "--json").json][2:4] == ["cleared", "claimed"]


def test_without_a_terminal_it_needs_yes(agent: Agent, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    agent.ask("a1")
    said = ledger("clear")
    assert said.code == 2
    assert "--yes" in said.err
    assert _ids(agent) == {"a1"}


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("answer", "code", "left"), [("y\n", 0, set()), ("n\n", 1, {"a1"}), ("\n", 1, {"a1"})])
def test_asks(
    agent: Agent, ledger: Ledger, monkeypatch: pytest.MonkeyPatch, answer: str, code: int, left: set[str]
) -> None:
    monkeypatch.setattr("sys.stdin", _Terminal(answer))
    agent.ask("a1")
    said = ledger("clear")
    assert said.code == code
    assert "1 success" in said.err
    assert _ids(agent) == left


def test_nothing_to_remove(agent: Agent, ledger: Ledger) -> None:
    assert ledger("clear") == (0, "Nothing to remove.\n", "")


def test_before_a_moment_leaves_what_came_later(agent: Agent, ledger: Ledger) -> None:
    agent.ask("a1")
    assert ledger("clear", "--before", "1h", "--yes").out == "Nothing to remove.\n"
    assert "Removed 1 success" in ledger("clear", "--before", "2999-01-01", "--yes").out
    assert ledger("clear", "--before", "soon", "--yes").code == 2
