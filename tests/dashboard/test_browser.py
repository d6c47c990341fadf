"""Every screen and action in a real Chromium: by hand, by keyboard, on a phone, and with hostile records."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from ledger.records import Result, Status
from ledger.steps import Outcome
from tests.console.conftest import Agent
from tests.dashboard import browsers
from tests.dashboard.browsers import Dashboard
from tests.dashboard.seeing import DONE, Seen, chromium, seen, shown

__all__ = ["chromium", "seen", "shown"]


def test_what_happens_appears_by_itself(seen: Seen, agent: Agent) -> None:
    page = seen.page
    assert "token" not in page.url
    expect(page.locator("[data-connection]")).to_have_text("live")
    expect(page.locator(".figure")).to_have_text("3")
    agent.ask("ef56", DONE, times=2, tool="mail<b>", wf="order-9")
    first = page.locator("[data-events] li").first
    expect(first).to_contain_text("replayed")
    expect(first).to_contain_text("mail<b>")
    expect(page.locator(".figure")).to_have_text("4")
    expect(page.locator('[data-group="wf"]')).to_contain_text("order-9")
    expect(page.locator("figure .column.stack rect.blocked")).not_to_have_count(0)


def test_the_journal_can_be_held_still(seen: Seen, agent: Agent) -> None:
    page = seen.page
    lines = page.locator("[data-events] li")
    expect(page.locator("[data-connection]")).to_have_text("live")
    before = lines.count()
    page.get_by_role("button", name="Pause").click()
    agent.ask("ef56")
    page.get_by_role("button", name=re.compile(r"Go on \(2\)")).click()
    expect(lines).to_have_count(before + 2)


def test_the_chart_shows_other_times(seen: Seen) -> None:
    page = seen.page
    page.get_by_role("button", name="24 h").click()
    expect(page.get_by_role("button", name="24 h")).to_have_attribute("aria-pressed", "true")
    expect(page.locator("figure .column")).not_to_have_count(60)
    page.locator("figure .column").last.hover()
    expect(page.locator("figure .tip")).to_contain_text("3 prevented")


def test_search_filters_and_an_operation_by_keyboard_only(seen: Seen) -> None:
    page = seen.page
    page.keyboard.press("/")
    page.keyboard.type("connection was lost")
    page.keyboard.press("Enter")
    expect(page.locator("[data-row]")).to_have_count(1)
    _ready(page)
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text("stripe.charges")
    expect(page.locator(".verdict")).to_contain_text("Nobody knows whether it happened")
    _ready(page)
    page.keyboard.press("g")
    page.keyboard.press("o")
    expect(page.locator("[data-row]")).to_have_count(2)
    _ready(page)
    page.get_by_label("Status").select_option("success")
    expect(page.locator("[data-row]")).to_have_count(1)
    assert page.url.endswith("/operations?status=success")
    _ready(page)
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("Next, previous row")


def _ready(page: Page) -> None:
    """Keys and buttons do something: the page's script has run."""
    expect(page.locator("html[data-ready]")).to_have_count(1)


def _settles(page: Page, opens: str, button: str, **more: str) -> None:
    _ready(page)
    page.get_by_role("button", name=opens).click()
    dialog = page.get_by_role("dialog")
    for label, text in {"Why": "on the statement", "Who": "ada", **more}.items():
        dialog.get_by_label(label).fill(text)
    dialog.get_by_role("button", name=button, exact=True).click()


def test_it_happened(seen: Seen, shown: Dashboard, agent: Agent) -> None:
    page = seen.page
    page.locator("[data-attention]").click()
    page.locator("[data-row] a.tool").click()
    _settles(page, "It happened…", "It happened")
    expect(page.locator(".flash")).to_contain_text("Settled")
    expect(page.locator(".flash a")).to_have_count(0)
    expect(page.locator(".story")).to_contain_text("on the statement; by ada")
    assert agent.ask("cd34", wf="order-1").answer == "replayed"


def test_it_did_not_happen_and_then_it_may_run_again(seen: Seen, shown: Dashboard, agent: Agent) -> None:
    page = seen.page
    page.goto(f"{shown.url}/operations/cd34")
    _settles(page, "It did not happen…", "It did not happen")
    expect(page.locator(".verdict")).to_contain_text("It did not happen")
    assert agent.ask("cd34", DONE, wf="order-1").answer == "executed"
    page.reload()
    _settles(page, "Let it run again…", "Let it run again")
    expect(page.locator(".verdict")).to_contain_text("A person allowed the next attempt to run")
    assert agent.ask("cd34", DONE, wf="order-1").answer == "executed"


def test_a_dialog_that_is_left_does_nothing(seen: Seen, shown: Dashboard, agent: Agent) -> None:
    page = seen.page
    page.goto(f"{shown.url}/operations/cd34")
    _ready(page)
    page.get_by_role("button", name="It happened…").click()
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Remove…").click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    found = agent.store.get("cd34")
    assert found is not None
    assert found.status is Status.UNKNOWN


