"""`ledger tail`: the journal live, on pipes and on a terminal."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from ledger.records import Event, EventType, Status
from ledger.stores.sqlite_view import SqliteView
from ledger_console.tail import leaves
from tests.console.conftest import Agent, Ledger
from tests.console.running import PATIENCE, running

FIELDS = {"seq", "at", "event", "record", "tool", "wf", "caller", "detail"}


def _events(ledger: Ledger, *words: str) -> list[tuple[str, str]]:
    return [(e["event"], e["record"]) for e in ledger("tail", "--no-follow", "--json", *words).json]


def test_the_end_of_the_journal(agent: Agent, ledger: Ledger) -> None:
    agent.ask("a1", times=20)
    agent.ask("b2")
    assert _events(ledger, "-n", "3") == [("replayed", "a1"), ("claimed", "b2"), ("succeeded", "b2")]
    assert len(_events(ledger)) == 10
    assert len(_events(ledger, "-n", "1000")) == 23
    assert _events(ledger, "-n", "0") == []


def test_json_has_the_promised_fields(agent: Agent, ledger: Ledger) -> None:
    agent.ask("a1", wf="order-42", caller="x")
    claimed, succeeded = ledger("tail", "--no-follow", "--json").json
    assert claimed.keys() >= FIELDS
    assert (claimed["seq"], claimed["wf"], claimed["caller"], succeeded["seq"]) == (1, "order-42", "x", 2)
    assert claimed["at"].endswith("Z")


def test_plain_lines_are_tab_separated(agent: Agent, ledger: Ledger) -> None:
    agent.ask("a1", wf="order-42")
    claimed, _ = ledger("tail", "--no-follow").lines
    assert claimed.split("\t")[1:] == ["claimed", "a1", "stripe.charges", "order-42", "-", "epoch=1"]


def test_filters(agent: Agent, ledger: Ledger) -> None:
    agent.ask("a1", wf="one", caller="x")
    agent.ask("b2", Status.UNKNOWN, times=2, tool="resend.emails")
    assert _events(ledger, "--wf", "one") == [("claimed", "a1"), ("succeeded", "a1")]
    assert _events(ledger, "--caller", "x") == [("claimed", "a1"), ("succeeded", "a1")]
    assert _events(ledger, "--tool", "resend.emails", "--status", "unknown") == [("unknown", "b2"), ("held", "b2")]
    assert _events(ledger, "--limit", "1") == [("claimed", "a1")]


def test_a_resolved_event_left_what_the_person_said() -> None:
    def resolved(done: bool) -> Event:
        return Event(EventType.RESOLVED, "a1", "t", "default", 0.0, None, {"done": done})

    assert (leaves(resolved(True)), leaves(resolved(False))) == (Status.SUCCESS, Status.FAILED)


def test_never_reads_the_whole_journal(agent: Agent, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    agent.ask("a1", times=500)
    asked: list[int] = []
    read = SqliteView.events

    def counted(store: SqliteView, after: int, *rest: object) -> list[Event]:
        found = read(store, after, *rest)
        asked.append(after)
        return found

    monkeypatch.setattr(SqliteView, "events", counted)
    assert _events(ledger, "-n", "5", "--wf", "nowhere") == []
    assert min(asked) == 496


@pytest.mark.parametrize("terminal", [True, False])
def test_events_appear_as_they_are_committed(agent: Agent, terminal: bool) -> None:
    agent.ask("a1")
    with running("tail", terminal=terminal) as tail:
        assert tail.sees("succeeded")
        agent.ask("b2", wf="order-42")
        assert tail.sees("order-42")
        agent.ask("c3", Status.UNKNOWN)
        assert tail.sees("c3")
        assert tail.interrupted() == 0
        assert "Traceback" not in tail.seen
        assert "Aborted" not in tail.seen


def test_a_commit_while_it_starts_is_not_missed(agent: Agent) -> None:
    stop = threading.Event()

    def busy() -> None:
        number = 0
        while not stop.wait(0.002):
            number += 1
            agent.ask(f"{number:08x}")

    worker = threading.Thread(target=busy)
    worker.start()
    try:
        with running("tail", "--json", "-n", "1", "--limit", "300", terminal=False) as tail:
            tail.sees("no such text: read until it ends")
            assert tail.process.wait(PATIENCE) == 0
    finally:
        stop.set()
        worker.join()
    seqs = [json.loads(line)["seq"] for line in tail.seen.splitlines()]
    assert seqs == list(range(seqs[0], seqs[0] + 300))


def test_colour_only_where_it_is_wanted(agent: Agent) -> None:
    agent.ask("a1")
    with running("tail", "--no-follow", terminal=True) as tail:
        assert tail.sees("succeeded")
        assert "\x1b[" in tail.seen
    with running("tail", "--no-follow", terminal=True, NO_COLOR="1") as tail:
        assert tail.sees("succeeded")
        assert "\x1b" not in tail.seen


def test_following_writes_nothing(agent: Agent, tmp_path: Path) -> None:
    agent.ask("a1")
    files = (agent.path, tmp_path / "ledger.db-wal")
    # Not by their content: opening a file here would drop this process's locks on it when it is closed.
    before = [(file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    with running("tail", terminal=False) as tail:
        assert tail.sees("succeeded")
        assert tail.interrupted() == 0
    assert [(file.stat().st_size, file.stat().st_mtime_ns) for file in files] == before


def _put(file: Path, place: Path) -> None:
    """In place of a ledger, without its log: https://sqlite.org/howtocorrupt.html, 1.4."""
    for log in place.parent.glob(f"{place.name}-*"):
        log.unlink()
    file.rename(place)


