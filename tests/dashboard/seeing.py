"""What the stories in a real Chromium are told with: a dashboard with something on it, and a page that listens."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from ledger.records import Result, Status
from ledger.steps import Outcome
from tests.console.conftest import Agent
from tests.dashboard import browsers
from tests.dashboard.browsers import Dashboard

DONE = Outcome(
    Status.SUCCESS,
    result=Result({"status": 201, "reason": "Created", "headers": [["X-A", "b"]]}, b'{"id": "ch_1"}'),
)


expect.set_options(timeout=browsers.PATIENCE)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browsers.chromium(browsers.executable()) as browser:
        yield browser


@pytest.fixture
def shown(agent: Agent) -> Iterator[Dashboard]:
    """A dashboard on a ledger with one success, its duplicates, and one unknown."""
    agent.ask("ab12", DONE, times=3, wf="order-1", caller="billing-agent")
    agent.ask("cd34", Outcome(Status.UNKNOWN, error="the connection was lost"), times=2, wf="order-1")
    with browsers.dashboard(agent.path) as running:
        yield running


class Seen:
    """A page, and everything it complained about."""

    def __init__(self, context: BrowserContext) -> None:
        self.page: Page = context.new_page()
        self.page.set_default_timeout(browsers.PATIENCE)
        self.complaints: list[str] = []
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.complaints.append(f"a dialog: {dialog.message}"), dialog.dismiss()))
        self.page.on("console", self._listen)

    def _listen(self, message: Any) -> None:
        if message.type == "error" and "status of 404" not in message.text:
            self.complaints.append(message.text)


@pytest.fixture
def seen(chromium: Browser, shown: Dashboard) -> Iterator[Seen]:
    """A page that was let in. What it complained about fails the test."""
    context = chromium.new_context(locale="en-GB")
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    one = Seen(context)
    one.page.goto(shown.address)
    yield one
    assert one.complaints == []
    context.close()
