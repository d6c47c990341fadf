"""`ledger stats`: the numbers, and the identity they obey."""

from __future__ import annotations

import re

import pytest

from ledger.records import Status
from ledger_console.stats import sparkline
from tests.console.conftest import Agent, Ledger
from tests.console.running import running


def _busy(agent: Agent) -> None:
    agent.ask("a1", times=5)
    agent.ask("b2", Status.FAILED, times=2)
    agent.ask("c3", Status.UNKNOWN, times=3, wf="order-42")
    agent.starts("d4")


def test_json_is_one_object_that_adds_up(agent: Agent, ledger: Ledger) -> None:
    _busy(agent)
    (s,) = ledger("stats", "--json").json
    assert (s["actions"], s["attempts"], s["executed"], s["replayed"]) == (4, 11, 1, 4)
    assert (s["failed"], s["unknown"], s["held"], s["running"], s["unresolved"]) == (2, 1, 2, 1, 1)
    assert s["blocked"] == s["replayed"] + s["refused"] + s["held"] + s["conflicts"] == 6
    assert s["attempts"] == s["executed"] + s["failed"] + s["unknown"] + s["blocked"] + s["running"]


def test_filtered(agent: Agent, ledger: Ledger) -> None:
    _busy(agent)
    (s,) = ledger("stats", "--json", "--wf", "order-42").json
    assert (s["actions"], s["attempts"], s["executed"]) == (1, 3, 0)


def test_plain_text_names_each_number_and_the_rate(agent: Agent, ledger: Ledger) -> None:
    _busy(agent)
    lines = [line.split() for line in ledger("stats").lines]
    assert ["attempts", "11"] in lines
    assert ["duplicates", "54.5%"] in [line[:2] for line in lines]


def test_an_empty_ledger_has_zeros(agent: Agent, ledger: Ledger) -> None:
    (s,) = ledger("stats", "--json").json
    assert set(s.values()) == {0}
    assert ledger("stats").code == 0


def test_where_all_is_quiet_it_says_since_when(agent: Agent, ledger: Ledger) -> None:
    assert ledger("stats").err == "Nothing was asked yet.\n"
    agent.ask("a1")
    said = ledger("stats").err
    assert said.startswith("The last event was ")
    assert said.endswith("s ago.\n")
    assert ledger("stats", "--tool", "other").err == ""
    assert ledger("stats", "--json").err == ""


def test_each_tool_and_caller_has_its_line(agent: Agent, ledger: Ledger) -> None:
    _busy(agent)
    agent.ask("e5", tool="email", caller="agent-B", times=3)
    assert [(one["tool"], one["attempts"]) for one in ledger("stats", "--by", "tool", "--json").json] == [
        ("stripe.charges", 10),
        ("email", 3),
        ("slow", 1),
    ]
    assert ["agent-B", "3", "1", "2", "0", "0"] in [line.split() for line in ledger("stats", "--by", "caller").lines]


def test_a_breakdown_nobody_knows_is_one_line(agent: Agent, ledger: Ledger) -> None:
    said = ledger("stats", "--by", "colour")
    assert (said.code, said.err.count("\n")) == (2, 1)
    assert "'tool', 'wf', 'caller'" in said.err
    assert "Did you mean 'caller'" in ledger("stats", "--by", "calers").err


def test_callers_are_counted_with_what_was_removed_and_that_is_said(agent: Agent, ledger: Ledger) -> None:
    for caller in ("A", "B"):
        agent.ask(f"{caller.lower()}1", caller=caller)
    assert "removed" not in ledger("stats").err
    assert ledger("clear", "--caller", "A", "--yes").code == 0
    said = ledger("stats")
    assert ["A", "1", "1", "0", "0", "0"] in [line.split() for line in said.lines]
    assert "By caller, removed records count, too." in said.err


def test_since_counts_what_happened_then(agent: Agent, ledger: Ledger) -> None:
    _busy(agent)
    (all_of_it,) = ledger("stats", "--since", "24h", "--json").json
    (none_of_it,) = ledger("stats", "--until", "2020-01-01", "--json").json
    assert (all_of_it["attempts"], none_of_it["attempts"]) == (11, 0)


def test_a_moment_that_is_none_is_one_line(agent: Agent, ledger: Ledger) -> None:
    said = ledger("stats", "--since", "soon")
    assert said.code == 2
    assert said.err.startswith("ledger: --since soon: give how long ago")


def test_a_sparkline_is_highest_where_most_happened() -> None:
    assert sparkline([0, 1, 4, 8]) == "▁▂▅█"
    assert sparkline([0, 0]) == "▁▁"
    assert sparkline([0, 1, 1000]) == "▁▂█"


@pytest.mark.parametrize(("columns", "lines"), [(80, 2), (160, 1)])
def test_the_bar_fits_the_terminal(agent: Agent, columns: int, lines: int) -> None:
    agent.ask("a1", times=4)
    with running("stats", terminal=True, COLUMNS=str(columns)) as stats:
        assert stats.sees("3 of 4 attempts were answered without running again")
        stats.sees("no such text: read until it ends")
    shown = re.sub(r"\x1b\[[0-9;]*m", "", stats.seen).replace("\r", "").splitlines()
    assert max(map(len, shown)) <= columns
    at = next(n for n, line in enumerate(shown) if line.startswith("duplicates"))
    assert "█" * 30 + "░" * 10 + "  75.0%" in shown[at]
    assert "3 of 4 attempts" in shown[at + lines - 1]


def test_who_watches_sees_the_numbers_change(agent: Agent) -> None:
    agent.ask("a1")
    with running("stats", "--watch", "--json", terminal=False) as stats:
        assert stats.sees('"attempts": 1,')
        agent.ask("a1", times=2)
        assert stats.sees('"attempts": 3,')
        assert stats.interrupted() == 0


def test_who_watches_on_a_terminal_has_one_screen(agent: Agent) -> None:
    agent.ask("a1", times=3)
    with running("stats", "--watch", terminal=True, NO_COLOR="1") as stats:
        assert stats.sees("66.7%")
        agent.ask("a1")
        assert stats.sees("75.0%")
        assert stats.interrupted() == 0
    assert "Traceback" not in stats.seen


def test_who_watches_goes_on_with_the_ledger_that_took_the_place(agent: Agent) -> None:
    agent.ask("a1")
    with running("stats", "--watch", "--json", terminal=False) as stats:
        assert stats.sees('"attempts": 1,')
        agent.close()
        for file in agent.path.parent.glob("ledger.db*"):
            file.unlink()
        other = Agent(agent.path)
        other.ask("b2", times=7)
        other.close()
        assert stats.sees('"attempts": 7,')
        assert stats.interrupted() == 0
