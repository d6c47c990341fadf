"""What the pages show of a real ledger."""

from __future__ import annotations

import asyncio
import json
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ledger.records import Kind, Result, Status
from ledger.steps import Outcome
from ledger_console.dashboard import searching, views
from ledger_console.dashboard.filters import ORDERS
from tests.console.conftest import Agent
from tests.dashboard.conftest import WHY, Opens, plain, rows
from tests.dashboard.story import live_a_day

CHARGED = Outcome(
    Status.SUCCESS,
    result=Result(
        {"status": 201, "reason": "Created", "headers": [["Content-Type", "application/json"]]},
        b'{"id":"ch_1","amount":1.10}',
    ),
)


async def test_the_overview_tells_what_was_prevented(agent: Agent, dashboard: Opens) -> None:
    agent.ask("ab12", CHARGED, times=4, wf="order-1", caller="billing")
    agent.ask("cd34", Status.UNKNOWN, wf="order-2")
    page = await (await dashboard()).opens("/")
    said = plain(page)
    assert "Duplicates prevented 3 60.0% of 5 attempts did not run again" in said
    assert "1 with an unknown outcome" in said
    for name in ("stripe.charges", "order-1", "billing"):
        assert name in said
    assert len(re.findall(r"<li class=\"replayed\">", page)) == 3


async def test_an_empty_ledger_says_how_to_begin(agent: Agent, dashboard: Opens) -> None:
    browser = await dashboard()
    assert "Nothing was asked yet" in await browser.opens("/")
    assert "No operations yet" in await browser.opens("/operations")
    assert "Nothing waits for you" in await browser.opens("/unknown")
    assert "No workflows yet" in await browser.opens("/workflows")
    assert "nothing to remove" in await browser.opens("/clear")


async def test_paging_shows_every_record_once_newest_first(agent: Agent, dashboard: Opens) -> None:
    ids = [f"{n:04x}" for n in range(120)]
    for id in ids:
        agent.ask(id)
    browser, path, seen = await dashboard(), "/operations", []
    for _ in range(4):
        page = await browser.opens(path)
        seen += rows(page)
        link = re.search(r'href="([^"]+)" rel="next"', page)
        if link is None:
            break
        path = link[1].replace("&amp;", "&")
    assert seen == ids[::-1]


async def test_the_oldest_first_at_a_click(agent: Agent, dashboard: Opens) -> None:
    for id in ("aa", "bb", "cc"):
        agent.ask(id)
    browser = await dashboard()
    link = re.search(
        r'aria-sort="descending"><a href="([^"]+)"', await browser.opens("/operations?tool=stripe.charges")
    )
    assert link is not None
    page = await browser.opens(link[1].replace("&amp;", "&"))
    assert rows(page) == ["aa", "bb", "cc"]
    assert 'aria-sort="ascending"' in page


@pytest.mark.parametrize(
    ("title", "sign", "ids"),
    [
        ("Attempts", "↓", ["bb", "aa", "dd", "cc"]),
        ("Prevented", "↓", ["bb", "aa", "dd", "cc"]),
        ("Status", "↓", ["dd", "cc", "bb", "aa"]),
        ("First asked", "↑", ["aa", "bb", "cc", "dd"]),
    ],
)
async def test_in_the_order_of_a_column_at_a_click(
    agent: Agent, dashboard: Opens, title: str, sign: str, ids: list[str]
) -> None:
    agent.ask("aa", times=2)
    agent.ask("bb", times=3)
    agent.ask("cc")
    agent.ask("dd", Status.UNKNOWN)
    browser = await dashboard()
    link = re.search(rf'<a href="([^"]+)"[^>]*>{title}', await browser.opens("/operations?tool=stripe.charges"))
    assert link is not None
    page = await browser.opens(link[1].replace("&amp;", "&"))
    assert rows(page) == ids
    assert len(re.findall("aria-sort=", page)) == 1
    assert re.search(rf'aria-sort="(a|de)scending"><a [^>]*>{title} {sign}', page)


async def test_every_order_is_paged_through(agent: Agent, dashboard: Opens, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "PAGE", 3)
    ids = [f"{n:04x}" for n in range(11)]
    for number, id in enumerate(ids):
        agent.ask(id, Status.UNKNOWN if number % 5 == 2 else Status.SUCCESS, times=1 + number % 3)
    browser = await dashboard()
    for order in ORDERS:
        path, seen = f"/operations?order={order}", []
        while path:
            page = await browser.opens(path)
            seen += rows(page)
            link = re.search(r'href="([^"]+)" rel="next"', page)
            path = link[1].replace("&amp;", "&") if link else ""
        assert sorted(seen) == ids, order


