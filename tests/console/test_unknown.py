"""`ledger unknown`: the list that somebody reads at three in the morning."""

from __future__ import annotations

import re
import shlex

from ledger.records import Status
from tests.console.conftest import Agent, Ledger


def test_each_waits_with_the_two_commands_that_settle_it_and_they_work(agent: Agent, ledger: Ledger) -> None:
    agent.ask("a1", Status.UNKNOWN, times=2, wf="order-42")
    agent.crashes("b2")
    agent.ask("c3")
    said = ledger("unknown")
    assert "2 wait. Ask the provider first" in said.err
    typed = [line.partition(": ")[2].strip() for line in said.lines if "it happened" in line]
    assert len(typed) == 2
    for command in typed:
        assert ledger(*shlex.split(command)[1:]).code == 0
    after = ledger("unknown")
    assert (after.code, after.out) == (0, "Nothing waits for a person.\n")


def test_every_command_that_is_named_names_the_ledger_that_was_named(agent: Agent, ledger: Ledger) -> None:
    """At three in the morning a command is copied, and must not be about another ledger."""
    agent.ask("a1", Status.UNKNOWN)
    for number in range(12):
        agent.ask(f"b{number}", tool=f"tool-{number}", caller=f"agent-{number}")
    agent.close()
    path = agent.path.rename(agent.path.with_name("shop.db"))
    for command in ("unknown", "show", "show a1", "stats", "purge --older-than 2999-01-01 --yes"):
        said = ledger(*command.split(), "--db", path)
        commands = re.findall(r"(?:`|: +|^ +)(ledger [^`#\n]*)", said.out + said.err, re.MULTILINE)
        assert commands, said
        assert [one for one in commands if f"--db {path}" not in one] == [], command


def test_scripts_get_records(agent: Agent, ledger: Ledger) -> None:
    agent.ask("a1", Status.UNKNOWN)
    agent.starts("d4")
    assert [record["id"] for record in ledger("unknown", "--json").json] == ["a1"]


def test_what_a_person_allowed_to_run_does_not_wait(agent: Agent, ledger: Ledger) -> None:
    agent.ask("a1", Status.UNKNOWN)
    assert ledger("retry", "a1").code == 0
    assert ledger("unknown").out == "Nothing waits for a person.\n"


def test_the_numbers_count_what_the_list_lists(agent: Agent, ledger: Ledger) -> None:
    """What a person released waits no more; what was running when its process ended does, marked or not."""
    agent.ask("a1", Status.UNKNOWN)
    agent.ask("b2", Status.UNKNOWN)
    agent.crashes("c3")
    agent.starts("d4")
    for waiting in (3, 2, 1, 0):
        listed = ledger("unknown", "--json").json
        assert len(listed) == waiting
        assert ledger("stats", "--json").json[0]["unresolved"] == waiting
        assert ("wait" in ledger("stats").err) == bool(waiting)
        if listed:
            assert ledger("retry", listed[0]["id"]).code == 0
