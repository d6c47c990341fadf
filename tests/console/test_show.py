"""`ledger show`: what a person and a script read of the records."""

from __future__ import annotations

import base64
import re
from contextlib import closing
from pathlib import Path

import pytest

from ledger.records import Record, Result, Status
from ledger.steps import Outcome
from ledger.stores.sqlite import SqliteStore
from ledger_proxy.sealing import sealer
from tests.console.conftest import Agent, Ledger
from tests.console.running import PATIENCE, running

FIELDS = {
    "id", "kind", "tool", "rule", "wf", "caller", "status", "attempts", "runs", "blocked", "created", "touched",
    "url", "method", "response_status", "error", "note",
}  # fmt: skip


def test_a_retry_storm_is_one_line(agent: Agent, ledger: Ledger) -> None:
    agent.ask("ab12" * 16, times=5, wf="order-42", caller="agent-A")
    said = ledger("show")
    header, row = said.lines
    assert said.code == 0
    assert " ".join(header.split()) == "RECORD STATUS TOOL REQUEST ATTEMPTS RUNS BLOCKED AGE WF CALLER NOTE"
    assert header.index("WF") == row.index("order-42")
    assert row.split()[:5] == ["ab12ab12ab12", "success", "stripe.charges", "POST", "https://api.stripe.com/v1/charges"]
    assert row.split()[5:8] == ["5", "1", "4"]
    assert row.split()[9:] == ["order-42", "agent-A", "-"]


def test_newest_first_and_limited(agent: Agent, ledger: Ledger) -> None:
    for id in ("a1", "b2", "c3"):
        agent.ask(id)
    assert [r["id"] for r in ledger("show", "--json").json] == ["c3", "b2", "a1"]
    assert [r["id"] for r in ledger("show", "--json", "--limit", "2").json] == ["c3", "b2"]
    assert "--limit 0" in ledger("show", "--limit", "2").err
    assert ledger("show", "--limit", "3").err == ""


def test_in_any_order_and_on_from_there(agent: Agent, ledger: Ledger) -> None:
    agent.ask("a1", times=2)
    agent.ask("b2", Status.UNKNOWN, times=4)
    agent.ask("c3", Status.FAILED)
    agent.ask("d4", times=6)
    assert ledger("resolve", "b2", "--done").code == 0
    agent.ask("e5", Status.UNKNOWN)
    orders = {
        "created": ["e5", "d4", "c3", "b2", "a1"],
        "touched": ["e5", "b2", "d4", "c3", "a1"],
        "attempts": ["d4", "b2", "a1", "e5", "c3"],
        "blocked": ["d4", "b2", "a1", "e5", "c3"],
        "status": ["e5", "c3", "d4", "b2", "a1"],
    }
    for sort, ids in orders.items():
        assert [r["id"] for r in ledger("show", "--json", "--sort", sort).json] == ids
        assert [r["id"] for r in ledger("show", "--json", "--sort", sort, "--oldest").json] == ids[::-1]
        assert [r["id"] for r in ledger("show", "--json", "--sort", sort, "--grep", "STRIPE").json] == ids
        said = ledger("show", "--sort", sort, "--limit", "3")
        more = said.err.partition("--before ")[2].split()[0]
        assert [r["id"] for r in ledger("show", "--json", "--sort", sort, "--before", more).json] == ids[3:]
    said = ledger("show", "--sort", "touched", "--before", more)
    assert (said.code, said.err.count("\n")) == (2, 1)
    assert "its --sort" in said.err
    assert "created" in ledger("show", "--sort", "atempts").err


def test_the_oldest_first_and_on_from_there(agent: Agent, ledger: Ledger) -> None:
    for id in ("a1", "b2", "c3"):
        agent.ask(id)
    assert [r["id"] for r in ledger("show", "--json", "--oldest").json] == ["a1", "b2", "c3"]
    said = ledger("show", "--oldest", "--limit", "2")
    assert "Only the oldest 2" in said.err
    more = said.err.split("--before ")[1].split()[0]
    assert [r["id"] for r in ledger("show", "--json", "--oldest", "--before", more).json] == ["c3"]


