"""The stream of events: what happens is told, once, also to who was away, whatever becomes of the file."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import ClientResponse

from ledger.records import Status
from tests.console.conftest import Agent
from tests.dashboard.conftest import Browser, Opens

PATIENCE = 20.0


@dataclass
class Message:
    event: str
    data: Any
    id: str


class Stream:
    """One EventSource, as a browser has it."""

    def __init__(self, answer: ClientResponse) -> None:
        self._answer, self.last_id = answer, ""

    async def next(self, event: str) -> Message:
        """The next message of this kind."""
        return await asyncio.wait_for(self._next(event), PATIENCE)

    async def events(self, count: int) -> list[tuple[int, str]]:
        """So many lines of the journal."""
        lines: list[tuple[int, str]] = []
        while len(lines) < count:
            lines += [(e["seq"], e["event"]) for e in (await self.next("journal")).data["events"]]
        return lines

    async def _next(self, event: str) -> Message:
        fields: dict[str, str] = {}
        async for raw in self._answer.content:
            name, _, value = raw.decode().rstrip("\n").partition(": ")
            if name:
                fields[name] = value
                continue
            self.last_id = fields.get("id", self.last_id)
            if fields.get("event") == event:
                return Message(event, json.loads(fields["data"]), self.last_id)
            fields = {}
        raise AssertionError("the stream ended")


@asynccontextmanager
async def stream(browser: Browser, last_id: str | None = None) -> AsyncIterator[Stream]:
    headers = {} if last_id is None else {"Last-Event-ID": last_id}
    async with browser.client.get("/events", headers=headers) as answer:
        assert answer.status == 200
        assert answer.content_type == "text/event-stream"
        one = Stream(answer)
        assert (await one.next("state")).data["state"] == "ok"
        yield one


async def test_what_happens_is_told_with_its_totals(agent: Agent, dashboard: Opens) -> None:
    async with stream(await dashboard()) as seen:
        await seen.next("summary")
        await asyncio.to_thread(agent.ask, "ab12", times=2, wf="order-1")
        assert [name for _, name in await seen.events(3)] == ["claimed", "succeeded", "replayed"]
        summary = (await seen.next("summary")).data
        assert (summary["totals"]["attempts"], summary["totals"]["blocked"]) == (2, 1)
        assert summary["groups"]["wf"][0]["name"] == "order-1"


async def test_who_was_away_misses_nothing_and_gets_nothing_twice(agent: Agent, dashboard: Opens) -> None:
    browser = await dashboard()
    async with stream(browser) as seen:
        agent.ask("aa")
        first = await seen.events(2)
        place = seen.last_id
    agent.ask("bb", times=3)
    async with stream(browser, place) as seen:
        agent.ask("cc")
        later = await seen.events(6)
    assert [seq for seq, _ in first + later] == [1, 2, 3, 4, 5, 6, 7, 8]


async def test_who_was_away_for_long_is_told_how_much_is_left_out(agent: Agent, dashboard: Opens) -> None:
    browser = await dashboard()
    async with stream(browser) as seen:
        agent.ask("aa")
        await seen.events(2)
        place = seen.last_id
    agent.ask("aa", times=3000)
    async with stream(browser, place) as seen:
        told = (await seen.next("journal")).data
        assert told["skipped"] + len(told["events"]) == 3000
        assert told["events"][-1]["seq"] == 3002


async def test_a_place_in_another_journal_begins_anew(agent: Agent, dashboard: Opens) -> None:
    browser = await dashboard()
    agent.ask("aa")
    for place in ("nonsense", "0-0.17", "9" * 40, "0-0.-1"):
        async with stream(browser, place) as seen:
            await asyncio.to_thread(agent.ask, "aa")
            assert len(await seen.events(1)) == 1


async def test_the_ledger_goes_and_another_comes(agent: Agent, dashboard: Opens, tmp_path: Path) -> None:
    browser = await dashboard()
    async with stream(browser) as seen:
        agent.ask("aa")
        await seen.events(2)
        for file in tmp_path.glob("ledger.db*"):
            file.rename(tmp_path / f"old-{file.name}")
        gone = (await seen.next("state")).data
        assert (gone["state"], "no ledger at" in gone["what"]) == ("missing", True)
        other = Agent(tmp_path / "ledger.db")
        try:
            assert (await seen.next("state")).data["state"] == "ok"
            await seen.next("replaced")
            other.ask("bb", Status.UNKNOWN)
            assert [name for _, name in await seen.events(2)] == ["claimed", "unknown"]
        finally:
            other.close()


async def test_so_many_browsers_and_no_more(agent: Agent, dashboard: Opens, monkeypatch: Any) -> None:
    from ledger_console.dashboard import live

    monkeypatch.setattr(live, "MOST_STREAMS", 1)
    browser = await dashboard()
    async with stream(browser):
        assert "close some" in await browser.opens("/events", 503)
    # The first one's place is free again once the server has seen that it left.
    for _ in range(200):
        await asyncio.to_thread(agent.ask, "aa")
        async with browser.client.get("/events") as answer:
            if answer.status == 200:
                return
        await asyncio.sleep(0.05)
    raise AssertionError("a stream that ended still counts")
