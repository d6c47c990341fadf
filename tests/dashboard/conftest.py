"""A dashboard on a real ledger, and a browser's side of the conversation with it, without a browser."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from aiohttp import CookieJar
from aiohttp.test_utils import TestClient, TestServer

from ledger_console.dashboard.app import application
from ledger_console.dashboard.security import Gate
from ledger_console.ledgers import Place
from tests.console.conftest import agent, ledger  # noqa: F401

WHY = {"note": "seen on the statement", "by": "ada"}


class Browser:
    """What a person's browser does: keeps its cookie, says where a form comes from."""

    def __init__(self, client: TestClient[Any, Any], gate: Gate) -> None:
        self.client, self.gate = client, gate
        self.origin = f"http://127.0.0.1:{client.port}"

    async def lets_itself_in(self) -> None:
        answer = await self.client.get("/", params={"token": self.gate.token})
        # An address, not a name: that cookies are kept for addresses is what CookieJar(unsafe) says.
        assert "token" not in str(answer.url)

    async def opens(self, path: str, code: int = 200, **more: Any) -> str:
        answer = await self.client.get(path, **more)
        text = await answer.text()
        assert answer.status == code, text
        return text

    async def sends(self, path: str, code: int = 303, csrf: str | None = None, **form: str) -> str:
        """The form of a page; returns where it leads, or the page that says why not."""
        fields = {"csrf": self.gate.csrf if csrf is None else csrf, **form}
        answer = await self.client.post(path, data=fields, headers={"Origin": self.origin}, allow_redirects=False)
        text = await answer.text()
        assert answer.status == code, text
        return answer.headers.get("Location", text)


type Opens = Callable[..., Awaitable[Browser]]


@pytest.fixture
async def dashboard(tmp_path: Path) -> AsyncIterator[Opens]:
    """Starts a dashboard on a path and returns a browser that it has let in."""
    clients: list[TestClient[Any, Any]] = []

    async def opens(path: Path | None = None, readonly: bool = False, let_in: bool = True) -> Browser:
        gate = Gate(4242)
        app = application(Place(str(path or tmp_path / "ledger.db"), named=True), gate, readonly)
        client = TestClient(TestServer(app), cookie_jar=CookieJar(unsafe=True))
        await client.start_server()
        clients.append(client)
        browser = Browser(client, gate)
        if let_in:
            await browser.lets_itself_in()
        return browser

    yield opens
    for client in clients:
        await client.close()


def plain(page: str) -> str:
    """What a page says, without its markup."""
    main = page.partition("<main")[2]
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]*>", " ", f"<main{main}"))).strip()


def rows(page: str) -> list[str]:
    """The record ids that a list links to, in order."""
    return re.findall(r'class="tool" href="/operations/([^"]+)"', page)