async def test_a_search_says_how_far_it_came_and_goes_on_from_there(
    agent: Agent, dashboard: Opens, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searching, "WIDTH", 10)
    monkeypatch.setattr(searching, "SECONDS", 0)
    for n in range(35):
        agent.ask(f"{n:04x}", about={"method": "POST", "url": f"https://x.example/{'refunds' if n in (2, 31) else n}"})
    browser, path, seen, pages = await dashboard(), "/operations?q=refunds", [], 0
    while path:
        page = await browser.opens(path)
        seen += rows(page)
        pages += 1
        link = re.search(r'href="([^"]+)" rel="next"', page)
        assert ("10 operations were looked at, back to" in plain(page)) == (link is not None)
        path = link[1].replace("&amp;", "&") if link else ""
    assert seen == ["001f", "0002"]
    assert pages == 4


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("status=unknown", ["bb"]),
        ("tool=mail", ["cc"]),
        ("wf=order-2", ["bb"]),
        ("caller=agent-B", ["cc"]),
        ("q=REFUND", ["bb"]),
        ("q=100%25", []),
        ("since=3600", ["cc", "bb", "aa"]),
        ("status=success&wf=order-1", ["aa"]),
        ("status=running", []),
    ],
)
async def test_filters(agent: Agent, dashboard: Opens, asked: str, found: list[str]) -> None:
    agent.ask("aa", wf="order-1")
    agent.ask("bb", Status.UNKNOWN, wf="order-2", about={"method": "POST", "url": "https://x.example/refunds"})
    agent.ask("cc", wf="order-3", tool="mail", caller="agent-B")
    page = await (await dashboard()).opens(f"/operations?{asked}")
    assert rows(page) == found
    assert found or "No operation matches" in page


@pytest.mark.parametrize("asked", ["status=done", "since=5", "before=nonsense"])
async def test_an_address_that_no_form_makes_is_refused(agent: Agent, dashboard: Opens, asked: str) -> None:
    assert "something that is not there" in await (await dashboard()).opens(f"/operations?{asked}", 400)


async def test_one_operation_has_its_story_request_and_answer(agent: Agent, dashboard: Opens) -> None:
    agent.ask("ab12", CHARGED, times=2, wf="order-1", caller="billing", payload="feed", upstream_key="key-1")
    page = await (await dashboard()).opens("/operations/ab12")
    said = plain(page)
    assert "It happened, once" in said
    assert "An attempt got the right to run (billing)" in said
    assert "A duplicate got the recorded answer (billing)" in said
    assert "201 Created" in said
    # As it was sent: a number read and written again could be another one.
    assert '"amount": 1.10' in said
    assert "Payload feed" in said
    assert '"/workflow?wf=order-1"' in page
    assert "--url https://api.stripe.com/v1/charges" in said


async def test_a_short_id_finds_its_record(agent: Agent, dashboard: Opens) -> None:
    agent.ask("ab12cd34")
    agent.ask("ab99")
    browser = await dashboard()
    assert "ab12cd34" in await browser.opens("/operations/ab1")
    assert "There is no record" in await browser.opens("/operations/ab", 404)
    assert "There is no record" in await browser.opens("/operations/zz", 404)


async def test_a_guarded_call_has_no_curl_but_a_result(agent: Agent, dashboard: Opens) -> None:
    done = Outcome(Status.SUCCESS, result=Result({"codec": 1}, b'{"$":"tuple","v":[1,2]}'))
    agent.ask("ab12", done, kind=Kind.CALL, tool="send_invoice", about={})
    said = plain(await (await dashboard()).opens("/operations/ab12"))
    assert "a guarded function call" in said
    assert "Result" in said
    assert "curl" not in said


async def test_a_body_is_only_ever_saved(agent: Agent, dashboard: Opens) -> None:
    evil = Outcome(Status.SUCCESS, result=Result({"status": 200, "headers": []}, b"<script>alert(1)</script>"))
    agent.ask("ab12", evil)
    answer = await (await dashboard()).client.get("/operations/ab12/body")
    assert await answer.read() == b"<script>alert(1)</script>"
    assert answer.headers["Content-Disposition"].startswith("attachment")
    assert answer.headers["Content-Type"] == "application/octet-stream"


@pytest.mark.parametrize("body", [b"\x00\xff" * 9000, b"[" * 5000, b"", "ünïcode \u202e".encode(), b"x" * 10_000_000])
async def test_any_body_can_be_shown(agent: Agent, dashboard: Opens, body: bytes) -> None:
    agent.ask("ab12", Outcome(Status.SUCCESS, result=Result({"status": 200, "headers": []}, body)))
    page = await (await dashboard()).opens("/operations/ab12")
    assert len(page) < 200_000
    assert "\u202e" not in page


async def test_a_running_operation_and_one_whose_process_died(agent: Agent, dashboard: Opens) -> None:
    agent.starts("aa11")
    agent.crashes("bb22")
    browser = await dashboard()
    assert "It is running" in await browser.opens("/operations/aa11")
    died = await browser.opens("/operations/bb22")
    assert "It was running when its process ended" in died
    assert "It happened…" in died


