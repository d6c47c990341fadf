"""Who does not see the page, sees it dimly or on a phone, or has no JavaScript: everything is for them, too."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from ledger import lifecycle
from ledger.records import EventType, Instant, Result, Status
from ledger.steps import Outcome
from tests.console.conftest import Agent
from tests.dashboard import browsers
from tests.dashboard.browsers import Dashboard
from tests.dashboard.seeing import DONE, Seen, chromium, seen, shown

__all__ = ["chromium", "seen", "shown"]

PAGES = ("/", "/operations", "/operations/ab12", "/operations/cd34", "/workflows", "/workflow?wf=order-1", "/unknown",
         "/clear?wf=order-1", "/nowhere")  # fmt: skip


def announced(page: Page) -> str:
    """What Chromium's accessibility tree has in its live region: a screen reader says it when it changes."""
    nodes = page.context.new_cdp_session(page).send("Accessibility.getFullAXTree")["nodes"]
    by_id = {node["nodeId"]: node for node in nodes}
    live = [n for n in nodes if any(p["name"] == "live" for p in n.get("properties", []))
            and n.get("role", {}).get("value") == "status"]  # fmt: skip
    assert len(live) == 1, "one region, or things are said twice"
    return " ".join(by_id[child].get("name", {}).get("value", "") for child in live[0].get("childIds", []))


def hears(page: Page, text: str) -> None:
    """The live region comes to say it."""
    expect(page.locator("[data-announced]")).to_contain_text(text)
    assert text in announced(page)


def test_a_screen_reader_is_told_of_what_waits_and_of_a_lost_connection(
    seen: Seen, shown: Dashboard, agent: Agent, tmp_path: Path
) -> None:
    page = seen.page
    expect(page.locator("[data-connection]")).to_have_text("live")
    assert announced(page) == ""
    assert page.title() == "(1) Overview · Ledger"
    agent.ask("ef56")
    expect(page.locator(".figure + .note")).to_contain_text("6 attempts")
    assert announced(page) == "", "what went well is not worth an interruption"
    agent.ask("gh78", Status.UNKNOWN)
    hears(page, "1 more with an unknown outcome. 2 in all wait for a person.")
    assert page.title() == "(2) Overview · Ledger"
    expect(page.locator(".top .count")).to_have_text("2")
    ledger = tmp_path / "ledger.db"
    ledger.rename(tmp_path / "away.db")
    hears(page, "there is no ledger at")
    (tmp_path / "away.db").rename(ledger)
    expect(page.locator("[data-connection]")).to_have_text("live")
    assert shown.stop() == 0
    hears(page, "The connection to the dashboard is lost.")
    seen.complaints.clear()


def test_the_first_one_that_waits_appears_in_the_menu(chromium: Browser, agent: Agent) -> None:
    agent.ask("ab12", DONE)
    with browsers.dashboard(agent.path) as running:
        context = chromium.new_context()
        page = context.new_page()
        page.goto(running.address)
        expect(page.locator("[data-connection]")).to_have_text("live")
        expect(page.locator(".top .count")).to_be_hidden()
        agent.ask("cd34", Status.UNKNOWN)
        expect(page.get_by_role("link", name="Unknown 1", exact=True)).to_be_visible()
        context.close()


# Where a line of the address ends: after what.
BROKEN_AFTER = """(place) => {
  const walker = document.createTreeWalker(place, NodeFilter.SHOW_TEXT);
  const ends = [];
  let [top, before] = [null, ""];
  while (walker.nextNode()) {
    const text = walker.currentNode;
    for (let at = 0; at < text.length; at += 1) {
      const range = new Range();
      range.setStart(text, at);
      range.setEnd(text, at + 1);
      const y = range.getBoundingClientRect().top;
      if (top !== null && y > top + 4) ends.push(before);
      [top, before] = [y, text.data[at]];
    }
  }
  return ends;
}"""


@pytest.mark.parametrize("width", [360, 1280])
def test_a_long_address_goes_on_in_the_next_line_where_a_part_of_it_ends(
    chromium: Browser, agent: Agent, width: int
) -> None:
    url = (
        "https://api.example.com/v1/organizations/customers/subscriptions/invoices/items?expand=customer&limit=100&a<b"
    )
    agent.ask("ab12", DONE, wf="order-1", about={"method": "POST", "url": url})
    with browsers.dashboard(agent.path) as running:
        context = chromium.new_context(viewport={"width": width, "height": 800})
        page = context.new_page()
        page.goto(running.address)
        for path, place in (("/workflow?wf=order-1", ".lane .request"), ("/operations", "td .request")):
            page.goto(f"{running.url}{path}")
            shown = page.locator(place).first
            expect(shown).to_have_text(f"POST {url}")
            ends = shown.evaluate(BROKEN_AFTER)
            assert set(ends) <= {"/", "?", "&", " "}, path
            assert len(ends) >= (1 if width == 360 or "workflow" in path else 0)
        context.close()