def test_json_has_the_promised_fields(agent: Agent, ledger: Ledger) -> None:
    agent.ask("a1", Outcome(Status.SUCCESS, about={"response_status": 200}))
    (record,) = ledger("show", "--json").json
    assert record.keys() >= FIELDS
    assert (record["kind"], record["method"], record["response_status"]) == ("http", "POST", 200)
    assert record["created"].endswith("Z")


def test_filters(agent: Agent, ledger: Ledger) -> None:
    agent.ask("a1", wf="one", caller="x")
    agent.ask("b2", Status.FAILED, wf="two", caller="y")
    agent.ask("c3", Status.UNKNOWN, tool="resend.emails")

    def ids(*filters: str) -> list[str]:
        return [r["id"] for r in ledger("show", "--json", *filters).json]

    assert ids("--wf", "one") == ["a1"]
    assert ids("--status", "failed") == ["b2"]
    assert ids("--tool", "resend.emails") == ["c3"]
    assert ids("--caller", "y") == ["b2"]
    assert ids("--wf", "one", "--caller", "y") == []


def test_nothing_to_show_is_no_error(agent: Agent, ledger: Ledger) -> None:
    assert ledger("show") == (0, "", "no records\n")
    agent.ask("a1")
    assert ledger("show", "--wf", "nowhere") == (0, "", "no records match\n")
    assert ledger("show", "--wf", "nowhere", "--json") == (0, "", "")


def test_one_record_by_the_beginning_of_its_id(agent: Agent, ledger: Ledger) -> None:
    agent.ask("ab12cd", Outcome(Status.SUCCESS, result=Result({"status": 200}, b'{"paid": 1.10}')), times=3)
    agent.ask("ab99cd")
    said = ledger("show", "ab1")
    assert said.lines[0] == "ab12cd  success  stripe.charges  POST https://api.stripe.com/v1/charges"
    assert said.lines[1] == "It happened, once. Duplicates are answered from this record."
    assert ["attempts", "3: 1 executed, 2 replayed"] in [line.split(maxsplit=1) for line in said.lines]
    told = said.lines[said.lines.index("timeline") + 1 :]
    assert [line.split("  ")[2] for line in told[:4]] == [
        "An attempt got the right to run",
        "It ran to success",
        "A duplicate got the recorded answer",
        "A duplicate got the recorded answer",
    ]
    assert said.lines[-4:] == ["answer  200  14 bytes kept", "  {", '    "paid": 1.10', "  }"]
    assert [r["id"] for r in ledger("show", "ab12cd", "--json").json] == ["ab12cd"]


def test_a_record_without_an_answer_says_why_and_what_to_do(agent: Agent, ledger: Ledger) -> None:
    agent.ask("ab12", Outcome(Status.UNKNOWN, error="the connection was lost"), times=2)
    said = ledger("show", "ab12")
    assert said.lines[1].startswith("Nobody knows whether it happened. The effect may have happened.")
    assert said.lines[-1].startswith("  Only a success keeps its response")
    assert "ledger resolve ab12 --done" in said.err


def test_an_id_that_is_ambiguous_or_absent(agent: Agent, ledger: Ledger) -> None:
    agent.ask("ab12")
    agent.ask("ab99")
    said = ledger("show", "ab")
    assert said.code == 1
    assert "ab12" in said.err
    assert "ab99" in said.err
    assert ledger("show", "ff") == (1, "", "ledger: there is no record 'ff' in ledger.db; `ledger show` lists them\n")
    named = ledger("show", "ff", "--db", "ledger.db")
    assert named.err == "ledger: there is no record 'ff' in ledger.db; `ledger show --db ledger.db` lists them\n"


def test_a_ledger_and_a_record_in_either_order(agent: Agent, ledger: Ledger) -> None:
    agent.ask("ab12")
    path = str(agent.path)
    for words in ([path, "ab12"], ["ab12", path], ["ab12", "--db", path]):
        assert [r["id"] for r in ledger("show", *words, "--json").json] == ["ab12"]


def test_an_unknown_comes_with_the_command_that_settles_it(agent: Agent, ledger: Ledger) -> None:
    agent.ask("ab12", Outcome(Status.UNKNOWN, error="the connection was lost"))
    said = ledger("show")
    assert "the connection was lost" in said.out
    assert "ledger resolve ab12 --done   # or --not-done" in said.err
    assert "https://api.stripe.com/v1/charges" in said.err