@pytest.mark.parametrize("terminal", [True, False])
def test_goes_on_with_the_ledger_that_took_the_place(agent: Agent, terminal: bool) -> None:
    agent.ask("a1", wf="before")
    with running("tail", terminal=terminal) as tail:
        assert tail.sees("before")
        agent.close()
        for file in agent.path.parent.glob("ledger.db*"):
            file.unlink()
        assert tail.sees("there is no ledger at ledger.db; waiting for one"), tail.seen
        for number in range(2):
            Agent(agent.path.with_name("other.db")).close()
            _put(agent.path.with_name("other.db"), agent.path)
            other = Agent(agent.path)
            other.ask(f"b{number}", wf=f"after-{number}")
            other.close()
            assert tail.sees(f"after-{number}"), tail.seen
        assert tail.seen.count("was replaced; going on with the new one") == 2
        assert tail.interrupted() == 0
        assert "Traceback" not in tail.seen


@pytest.mark.parametrize("empty", [True, False])
def test_a_ledger_that_is_not_there_yet_is_waited_for_and_told_whole(tmp_path: Path, empty: bool) -> None:
    """As in the first five minutes: `tail` on one terminal, and then the agent on another."""
    place = tmp_path / "ledger.db"
    if empty:
        place.touch()
    with running("tail", "--json", "-n", "1", terminal=False) as tail:
        assert tail.sees("waiting for one to be there"), tail.seen
        assert tail.seen.count("\n") == 1
        assert [file.name for file in tmp_path.iterdir()] == ["ledger.db"] * empty
        agent = Agent(place)
        agent.ask("a1", times=3)
        assert tail.sees("replayed"), tail.seen
        agent.close()
        assert tail.sees('"event": "claimed"'), tail.seen
        assert tail.interrupted() == 0


@pytest.mark.parametrize(
    ("where", "said"),
    [("nowhere/ledger.db", "there is no folder nowhere"), ("./", "is a folder; give the path of a ledger")],
)
def test_where_no_ledger_can_come_nothing_is_waited_for(ledger: Ledger, where: str, said: str) -> None:
    answer = ledger("tail", where)
    assert (answer.code, answer.out, answer.err.count("\n")) == (2, "", 1)
    assert said in answer.err


def test_where_nothing_happened_it_says_so(agent: Agent, ledger: Ledger) -> None:
    assert ledger("tail", "--no-follow") == (0, "", "no events\n")
    agent.ask("a1")
    assert ledger("tail", "--no-follow", "--status", "unknown") == (0, "", "no events match\n")
    assert ledger("tail", "--no-follow", "-n", "0", "--json") == (0, "", "")


def test_the_past_of_a_restored_copy_is_not_told_again(agent: Agent, ledger: Ledger) -> None:
    agent.ask("a1", wf="long-ago")
    ledger("backup", "copy.db")
    agent.ask("a2", wf="not-in-the-copy")
    with running("tail", "--json", "-n", "1", terminal=False) as tail:
        assert tail.sees("not-in-the-copy")
        _put(agent.path.with_name("copy.db"), agent.path)
        other = Agent(agent.path)
        other.ask("a3", wf="now")
        assert tail.sees("now")
        other.close()
        assert "long-ago" not in tail.seen


def test_what_is_put_in_the_place_and_is_no_ledger_is_said(agent: Agent) -> None:
    agent.ask("a1", wf="before")
    with running("tail", terminal=False) as tail:
        assert tail.sees("before")
        (agent.path.parent / "notes").write_text("not a database, " * 100)
        _put(agent.path.parent / "notes", agent.path)
        assert tail.sees("not a readable ledger"), tail.seen
        assert tail.interrupted() == 0


def test_many_writers(agent: Agent) -> None:
    def write(name: str) -> None:
        own = Agent(agent.path)
        for number in range(25):
            own.ask(f"{name}{number}")
        own.close()

    with running("tail", "--json", "-n", "1000", "--limit", "200", terminal=False) as tail:
        writers = [threading.Thread(target=write, args=(name,)) for name in "abcd"]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
        tail.sees("no such text: read until it ends")
        assert tail.process.wait(PATIENCE) == 0
    seqs = [json.loads(line)["seq"] for line in tail.seen.splitlines()]
    assert seqs == list(range(1, 201))
