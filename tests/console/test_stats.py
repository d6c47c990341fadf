"""`ledger stats`: the numbers, and the identity they obey."""

from __future__ import annotations

from ledger.records import Status
from tests.console.conftest import Agent, Ledger


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
    assert lines[-1][:2] == ["duplicates", "54.5%"]


def test_an_empty_ledger_has_zeros(agent: Agent, ledger: Ledger) -> None:
    (s,) = ledger("stats", "--json").json
    assert set(s.values()) == {0}
    assert ledger("stats").code == 0
