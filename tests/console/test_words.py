"""What one operation's page and `ledger show RECORD` say of it: every event in words, and nothing that is not so."""

from __future__ import annotations

import re

import pytest

from ledger.records import Event, EventType, Kind, Result, Status
from ledger.steps import Outcome
from ledger_console.dashboard.words import detail, sentence
from tests.console.conftest import Agent, Ledger
from tests.console.running import running


@pytest.mark.parametrize("event", EventType)
def test_every_event_has_a_sentence(event: EventType) -> None:
    said = sentence(Event(event, "ab", "tool", "wf", 0.0))
    assert len(said.split()) > 1, said
    assert event.value not in (said, said.lower())


@pytest.mark.parametrize(
    ("event", "told", "said"),
    [
        (EventType.UNKNOWN, {"epoch": 1, "why": "the connection was lost"}, "the connection was lost"),
        (EventType.RESOLVED, {"why": "it was lost", "done": True, "note": "paid", "by": "ada"}, "paid; by ada"),
        (EventType.RELEASED, {"epoch": 1, "why": "it was lost", "note": None, "by": "ada"}, "by ada"),
        (EventType.BLOCKED, {"why": "in flight", "remark": "a fresh key"}, 'in flight; remark="a fresh key"'),
        (EventType.CLAIMED, {"epoch": 2}, ""),
    ],
)  # fmt: skip
def test_what_an_event_says_besides(event: EventType, told: dict[str, object], said: str) -> None:
    """A person's why is their note, never the error that the record had before."""
    assert detail(Event(event, "ab", "tool", "wf", 0.0, None, told)) == said


def test_a_tool_that_raised_is_not_said_to_have_proved_anything(agent: Agent, ledger: Ledger) -> None:
    agent.ask("ab12", Outcome(Status.FAILED, error="ValueError: no"), kind=Kind.CALL, about={})
    agent.ask("cd34", Outcome(Status.FAILED, error="the upstream answered 402"))
    assert ledger("show", "ab12").lines[1] == "It failed, and counts as not happened. The next attempt runs."
    assert ledger("show", "cd34").lines[1] == "It did not happen. The next attempt runs."


def test_an_attempt_that_has_not_ended_is_counted(agent: Agent, ledger: Ledger) -> None:
    agent.starts("ab12")
    assert ["attempts", "1: 1 not ended"] in [line.split(maxsplit=1) for line in ledger("show", "ab12").lines]


def test_an_answer_of_one_long_line_does_not_fill_the_screen(agent: Agent, ledger: Ledger) -> None:
    body = b'{"blob": "' + b"y" * 100_000 + b'"}'
    agent.ask("ab12", Outcome(Status.SUCCESS, result=Result({"status": 200}, body)))
    said = ledger("show", "ab12")
    assert max(map(len, said.lines)) < 1000
    assert "The answer goes on" in said.err


@pytest.mark.parametrize("columns", [24, 48, 80])
def test_sentences_break_between_words_on_a_terminal(agent: Agent, columns: int) -> None:
    agent.ask("ab12", Outcome(Status.UNKNOWN, error="the connection was lost before the answer came"))
    agent.close()
    with running("show", "ab12", "--db", str(agent.path), terminal=True, COLUMNS=str(columns)) as show:
        assert show.sees("timeline")
        assert show.sees("Ask the provider, then settle")
    told = re.split(r"^  id\b", show.seen, maxsplit=1, flags=re.MULTILINE)[0].splitlines()[1:]
    assert max(map(len, told)) <= columns
    assert "Nobody knows whether it happened." in " ".join(told)
    told = show.seen.partition("timeline")[2].partition("answer")[0].splitlines()
    assert max(map(len, told)) <= max(columns, 31), "a moment is never broken"


def test_in_a_pipe_a_sentence_stays_one_line(agent: Agent, ledger: Ledger) -> None:
    agent.ask("ab12", Outcome(Status.UNKNOWN, error="the connection was lost"), times=2)
    said = ledger("show", "ab12")
    assert any(line.endswith("No answer came: it may have happened: the connection was lost") for line in said.lines)
