"""`ledger resolve` and `ledger retry`: a person's word, and what it may not overrule."""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger import lifecycle
from ledger.records import Kind, Result, Status
from ledger.steps import Outcome
from ledger.stores.sqlite import SqliteStore
from tests.console.conftest import Agent, Ledger

ID = "ab12cd34ef56"


def _record(agent: Agent) -> dict[str, object]:
    found = agent.store.get(ID)
    assert found is not None
    return found.as_dict() | {"result": found.result}


def test_done_without_a_body_is_a_success_that_answers_nothing(agent: Agent, ledger: Ledger) -> None:
    agent.ask(ID, Outcome(Status.UNKNOWN, result=Result({"status": 500}, b"what came back")))
    said = ledger("resolve", "ab12", "--done", "--note", "seen in the dashboard")
    assert said.code == 0
    assert "without the answer's body" in said.out
    record = _record(agent)
    assert (record["status"], record["note"]) == ("success", "seen in the dashboard")
    assert record["result"] == Result({}, None)
    assert agent.ask(ID).answer == "replayed"


def test_not_done_lets_the_next_attempt_run(agent: Agent, ledger: Ledger) -> None:
    agent.ask(ID, Status.UNKNOWN)
    assert agent.ask(ID).answer == "held"
    assert ledger("resolve", ID, "--not-done").code == 0
    assert agent.ask(ID).answer == "executed"


def test_a_given_answer_is_kept_as_the_proxy_keeps_its_own(agent: Agent, ledger: Ledger, tmp_path: Path) -> None:
    from ledger_proxy.answers import replay

    agent.ask(ID, Status.UNKNOWN)
    body = tmp_path / "answer.json"
    body.write_text('{"id": "ch_1"}')
    assert ledger("resolve", ID, "--done", "--status", "201", "--body-file", body).code == 0
    found = agent.store.get(ID)
    assert found is not None
    answer = replay(found)
    assert (answer.status, answer.body) == (201, b'{"id": "ch_1"}')
    assert (b"Content-Type", b"application/json") in answer.headers
    assert _record(agent)["response_status"] == 201


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--done", "--not-done"],
        ["--not-done", "--status", "200", "--body-file", "x"],
        ["--done", "--status", "200"],
        ["--done", "--body-file", "no/such/file"],
        ["--done", "--status", "abc"],
    ],
)
def test_words_that_do_not_go_together(agent: Agent, ledger: Ledger, words: list[str]) -> None:
    agent.ask(ID, Status.UNKNOWN)
    said = ledger("resolve", ID, *words)
    assert (said.code, said.out, said.err.count("\n")) == (2, "", 1)
    assert _record(agent)["status"] == "unknown"


@pytest.mark.parametrize("status", [Status.SUCCESS, Status.FAILED])
def test_only_an_unknown_is_resolved(agent: Agent, ledger: Ledger, status: Status) -> None:
    agent.ask(ID, status)
    said = ledger("resolve", ID, "--not-done")
    why = f"record {ID} is {status}, not unknown: there is nothing to resolve"
    assert said == (1, "", f"ledger: {why}; see: ledger show {ID}\n")
    assert _record(agent)["status"] == status


@pytest.mark.parametrize("words", [["resolve", ID, "--done"], ["resolve", ID, "--not-done"], ["retry", ID]])
def test_what_is_running_is_left_alone(agent: Agent, ledger: Ledger, words: list[str]) -> None:
    agent.starts(ID)
    assert ledger(*words) == (1, "", f"ledger: record {ID} is running; wait for its outcome, then try again\n")
    assert _record(agent)["status"] == "running"


def test_a_crashed_one_needs_no_sidecar_to_be_settled(agent: Agent, ledger: Ledger) -> None:
    agent.crashes(ID)
    assert ledger("resolve", ID, "--done").code == 0
    assert _record(agent)["status"] == "success"
    assert [e["event"] for e in ledger("tail", "--no-follow", "--json").json] == ["claimed", "expired", "resolved"]


def test_retry_lets_exactly_one_more_attempt_run(agent: Agent, ledger: Ledger) -> None:
    agent.ask(ID, times=3)
    said = ledger("retry", ID, "--note", "customer asked again")
    assert said == (0, f"{ID} stripe.charges: the next attempt runs.\n", "")
    assert "the next attempt runs; customer asked again" in ledger("show").out
    assert [agent.ask(ID).answer for _ in range(2)] == ["executed", "replayed"]


def test_who_comes_second_is_told(agent: Agent, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    agent.ask(ID, Status.UNKNOWN)
    find = SqliteStore.get

    def and_meanwhile(store: SqliteStore, id: str) -> object:
        found = find(store, id)
        monkeypatch.undo()
        assert found is not None
        assert agent.store.replace(lifecycle.resolve(found, True, found.touched, "the other one"))
        return found

    monkeypatch.setattr(SqliteStore, "get", and_meanwhile)
    said = ledger("resolve", ID, "--not-done", "--db", agent.path)
    assert said.code == 1
    assert "changed meanwhile, nothing was written" in said.err
    assert (_record(agent)["status"], _record(agent)["note"]) == ("success", "the other one")


def test_a_function_call_takes_no_http_answer(agent: Agent, ledger: Ledger, tmp_path: Path) -> None:
    agent.ask(ID, Status.UNKNOWN, kind=Kind.CALL)
    (tmp_path / "body").write_bytes(b"{}")
    said = ledger("resolve", ID, "--done", "--body-file", "body")
    assert said.code == 2
    assert "function call" in said.err


def test_the_journal_keeps_who_settled_it_and_why(
    agent: Agent, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOGNAME", "ada")
    agent.ask(ID, Status.UNKNOWN)
    assert ledger("resolve", ID, "--done", "--note", "on the bank statement").code == 0
    assert ledger("retry", ID, "--note", "refunded").code == 0
    assert ledger("clear", "--yes", "--note", "a test").code == 0
    resolved, released, cleared = ledger("tail", "--no-follow", "--json").json[-3:]
    assert (resolved["detail"]["by"], resolved["detail"]["note"]) == ("ada", "on the bank statement")
    assert (released["detail"]["by"], released["detail"]["note"]) == ("ada", "refunded")
    assert cleared["detail"] == {"by": "ada", "note": "a test"}


def test_a_retry_of_an_unknown_is_told_what_it_may_cost(agent: Agent, ledger: Ledger) -> None:
    agent.ask(ID, Status.UNKNOWN)
    agent.ask("c3", Status.SUCCESS)
    assert "a second one" in ledger("retry", ID).err
    assert ledger("retry", "c3").err == ""