async def test_a_workflow_tells_where_it_stopped(agent: Agent, dashboard: Opens) -> None:
    agent.ask("aa", CHARGED, times=3, wf="order 1/é")
    agent.ask("bb", Outcome(Status.UNKNOWN, error="the connection was lost"), wf="order 1/é")
    agent.ask("cc", CHARGED, wf="another")
    browser = await dashboard()
    listed = await browser.opens("/workflows")
    address = re.search(r'href="(/workflow\?wf=order[^"]*)"', listed)
    assert address is not None
    page = await browser.opens(address[1])
    said = plain(page)
    assert "2 operations, 4 attempts; 1 executed, 2 prevented, 1 unknown" in said
    assert "It stopped here: nobody knows whether this happened" in said
    assert "the connection was lost" in said
    assert page.count('class="lane ') == 3
    assert "3 attempts: 1 executed, 2 answered without running; success now" in page


async def test_who_asks_the_provider_reads_when_it_was(agent: Agent, dashboard: Opens) -> None:
    agent.ask("ab12", Status.UNKNOWN, wf="order-1")
    found = agent.store.get("ab12")
    assert found is not None
    when = datetime.fromtimestamp(found.created.wall, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    browser = await dashboard()
    assert f"First asked {when}" in plain(await browser.opens("/operations/ab12"))
    assert "Last began" in plain(await browser.opens("/workflows"))


async def test_who_settled_one_is_led_to_the_next(agent: Agent, dashboard: Opens) -> None:
    for id in ("ab12", "cd34", "ef56"):
        agent.ask(id, Status.UNKNOWN)
    browser = await dashboard()
    for id, said in (("ab12", "2 more wait →"), ("cd34", "1 more waits →"), ("ef56", "")):
        page = await browser.opens(await browser.sends(f"/operations/{id}/resolve", done="yes", **WHY))
        flash = re.search(r'<p class="flash" role="status">(.*?)</p>', page)
        assert flash is not None
        assert re.findall(r'<a href="/unknown">(.*?)</a>', flash[1]) == ([said] if said else [])


async def test_what_ended_with_its_process_waits_for_a_person_too(agent: Agent, dashboard: Opens) -> None:
    agent.ask("ab12", Status.UNKNOWN)
    await asyncio.to_thread(agent.crashes, "cd34")
    agent.starts("ef56")
    assert rows(await (await dashboard()).opens("/unknown")) == ["cd34", "ab12"]


async def test_many_that_wait_are_paged_through(agent: Agent, dashboard: Opens) -> None:
    for n in range(60):
        agent.ask(f"{n:04x}", Status.UNKNOWN)
    browser = await dashboard()
    page = await browser.opens("/unknown")
    link = re.search(r'href="([^"]+)" rel="next"', page)
    assert link is not None
    more = await browser.opens(link[1].replace("&amp;", "&"))
    assert rows(page) + rows(more) == [f"{n:04x}" for n in range(59, -1, -1)]


async def test_read_only_offers_nothing_and_does_nothing(agent: Agent, dashboard: Opens) -> None:
    agent.ask("ab12", Status.UNKNOWN)
    browser = await dashboard(readonly=True)
    page = await browser.opens("/operations/ab12")
    assert "read-only" in page
    assert '<form method="post"' not in page
    for action in ("resolve", "retry", "remove"):
        assert "--read-only" in await browser.sends(f"/operations/ab12/{action}", 403, done="yes", note="n", by="b")
    assert "--read-only" in await browser.sends("/clear", 403, sure="yes", note="n", by="b")
    found = agent.store.get("ab12")
    assert found is not None
    assert found.status is Status.UNKNOWN


async def test_the_chart_counts_every_end(agent: Agent, dashboard: Opens) -> None:
    agent.ask("aa", times=3)
    agent.ask("bb", Status.FAILED)
    agent.ask("cc", Status.UNKNOWN)
    browser = await dashboard()
    for name, least in (("15m", 60), ("6h", 72), ("24h", 48), ("7d", 56), ("30d", 60)):
        found = json.loads(await browser.opens(f"/api/activity?range={name}"))
        sums = {kind: sum(bar[kind] for bar in found["bars"]) for kind in ("executed", "blocked", "failed", "unknown")}
        assert sums == {"executed": 1, "blocked": 2, "failed": 1, "unknown": 1}, name
        assert len(found["bars"]) >= least


async def test_the_day_behind_the_pictures(dashboard: Opens, tmp_path: Path) -> None:
    """It stays one that real exchanges make: executed, prevented, failed, recovered, and a person needed."""
    await asyncio.to_thread(live_a_day, tmp_path / "day.db", orders=26)
    page = await (await dashboard(tmp_path / "day.db")).opens("/")
    said = plain(page)
    assert "with an unknown outcome" in said
    for name in ("stripe/create", "order-mail", "fulfilment", "send_invoice", "billing-agent"):
        assert name in said


async def test_what_a_person_let_run_again_waits_no_more(agent: Agent, dashboard: Opens) -> None:
    agent.ask("ab12", Status.UNKNOWN)
    agent.crashes("cd34")
    browser = await dashboard()
    assert "2 with an unknown outcome" in plain(await browser.opens("/"))
    await browser.sends("/operations/ab12/retry", **WHY)
    assert "1 with an unknown outcome" in plain(await browser.opens("/"))
    assert rows(await browser.opens("/unknown")) == ["cd34"]
    await browser.sends("/operations/cd34/retry", **WHY)
    assert "Nothing waits for you" in plain(await browser.opens("/unknown"))
