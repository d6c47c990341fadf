"""The dashboard on a large ledger: its pages, and how long after the commit an event is seen.

The pages are asked for over loopback by a client in another process than the server, so each figure holds more than
server time. Every answer is checked.
"""

from __future__ import annotations

import asyncio
import re
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

import aiohttp

from bench.measuring import Figure, Plan
from bench.stage import BenchError, Stage, first_line, spawn
from ledger import clock, lifecycle
from ledger.lifecycle import Change, Claimant
from ledger.records import Kind, Record, Result, Status
from ledger.stores.engine import Insert, Op, Replace, Write, commit
from ledger.stores.files import open_ledger
from ledger.stores.sqlite import SqliteStore

RECORDS = 1_000_000
BATCH = 2_000
ASKED = 20
BODY = b'{"id":"ch_1","object":"charge","amount":4900,"currency":"eur","status":"succeeded"}' * 8

PAGES = {
    "/": "overview",
    "/operations": "operations, first page",
    "/operations?status=unknown": "operations, one status",
    "/operations?wf=order-77": "operations, one workflow",
    "/operations?tool=stripe/charge&caller=agent-3": "operations, tool and caller",
    "/operations?order=touched": "operations, last changed first",
    "/operations?order=attempts&tool=stripe/charge": "operations, most attempts first, of one tool",
    "/operations?order=status": "operations, by status",
    "/workflow?wf=order-77": "one workflow",
    "/unknown": "what waits for a person",
    "/workflows": "workflows",
}


def run(stage: Stage, plan: Plan) -> list[Figure]:
    """Fill a ledger, look at it, follow it."""
    count = plan.scaled(RECORDS)
    with tempfile.TemporaryDirectory(dir=stage.folder, prefix="screens-") as name:
        path = Path(name) / "ledger.db"
        fill(path, count)
        command = [sys.executable, "-m", "ledger_console", "dashboard", str(path), "--port", "0"]
        with spawn(command, Path(name)) as child:
            address = first_line(child, Path(name))
            return asyncio.run(_measured(address, path, count))


def fill(path: Path, count: int) -> None:
    """So many operations, as the store writes them, in few commits: claimed, and all but a few ended."""
    db = open_ledger(str(path), "normal")
    drafts = _drafts(count)
    while batch := list(islice(drafts, BATCH)):
        claimed = [lifecycle.first_claim(draft, Claimant(f"t{draft.id}", ""), draft.created) for draft in batch]
        _commit(db, path, [Insert(change) for change in claimed])
        _commit(db, path, [Replace(_ended(change)) for change in claimed])
    db.close()
    store = SqliteStore(path)
    store.file()
    store.close()


def _drafts(count: int) -> Iterator[Record]:
    now = clock.now()
    for number in range(count):
        at = type(now)(now.wall - 30 * 86400 * (1 - number / count), now.mono, now.boot)
        yield Record(
            id=f"{number * 2654435761 % 2**64:016x}{number:048x}",
            tool=("stripe/charge", "resend/send", "hooks", "send_invoice")[number % 4],
            kind=Kind.HTTP,
            wf=f"order-{number // 8}",
            caller=f"agent-{number % 5}",
            created=at,
            about={"method": "POST", "url": f"https://api.example.com/v1/things/{number}", "request_bytes": 210},
        )


def _ended(claimed: Change) -> Change:
    record = claimed.record
    number = int(record.id[16:], 16)
    status = Status.UNKNOWN if number % 50_000 == 7 else Status.FAILED if number % 40 == 0 else Status.SUCCESS
    result = Result({"status": 200, "reason": "OK", "headers": []}, BODY)
    return lifecycle.finish(record, status, record.touched, result=result, error=None if result else "it failed")


def _commit(db: Any, path: Path, ops: Sequence[Op]) -> None:
    writes = [Write(op) for op in ops]
    commit(db, str(path), writes)
    if not all(write.result() == 1 for write in writes):
        raise BenchError("the ledger could not be filled")


async def _measured(address: str, path: Path, count: int) -> list[Figure]:
    base = address.partition("/?")[0]
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as browser:
        async with browser.get(address) as answer:
            if f"{count:,}" not in re.sub("<[^>]*>", "", await answer.text()):
                raise BenchError("the overview does not show every operation")
        figures = [await _page(browser, base, where, name, count) for where, name in PAGES.items()]
        return [*figures, await _seen(browser, base, path)]


async def _page(browser: aiohttp.ClientSession, base: str, where: str, name: str, count: int) -> Figure:
    took = []
    for _ in range(ASKED):
        began = time.perf_counter()
        async with browser.get(f"{base}{where}") as answer:
            page = await answer.text()
        took.append((time.perf_counter() - began) * 1000)
        if answer.status != 200 or "</html>" not in page:
            raise BenchError(f"{where}: {answer.status}")
    detail = f"median of {ASKED}; {min(took):.0f} to {max(took):.0f} ms"
    how = f"GET {where} with {count:,} records, request to last byte"
    return Figure(f"dashboard: {name}", "≤ 200 ms", f"{median(took):.0f} ms", median(took) <= 200, detail, how)


async def _seen(browser: aiohttp.ClientSession, base: str, path: Path) -> Figure:
    """From before the commit of an event until the browser's stream has it."""
    took = []
    store = SqliteStore(path)
    async with browser.get(f"{base}/events") as stream:
        lines = aiter(stream.content)
        await _until(lines, "event: summary")
        for _ in range(ASKED):
            id, began = uuid.uuid4().hex, time.perf_counter()
            await asyncio.to_thread(store.claim, Record(id=id, tool="live"))
            await _until(lines, id)
            took.append((time.perf_counter() - began) * 1000)
    store.close()
    detail = f"median of {ASKED}; {min(took):.0f} to {max(took):.0f} ms"
    how = "from before a claim's commit to the line in the browser's stream"
    return Figure("dashboard: an event is seen", "≤ 500 ms", f"{max(took):.0f} ms", max(took) <= 500, detail, how)


async def _until(lines: Any, text: str) -> None:
    async for line in lines:
        if text in line.decode():
            return
    raise BenchError("the stream ended")
