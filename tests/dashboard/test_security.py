"""Who may talk to the dashboard: one browser of one person on this machine, and no page of anybody else's."""

from __future__ import annotations

import re
import socket

import pytest

from ledger.records import Status
from ledger_console.dashboard.security import Gate
from ledger_console.dashboard.serving import listening
from ledger_console.problems import Problem
from tests.console.conftest import Agent
from tests.dashboard.conftest import WHY, Browser, Opens

PATHS = ("/", "/operations", "/operations/ab12", "/workflows", "/workflow?wf=default", "/unknown", "/clear", "/events",
         "/api/activity", "/operations/ab12/body", "/nowhere")  # fmt: skip


@pytest.fixture
async def stranger(agent: Agent, dashboard: Opens) -> Browser:
    """A browser that was not let in, on a ledger with something in it."""
    agent.ask("ab12", Status.UNKNOWN, tool="secret-tool")
    return await dashboard(let_in=False)


@pytest.mark.parametrize("path", PATHS)
async def test_without_the_token_nothing_is_told(stranger: Browser, path: str) -> None:
    page = await stranger.opens(path, 401)
    assert "Open the dashboard" in page
    assert "secret-tool" not in page


async def test_the_token_is_traded_for_a_cookie_and_leaves_the_address(stranger: Browser) -> None:
    answer = await stranger.client.get(f"/operations?q=x&token={stranger.gate.token}", allow_redirects=False)
    assert (answer.status, answer.headers["Location"]) == (303, "/operations?q=x")
    cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert stranger.gate.token not in cookie
    assert "Operations" in await stranger.opens("/operations")


async def test_the_token_may_be_pasted(stranger: Browser) -> None:
    assert "not the token" in await stranger.sends("/login", 401, token="guess")
    assert await stranger.sends("/login", token=f" {stranger.gate.token}\n") == "/"
    assert "secret-tool" in await stranger.opens("/operations")


async def test_a_wrong_token_or_cookie_opens_nothing(stranger: Browser) -> None:
    assert "not the token" in await stranger.opens("/?token=guess", 401)
    await stranger.opens("/", 401, headers={"Cookie": "ledger-4242=guess"})


async def test_trading_the_token_never_leads_to_another_site(stranger: Browser) -> None:
    from yarl import URL

    asked = URL(f"{stranger.origin}//evil.example/?token={stranger.gate.token}", encoded=True)
    answer = await stranger.client.session.get(asked, allow_redirects=False)
    assert answer.headers["Location"] == "/evil.example/"


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example:4242", "127.0.0.1.evil.example", "0.0.0.0", "a b"]
)
async def test_another_name_for_this_machine_is_refused(dashboard: Opens, agent: Agent, host: str) -> None:
    browser = await dashboard()
    assert "localhost only" in await browser.opens("/", 421, headers={"Host": host})


@pytest.mark.parametrize("host", ["localhost:4242", "127.0.0.1", "[::1]:9999"])
async def test_loopback_names_are_served_on_any_port(dashboard: Opens, agent: Agent, host: str) -> None:
    """An SSH tunnel ends on a port of its own."""
    browser = await dashboard()
    await browser.opens("/", headers={"Host": host})


FOREIGN = (
    {"Origin": "http://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://localhost:3000"},
    {},
)


@pytest.mark.parametrize("headers", FOREIGN)
async def test_no_other_origin_can_act(agent: Agent, dashboard: Opens, headers: dict[str, str]) -> None:
    agent.ask("ab12", Status.UNKNOWN)
    browser = await dashboard()
    form = {"csrf": browser.gate.csrf, "done": "yes", **WHY}
    answer = await browser.client.post("/operations/ab12/resolve", data=form, headers=headers)
    assert answer.status == 403
    assert _status(agent) is Status.UNKNOWN


@pytest.mark.parametrize("csrf", ["", "guess"])
async def test_a_form_that_is_not_ours_does_nothing(agent: Agent, dashboard: Opens, csrf: str) -> None:
    agent.ask("ab12", Status.UNKNOWN)
    browser = await dashboard()
    assert "another run" in await browser.sends("/operations/ab12/resolve", 403, csrf=csrf, done="yes", **WHY)
    assert _status(agent) is Status.UNKNOWN


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
async def test_no_other_page_can_read(agent: Agent, dashboard: Opens, site: str) -> None:
    browser = await dashboard()
    embedded = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "no-cors"}
    for path in ("/", "/events", "/api/activity", "/static/main.js"):
        await browser.opens(path, 403, headers=embedded)
    await browser.opens("/", headers={"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "navigate"})


@pytest.mark.parametrize("path", ["/", "/operations", "/static/main.js", "/nowhere", "/api/activity?range=no"])
async def test_every_answer_forbids_what_it_does_not_need(agent: Agent, dashboard: Opens, path: str) -> None:
    answer = await (await dashboard()).client.get(path)
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "same-origin"
    assert answer.headers["Cache-Control"] == "no-store"
    assert "Server" not in answer.headers


async def test_no_page_has_anything_inline(agent: Agent, dashboard: Opens) -> None:
    agent.ask("ab12", Status.UNKNOWN)
    browser = await dashboard()
    for path in ("/", "/operations", "/operations/ab12", "/workflows", "/workflow?wf=default", "/unknown", "/clear"):
        page = await browser.opens(path)
        assert not re.search(
            r"<style|\sstyle=|\son\w+=|javascript:|<script(?! type=\"module\" src=\"/static/)", page
        ), path


async def test_static_files_stay_in_their_folder(agent: Agent, dashboard: Opens) -> None:
    browser = await dashboard()
    for path in ("/static/../app.py", "/static/%2e%2e/app.py", "/static/..%2fapp.py", "/static/"):
        answer = await browser.client.get(path)
        assert answer.status in (403, 404)


def test_it_listens_on_loopback_only_and_on_both_of_them() -> None:
    sockets = listening(0)
    try:
        names = {made.getsockname()[0] for made in sockets}
        assert "127.0.0.1" in names
        assert names <= {"127.0.0.1", "::1"}
        assert len({made.getsockname()[1] for made in sockets}) == 1
    finally:
        for made in sockets:
            made.close()


def test_a_port_in_use_is_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(Problem, match=f"port {port} is in use; give another --port"):
            listening(port)


def test_two_dashboards_do_not_share_a_cookie() -> None:
    assert Gate(1).token != Gate(2).token
    from aiohttp import web

    names = {name for port in (1, 2) for name in Gate(port).let_in(web.Response()).cookies}
    assert len(names) == 2


def _status(agent: Agent) -> Status:
    found = agent.store.get("ab12")
    assert found is not None
    return found.status