def test_remove_one_and_remove_these(seen: Seen, shown: Dashboard, agent: Agent) -> None:
    page = seen.page
    page.goto(f"{shown.url}/operations/ab12")
    _settles(page, "Remove…", "Remove")
    expect(page.locator(".flash")).to_have_text("Removed.")
    agent.ask("ef56", wf="order-2")
    page.goto(f"{shown.url}/operations?wf=order-2")
    page.get_by_role("link", name="Remove these…").click()
    page.get_by_label("Why").fill("a test")
    page.get_by_label("Remove 1 success").check()
    page.get_by_role("button", name="Remove").click()
    expect(page.locator(".flash")).to_have_text("Removed.")
    assert [record.id for record in agent.store.all()] == ["cd34"]


def test_copy_as_curl(seen: Seen, shown: Dashboard) -> None:
    page = seen.page
    page.goto(f"{shown.url}/operations/ab12")
    page.get_by_role("button", name="Copy as curl").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith("curl --globoff \\\n  --request POST \\\n  --url https://api.stripe.com/v1/charges")


def test_a_workflow_leads_to_its_operations(seen: Seen, shown: Dashboard) -> None:
    page = seen.page
    page.get_by_role("link", name="Workflows", exact=True).click()
    page.get_by_role("link", name="order-1").click()
    expect(page.locator(".verdict")).to_contain_text("It stopped here")
    expect(page.locator(".lane[data-row]")).to_have_count(2)
    page.locator(".lane[data-row]").first.click()
    expect(page.locator(".verdict")).to_contain_text("It happened, once")


def test_the_ledger_vanishes_and_comes_back(seen: Seen, agent: Agent, tmp_path: Path) -> None:
    page = seen.page
    expect(page.locator("[data-connection]")).to_have_text("live")
    away = tmp_path / "away"
    away.mkdir()
    files = list(tmp_path.glob("ledger.db*"))
    for file in files:
        file.rename(away / file.name)
    expect(page.locator("[data-notice]")).to_contain_text("there is no ledger at")
    for file in files:
        (away / file.name).rename(file)
    expect(page.locator("[data-notice]")).to_be_hidden()
    expect(page.locator("[data-connection]")).to_have_text("live")


def test_the_dashboard_itself_ends(seen: Seen, shown: Dashboard) -> None:
    page = seen.page
    expect(page.locator("[data-connection]")).to_have_text("live")
    assert shown.stop() == 0
    expect(page.locator("[data-connection]")).to_have_text("reconnecting")
    seen.complaints.clear()


def test_colours_are_chosen_and_kept(seen: Seen) -> None:
    page = seen.page
    for name in ("light", "dark"):
        page.get_by_role("button", name="Colours").click()
        expect(page.get_by_role("button", name=f"Colours: {name}")).to_be_visible()
    page.reload()
    assert page.evaluate("getComputedStyle(document.body).colorScheme") == "dark"


MARKUP = (
    '"><script>window.pwned=1</script>',
    "'><img src=x onerror=window.pwned=1>",
    "</textarea></pre></title></script><svg onload=window.pwned=1>",
    "{{7*7}}${7*7}",
)
EVIL = ("".join(MARKUP), "javascript:window.pwned=1", "\u202e\x1b[31m\x00\x9b\n\nevent: state\ndata: {}\n\n")


@pytest.mark.parametrize("evil", EVIL)
def test_nothing_recorded_is_executed(chromium: Browser, agent: Agent, evil: str) -> None:
    """The same payload in every field that somebody else can write."""
    answer = Result({"status": 200, "reason": evil, "headers": [[evil, evil]]}, evil.encode())
    about = {"method": evil, "url": evil, "media_type": evil, evil: evil}
    draft = {"tool": evil, "wf": evil, "caller": evil, "rule": evil, "payload": evil, "upstream_key": evil}
    agent.ask(f"aa{evil}", Outcome(Status.SUCCESS, result=answer, error=evil), times=2, about=about, **draft)
    agent.ask("bb", Outcome(Status.UNKNOWN, error=evil), about={"method": "POST", "url": f"https://x/{evil}"}, **draft)
    with browsers.dashboard(agent.path) as running:
        context = chromium.new_context()
        seen = Seen(context)
        page = seen.page
        page.goto(running.address)
        links: list[str] = []
        for path in ("/", "/operations", "/workflows", "/unknown", "/operations/bb", "/clear"):
            page.goto(f"{running.url}{path}")
            page.wait_for_load_state()
            links += page.evaluate("[...document.links].map((a) => a.href)")
        agent.ask("cc", Outcome(Status.UNKNOWN, error=evil), **draft)
        page.goto(running.url)
        expect(page.locator("[data-connection]")).to_have_text("live")
        agent.ask("dd", Outcome(Status.UNKNOWN, error=evil), **draft)
        expect(page.locator("[data-events] li").first).to_contain_text("unknown")
        for link in sorted(set(links)):
            assert link.startswith(f"{running.url}/"), link
            page.goto(link)
            assert page.evaluate("window.pwned") is None
            assert page.locator("main img, main script, main svg[onload]").count() == 0
        assert seen.complaints == []
        context.close()
