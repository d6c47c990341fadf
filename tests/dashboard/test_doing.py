"""What a person does in the dashboard, and what it leaves in the record, in the journal, and for the next attempt."""

from __future__ import annotations

import html
import re
import shlex
from pathlib import Path

import pytest

from ledger.records import EventType, Kind, Result, Status
from ledger.steps import Outcome
from tests.console.conftest import Agent, Ledger
from tests.dashboard.conftest import WHY, Opens, plain

ID = "ab12cd34ef56"


def _status(agent: Agent, id: str = ID) -> Status | None:
    found = agent.store.get(id)
    return found.status if found else None


async def test_it_happened(agent: Agent, dashboard: Opens) -> None:
    agent.ask(ID, Status.UNKNOWN)
    browser = await dashboard()
    page = await browser.opens(await browser.sends(f"/operations/{ID}/resolve", done="yes", **WHY))
    assert "Settled." in page
    assert "A person said that it happened" in page
    assert agent.ask(ID).answer == "replayed"


async def test_it_did_not_happen(agent: Agent, dashboard: Opens) -> None:
    agent.ask(ID, Status.UNKNOWN)
    browser = await dashboard()
    await browser.sends(f"/operations/{ID}/resolve", done="no", **WHY)
    assert agent.ask(ID).answer == "executed"


