"""Ledgers that may only be read: the dashboard opens, says so and offers nothing, and is live while others write."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from ledger.records import Status
from tests.console.conftest import Agent
from tests.dashboard import browsers
from tests.dashboard.browsers import Dashboard
from tests.dashboard.conftest import WHY, plain
from tests.dashboard.test_stream import Stream
from tests.privileges import bubblewrap, without_roots_privileges

PAGES = ("/", "/operations", "/operations/ab12", "/workflows", "/workflow?wf=order-1", "/unknown")


@asynccontextmanager
async def let_in(shown: Dashboard) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as browser:
        async with browser.get(shown.address) as answer:
            assert answer.status == 200
        yield browser


async def offers_nothing(shown: Dashboard, browser: aiohttp.ClientSession) -> None:
    """Every page is there, says that it only shows, and has no form; what is sent all the same is refused."""
    for path in PAGES:
        async with browser.get(f"{shown.url}{path}") as answer:
            page = await answer.text()
            assert answer.status == 200, page
        assert "This ledger may only be read from here" in page
        assert '<form method="post"' not in page
        assert "Remove these" not in page
    form, ours = {**WHY, "done": "yes", "sure": "yes"}, {"Origin": shown.url}
    for path in ("/operations/ab12/resolve", "/operations/ab12/retry", "/operations/ab12/remove", "/clear"):
        async with browser.post(f"{shown.url}{path}", data=form, headers=ours) as answer:
            assert answer.status == 403
            assert "may only be read from here" in plain(await answer.text())
    async with browser.get(f"{shown.url}/clear") as answer:
        assert answer.status == 403


@pytest.fixture
def folder(agent: Agent, tmp_path: Path) -> Path:
    """Where a ledger is that nobody has open, with one unknown."""
    agent.ask("ab12", Status.UNKNOWN, wf="order-1")
    agent.ask("cd34", times=2, wf="order-1")
    agent.close()
    return tmp_path


@pytest.mark.parametrize(("file", "mode"), [(0o444, 0o755), (0o644, 0o555), (0o444, 0o555)])
async def test_a_file_or_a_folder_that_may_only_be_read(folder: Path, file: int, mode: int) -> None:
    path = folder / "ledger.db"
    before = path.read_bytes()
    path.chmod(file)
    folder.chmod(mode)
    try:
        with browsers.dashboard(path, become=without_roots_privileges) as shown:
            async with let_in(shown) as browser:
                await offers_nothing(shown, browser)
    finally:
        folder.chmod(0o755)
    assert path.read_bytes() == before


def mounted(folder: Path) -> list[str]:
    """A command that runs another one where that folder is mounted for reading only, and all else as it is."""
    return [bubblewrap(), "--die-with-parent", "--bind", "/", "/", "--dev-bind", "/dev", "/dev",
            "--ro-bind", str(folder), str(folder), "--chdir", str(folder)]  # fmt: skip


async def test_a_mount_that_may_only_be_read(folder: Path) -> None:
    with browsers.dashboard(folder / "ledger.db", within=mounted(folder)) as shown:
        async with let_in(shown) as browser:
            await offers_nothing(shown, browser)


async def test_it_is_live_while_another_process_writes_from_elsewhere(agent: Agent, tmp_path: Path) -> None:
    agent.ask("ab12", Status.UNKNOWN, wf="order-1")
    with browsers.dashboard(tmp_path / "ledger.db", within=mounted(tmp_path)) as shown:
        async with let_in(shown) as browser, browser.get(f"{shown.url}/events") as answer:
            await offers_nothing(shown, browser)
            seen = Stream(answer)
            await seen.next("summary")
            await asyncio.to_thread(agent.ask, "ef56", times=2)
            assert [name for _, name in await seen.events(3)] == ["claimed", "succeeded", "replayed"]


async def test_a_ledger_that_nobody_had_open_is_written_again(folder: Path) -> None:
    """It was read as it stood; from the first write on it is read anew."""
    with browsers.dashboard(folder / "ledger.db", within=mounted(folder)) as shown:
        async with let_in(shown) as browser, browser.get(f"{shown.url}/events") as answer:
            seen = Stream(answer)
            await seen.next("summary")
            writer = Agent(folder / "ledger.db")
            await asyncio.to_thread(writer.ask, "ef56")
            assert [name for _, name in await seen.events(2)] == ["claimed", "succeeded"]
            writer.close()


def test_the_terminal_says_so(folder: Path) -> None:
    words = [*mounted(folder), sys.executable, "-m", "ledger_console", "dashboard", "ledger.db", "--port", "0"]
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert "ledger.db may only be read from here" in process.stderr.readline()
        process.kill()