def test_the_command_names_a_ledger_that_is_not_the_default(ledger: Ledger, tmp_path: Path) -> None:
    spaced = tmp_path / "my ledger.db"
    agent = Agent(spaced)
    agent.ask("ab12", Status.UNKNOWN)
    agent.close()
    assert f"ledger resolve ab12 --db '{spaced}' --done" in ledger("show", spaced).err


def test_a_crashed_owner_is_told_before_anything_sweeps(agent: Agent, ledger: Ledger) -> None:
    agent.crashes("dead01")
    agent.starts("beef02")
    said = ledger("show")
    assert "its owner died before the outcome was recorded" in said.out
    assert "resolve dead01" in said.err
    assert "resolve beef02" not in said.err


def test_recorded_text_cannot_drive_the_terminal(agent: Agent, ledger: Ledger) -> None:
    about = {"method": "POST", "url": "https://x.test/\x1b]0;owned\x07\r\n\u202etxt.exe"}
    agent.ask("ab12", Outcome(Status.UNKNOWN, error="\x1b[2Jgone\u2028"), about=about, tool="t\x9b31m")
    for said in (ledger("show"), ledger("show", "ab12"), ledger("tail", "--no-follow")):
        assert not set(said.out + said.err) & set("\x1b\x07\r\u202e\u2028\x9b")
        assert "t\\x9b31m" in said.out


def test_on_a_narrow_terminal_nothing_is_cut(agent: Agent) -> None:
    agent.ask("ab12" * 16, Outcome(Status.UNKNOWN, error="the connection was lost"), wf="order-42")
    with running("show", terminal=True, COLUMNS="60") as show:
        assert show.process.wait(PATIENCE) == 0
        assert show.sees("--not-done")
    assert "\x1b[33m\x1b[1munknown" in show.seen
    assert "caller" not in show.seen
    for whole in ("stripe.charges", "order-42", "POST https://api.stripe.com/v1/charges", "the connection was lost"):
        assert whole in show.seen


def test_on_a_terminal_of_twenty_columns_no_row_is_broken_in_the_middle(agent: Agent) -> None:
    agent.ask("ab12" * 16, Outcome(Status.SUCCESS), wf="order-42", caller="agent-7", times=3)
    with running("show", terminal=True, COLUMNS="20") as show:
        assert show.sees("charges\x1b[0m\r\n")
        assert show.process.wait(PATIENCE) == 0
    lines = [re.sub(r"\x1b\[[0-9;]*m", "", line).rstrip() for line in show.seen.splitlines()]
    assert lines[:2] == ["record", "ab12ab12ab12"]
    assert [re.sub(r"age \d+s", "age 0s", line) for line in lines[2:]] == [
        "  status success",
        "  tool stripe.charges",
        "  attempts 3  runs 1",
        "  blocked 2  age 0s",
        "  wf order-42",
        "  caller agent-7",
        "  POST https://api.stripe.com/v1/charges",
    ]


def test_without_the_key_all_is_told_but_the_answer(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    key = base64.b64encode(b"k" * 32).decode()
    with closing(SqliteStore("ledger.db", cipher=sealer({"LEDGER_ENCRYPTION_KEY": key}))) as store:
        store.put(Record(id="ab12", tool="pay", status=Status.SUCCESS, epoch=1, runs=1, attempts=1, note="for Ann",
                         result=Result({}, b'"receipt-7"')))  # fmt: skip
    said = ledger("show", "ab12")
    assert (said.code, said.err) == (0, "")
    assert "It happened, once." in said.out
    assert "for Ann" in said.out
    assert "is encrypted: set LEDGER_ENCRYPTION_KEY or LEDGER_ENCRYPTION_KEY_FILE" in said.lines[-1]
    monkeypatch.setenv("LEDGER_ENCRYPTION_KEY", key)
    assert "receipt-7" in ledger("show", "ab12").lines[-1]


def test_a_script_is_told_the_timeline_of_the_one_it_names(agent: Agent, ledger: Ledger) -> None:
    agent.ask("ab12", times=2)
    (record,) = ledger("show", "ab12", "--json").json
    assert [event["event"] for event in record["timeline"]] == ["claimed", "succeeded", "replayed"]
    assert {event["record"] for event in record["timeline"]} == {"ab12"}