# Every text against what is behind it: WCAG 2.2, 1.4.3 (https://www.w3.org/TR/WCAG22/#contrast-minimum).
FAINT = """() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgba = (css) => { canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = css; canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data]; };
  const light = ([r, g, b]) => [r, g, b].map((c) => c / 255)
    .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = rgba(getComputedStyle(at).backgroundColor);
      if (colour[3] > 250) return colour;
    }
    return [255, 255, 255, 255];
  };
  const faint = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !element.checkVisibility() || element.closest(".unseen, svg")) continue;
    const [a, b] = [light(rgba(getComputedStyle(element).color)), light(behind(element))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) faint.push(`${ratio.toFixed(2)} ${walker.currentNode.data.trim().slice(0, 40)}`);
  }
  return faint;
}"""
UNNAMED = """() => [
    ...document.querySelectorAll("a, button, input:not([type=hidden]), select, textarea, img, [role=img]"),
  ]
  .filter((e) => e.checkVisibility())
  .filter((e) => !(e.textContent.trim() || e.getAttribute("aria-label") || e.labels?.length || e.hasAttribute("alt")))
  .map((e) => e.outerHTML.slice(0, 120))"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_everybody_can_use_every_page(chromium: Browser, shown: Dashboard, scheme: Any, width: int) -> None:
    context = chromium.new_context(color_scheme=scheme, viewport={"width": width, "height": 800})
    page = context.new_page()
    page.goto(shown.address)
    for path in PAGES:
        page.goto(f"{shown.url}{path}")
        assert page.locator("h1").count() == 1, path
        assert page.evaluate(FAINT) == [], path
        assert page.evaluate(UNNAMED) == [], path
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
    context.close()


def test_on_a_phone_the_filters_leave_room_for_what_they_find(chromium: Browser, shown: Dashboard) -> None:
    context = chromium.new_context(viewport={"width": 390, "height": 844})
    page = context.new_page()
    page.goto(shown.address)
    page.goto(f"{shown.url}/operations")
    status = page.get_by_label("Status")
    expect(status).to_be_hidden()
    expect(page.get_by_label("Search", exact=True)).to_be_visible()
    expect(page.locator("[data-row]").first).to_be_in_viewport(ratio=1)
    page.get_by_text("Filters and order").click()
    status.select_option("success")
    expect(page.locator("[data-row]")).to_have_count(1)
    expect(status).to_be_visible()
    page.goto(f"{shown.url}/operations")
    expect(status).to_be_hidden()
    page.set_viewport_size({"width": 1280, "height": 800})
    expect(status).to_be_visible()
    page.get_by_label("Workflow").type("order")
    page.get_by_label("Search", exact=True).focus()
    page.set_viewport_size({"width": 390, "height": 844})
    expect(page.get_by_label("Workflow")).to_be_visible()
    page.goto(f"{shown.url}/operations?status=success")
    page.get_by_text("Filters and order").click()
    expect(status).to_be_hidden()
    page.set_viewport_size({"width": 844, "height": 390})
    expect(status).to_be_visible()
    context.close()


OVERLAPPING = """() => {
  const seen = [...document.querySelectorAll(".ticks text")]
    .map((text) => [text.textContent, text.getBoundingClientRect()])
    .filter(([, box]) => box.width > 0).sort(([, one], [, other]) => one.left - other.left);
  return seen.slice(1).filter(([, box], n) => box.left < seen[n][1].right).map(([text]) => text);
}"""


@pytest.mark.parametrize("width", [390, 844, 1280])
@pytest.mark.parametrize("moments", [(500, 508), (8000, 8600, 9000), (4800, 9830, 10500, 19100, 19600, 22900)])
def test_no_two_times_under_an_axis_cover_each_other(
    chromium: Browser, agent: Agent, moments: tuple[int, ...], width: int
) -> None:
    """moments: milliseconds after the claim."""
    record = agent.ask("ab12", DONE).record
    for after in moments:
        at = Instant(record.created.wall + after / 1000, 0, "")
        agent.store.append(lifecycle.answered(record, EventType.REPLAYED, at))
    agent.store.flush()
    with browsers.dashboard(agent.path) as running:
        context = chromium.new_context(viewport={"width": width, "height": 844})
        page = context.new_page()
        page.goto(running.address)
        for path in ("/operations/ab12", "/workflow?wf=default"):
            page.goto(f"{running.url}{path}")
            expect(page.locator(".ticks .first")).to_have_text("0 ms")
            assert page.evaluate(OVERLAPPING) == [], path
        context.close()


# What has the focus: what it is called, and whether that is seen.
FOCUSED = """() => {
  const at = document.activeElement;
  if (at === document.body) return null;
  const style = getComputedStyle(at);
  const box = at.getBoundingClientRect();
  const ring = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
  return { name: (at.getAttribute("aria-label") ?? at.textContent).trim().slice(0, 40),
    seen: ring && box.width > 0 && box.top >= 0 && box.bottom <= innerHeight, at: box.top + scrollY };
}"""


@pytest.mark.parametrize("path", ["/operations", "/operations/cd34", "/unknown", "/workflow?wf=order-1"])
def test_the_tab_key_goes_everywhere_in_order_and_is_seen_to(chromium: Browser, shown: Dashboard, path: str) -> None:
    context = chromium.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    page.goto(shown.address)
    page.goto(f"{shown.url}{path}")
    expect(page.locator("html[data-ready]")).to_have_count(1)
    walked = []
    for _ in range(100):
        page.keyboard.press("Tab")
        focused = page.evaluate(FOCUSED)
        if focused is None or (walked and focused == walked[0]):
            break
        walked.append(focused)
    assert [one["name"] for one in walked if not one["seen"]] == []
    assert [one["name"] for one in walked[:3]] == ["Skip to content", "Ledger", "Overview"]
    assert walked[-1]["name"] == "Keyboard"
    downward = [one["at"] for one in walked[1:]]
    assert max(a - b for a, b in pairwise(downward)) < 100, "it never leaves a row for one above it"
    page.goto(f"{shown.url}{path}")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    context.close()


def test_a_dialog_keeps_the_focus_and_gives_it_back(chromium: Browser, shown: Dashboard) -> None:
    context = chromium.new_context()
    page = context.new_page()
    page.goto(shown.address)
    page.goto(f"{shown.url}/operations/cd34")
    expect(page.locator("html[data-ready]")).to_have_count(1)
    opener = page.get_by_role("button", name="It happened…")
    opener.press("Enter")
    expect(page.get_by_role("textbox", name="Why")).to_be_focused()
    for _ in range(12):
        page.keyboard.press("Tab")
        # The body is where the browser's own buttons have their turn.
        assert page.evaluate("document.activeElement.closest('dialog, main, header, footer, body').tagName") in (
            "DIALOG",
            "BODY",
        )
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(opener).to_be_focused()
    context.close()


@pytest.mark.parametrize(("motion", "moves"), [("reduce", "none"), ("no-preference", "fresh")])
def test_nothing_moves_for_who_wants_no_motion(
    chromium: Browser, shown: Dashboard, agent: Agent, motion: Any, moves: str
) -> None:
    context = chromium.new_context(reduced_motion=motion)
    page = context.new_page()
    page.goto(shown.address)
    expect(page.locator("[data-connection]")).to_have_text("live")
    agent.ask("ef56", tool="just-now")
    line = page.locator("[data-events] li.fresh").first
    expect(line).to_contain_text("just-now")
    assert line.evaluate("(line) => getComputedStyle(line).animationName") == moves
    context.close()


# What is wider than its place, and rows that are higher than words make them.
BURST = """() => [...document.querySelectorAll("html, .card, .card.flush > *, .verdict, .head")]
  .filter((e) => e.scrollWidth > e.clientWidth + 1).map((e) => e.outerHTML.slice(0, 80))
  .concat([...document.querySelectorAll("[data-row]")].filter((e) => e.offsetHeight > 500).map(() => "a high row"))"""


@pytest.mark.parametrize("width", [360, 800, 1280])
def test_a_word_without_an_end_bursts_no_page(chromium: Browser, agent: Agent, width: int) -> None:
    word = "x" * 300
    about = {"method": "POST", "url": f"https://api.example.com/{word}"}
    answer = Result({"status": 200, "headers": [[word, word]]}, word.encode())
    draft = {"tool": word, "wf": word, "caller": word, "about": about}
    agent.ask("ab12", Outcome(Status.SUCCESS, result=answer), times=2, **draft)
    agent.ask("cd34", Outcome(Status.UNKNOWN, error=word), times=2, note=word, **draft)
    with browsers.dashboard(agent.path) as running:
        context = chromium.new_context(viewport={"width": width, "height": 800})
        page = context.new_page()
        page.goto(running.address)
        for path in (*PAGES, f"/workflow?wf={word}"):
            page.goto(f"{running.url}{path}")
            for summary in page.locator("main summary:visible").all():
                summary.click()
            assert page.evaluate(BURST) == [], path
        context.close()


def test_without_javascript_everything_can_still_be_read(chromium: Browser, shown: Dashboard) -> None:
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(shown.address)
    expect(page.locator(".figure")).to_have_text("3")
    expect(page.get_by_role("button", name="Pause")).to_have_count(0)
    page.goto(f"{shown.url}/operations/cd34")
    expect(page.locator(".story li")).to_have_count(3)
    context.close()