@pytest.mark.parametrize("readonly", [True, False])
async def test_the_command_that_a_page_shows_settles_it_from_anywhere(
    agent: Agent, dashboard: Opens, ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, readonly: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    agent.ask(ID, Status.UNKNOWN)
    browser = await dashboard(Path("ledger.db"), readonly=readonly)
    shown = re.search(r'<code id="settling"[^>]*>(.*?)</code>', await browser.opens(f"/operations/{ID}"))
    assert shown is not None
    (tmp_path / "elsewhere").mkdir()
    with monkeypatch.context() as there:
        there.chdir(tmp_path / "elsewhere")
        assert ledger(*shlex.split(html.unescape(shown[1]))[1:]).code == 0
    assert agent.ask(ID).answer == "replayed"
    assert "In a terminal" not in await browser.opens(f"/operations/{ID}")


async def test_an_answer_for_duplicates_can_be_given(agent: Agent, dashboard: Opens) -> None:
    from ledger_proxy.answers import replay

    agent.ask(ID, Status.UNKNOWN)
    browser = await dashboard()
    form = {"done": "yes", "status": "201", "body": '{"id":\r\n"ch_1"}', **WHY}
    await browser.sends(f"/operations/{ID}/resolve", **form)
    found = agent.store.get(ID)
    assert found is not None
    answer = replay(found)
    assert (answer.status, answer.body) == (201, b'{"id":\n"ch_1"}')


async def test_let_it_run_again(agent: Agent, dashboard: Opens) -> None:
    agent.ask(ID, times=2)
    browser = await dashboard()
    await browser.sends(f"/operations/{ID}/retry", **WHY)
    assert [agent.ask(ID).answer for _ in range(2)] == ["executed", "replayed"]


async def test_remove(agent: Agent, dashboard: Opens) -> None:
    agent.ask(ID)
    browser = await dashboard()
    assert "Removed." in await browser.opens(await browser.sends(f"/operations/{ID}/remove", **WHY))
    assert _status(agent) is None


async def test_an_unknown_is_removed_by_force_only(agent: Agent, dashboard: Opens) -> None:
    agent.ask(ID, Status.UNKNOWN)
    browser = await dashboard()
    assert "may have happened" in await browser.sends(f"/operations/{ID}/remove", 409, **WHY)
    assert _status(agent) is Status.UNKNOWN
    await browser.sends(f"/operations/{ID}/remove", force="yes", **WHY)
    assert _status(agent) is None


async def test_clear_removes_what_ended_and_fits_the_filters(agent: Agent, dashboard: Opens) -> None:
    agent.ask("aa", wf="order-1")
    agent.ask("bb", Status.FAILED, wf="order-1")
    agent.ask("cc", Status.UNKNOWN, wf="order-1")
    agent.ask("dd", wf="order-2")
    agent.starts("ee", wf="order-1")
    browser = await dashboard()
    told = plain(await browser.opens("/clear?wf=order-1"))
    assert "This removes 1 success, 1 failed with workflow order-1" in told
    assert "1 running, 1 unknown are kept" in told
    await browser.sends("/clear?wf=order-1", sure="yes", **WHY)
    assert [_status(agent, id) is None for id in ("aa", "bb", "cc", "dd", "ee")] == [True, True, False, False, False]


async def test_the_journal_keeps_who_and_why(agent: Agent, dashboard: Opens) -> None:
    agent.ask(ID, Status.UNKNOWN)
    browser = await dashboard()
    await browser.sends(f"/operations/{ID}/resolve", done="yes", **WHY)
    await browser.sends(f"/operations/{ID}/retry", **WHY)
    await browser.sends("/clear", sure="yes", **WHY)
    events = agent.store.timeline(ID)[-3:]
    assert [e.event for e in events] == [EventType.RESOLVED, EventType.RELEASED, EventType.CLEARED]
    assert all((e.detail["by"], e.detail["note"]) == ("ada", "seen on the statement") for e in events)


REFUSED = [
    ("resolve", {"done": "yes", "note": "", "by": "ada"}, 400, "Say why"),
    ("resolve", {"done": "yes", "note": "x", "by": " "}, 400, "who you are"),
    ("resolve", {"done": "perhaps", **WHY}, 400, "yes or no"),
    ("resolve", {"done": "no", "body": "{}", **WHY}, 400, "has no answer"),
    ("resolve", {"done": "yes", "body": "{}", "status": "999", **WHY}, 400, "from 200 to 599"),
    ("resolve", {"done": "yes", "body": "{}", "status": "²", **WHY}, 400, "from 200 to 599"),
]


@pytest.mark.parametrize(("action", "form", "status", "said"), REFUSED)
async def test_what_a_form_leaves_out(
    agent: Agent, dashboard: Opens, action: str, form: dict[str, str], status: int, said: str
) -> None:
    agent.ask(ID, Status.UNKNOWN)
    browser = await dashboard()
    assert said in await browser.sends(f"/operations/{ID}/{action}", status, **form)
    assert _status(agent) is Status.UNKNOWN


async def test_what_the_lifecycle_forbids_is_said(agent: Agent, dashboard: Opens) -> None:
    agent.ask("aa")
    agent.starts("bb")
    agent.ask("cc", Status.UNKNOWN, kind=Kind.CALL)
    browser = await dashboard()
    assert "nothing to resolve" in await browser.sends("/operations/aa/resolve", 409, done="no", **WHY)
    assert "is running" in await browser.sends("/operations/bb/retry", 409, **WHY)
    assert "function call" in await browser.sends("/operations/cc/resolve", 409, done="yes", body="{}", **WHY)
    assert "There is no record" in await browser.sends("/operations/dd/retry", 409, **WHY)
    assert "Say that you are sure" in await browser.sends("/clear", 400, **WHY)


async def test_a_crashed_one_can_be_settled_without_a_sidecar(agent: Agent, dashboard: Opens) -> None:
    agent.crashes(ID)
    browser = await dashboard()
    await browser.sends(f"/operations/{ID}/resolve", done="no", **WHY)
    assert _status(agent) is Status.FAILED


async def test_the_command_line_sees_the_same(agent: Agent, dashboard: Opens, ledger: Ledger) -> None:
    agent.ask(ID, Outcome(Status.UNKNOWN, result=Result({}, None)))
    browser = await dashboard()
    await browser.sends(f"/operations/{ID}/resolve", done="yes", **WHY)
    assert ledger("show", agent.path, ID, "--json").json[0]["note"] == "seen on the statement"
