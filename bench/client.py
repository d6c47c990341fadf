"""The load client, a process of its own: `python -m bench.client` reads one job as JSON on stdin and prints its result.

Every answer is checked; one that is not as the job expects is an error, and an error voids the measurement.
"""

from __future__ import annotations

import asyncio
import json
import re
import ssl
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from itertools import chain
from statistics import median
from typing import Any

from bench.conversation import Conversation
from bench.route import Route, open_socket

BODY = (
    '{"order": "%s-%07d", "amount": 1299, "currency": "eur", "customer": "cus_9s6XKzkNRiz8i3", '
    '"lines": [{"sku": "ABC-1", "quantity": 2}, {"sku": "XYZ-9", "quantity": 1}], "note": "leave it at the door"}'
)
DEADLINE = 180.0


@dataclass(frozen=True, slots=True)
class Load:
    """Many requests at once. `distinct`: how many different bodies there are; the requests go round them.

    warm_up: requests before the clock starts. marker: what the head of every answer must hold.
    one_each: a new connection for every request; its cost is part of the latency.
    """

    name: str
    requests: int
    distinct: int
    warm_up: int = 0
    connections: int = 16
    one_each: bool = False
    marker: str = ""


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a load. Latencies in milliseconds."""

    seconds: float
    requests: int
    errors: int
    first_error: str
    p50: float
    p99: float


class Run:
    """One load on one route."""

    def __init__(self, load: Load, route: Route) -> None:
        self._load, self._route = load, route
        self._context: ssl.SSLContext = route.context()
        self._marker = load.marker.lower().encode()
        self._errors: list[str] = []
        self._latencies: list[float] = []

    async def result(self) -> Result:
        """Warm up, then measure."""
        load = self._load
        opened = [None if load.one_each else await self._open() for _ in range(load.connections)]
        await self._all(opened, iter(range(load.warm_up)))
        self._latencies.clear()
        started = time.perf_counter()
        await self._all(opened, iter(range(load.warm_up, load.warm_up + load.requests)))
        seconds = time.perf_counter() - started
        for conversation in opened:
            if conversation is not None:
                conversation.close()
        took = sorted(self._latencies) or [0.0]
        first = self._errors[0] if self._errors else ""
        return Result(seconds, load.requests, len(self._errors), first, median(took), took[int(len(took) * 0.99)])

    async def _open(self) -> Conversation:
        return await Conversation.open(self._route, self._context)

    async def _all(self, opened: list[Conversation | None], numbers: Iterator[int]) -> None:
        await asyncio.gather(*(self._worker(conversation, numbers) for conversation in opened))

    async def _worker(self, kept: Conversation | None, numbers: Iterator[int]) -> None:
        for number in numbers:
            request = self._route.post((BODY % (self._load.name, number % self._load.distinct)).encode())
            started = time.perf_counter()
            try:
                conversation = kept or await self._open()
                head = await conversation.ask(request)
            except (OSError, ssl.SSLError) as error:
                self._errors.append(f"{type(error).__name__}: {error}")
                if kept is not None:
                    return
                continue
            self._latencies.append((time.perf_counter() - started) * 1000)
            if kept is None:
                conversation.close()
            if not head.startswith(b"http/1.1 200") or self._marker not in head:
                self._errors.append(head.decode("latin-1")[:300])


def latencies(routes: list[Route], requests: int) -> list[float]:
    """Median milliseconds of a small GET on a kept connection, per route; the routes take turns."""
    sockets = [open_socket(route) for route in routes]
    took: list[list[float]] = [[] for _ in routes]
    for turn in range(requests + requests // 10):
        for route, sock, times in zip(routes, sockets, took, strict=True):
            started = time.perf_counter()
            sock.sendall(route.get("/small"))
            answer = sock.recv(65536)
            elapsed = (time.perf_counter() - started) * 1000
            if not (answer.startswith(b"HTTP/1.1 200") and answer.endswith(b"{}")):
                raise SystemExit(f"a wrong answer: {answer[:200]!r}")
            if turn >= requests // 10:
                times.append(elapsed)
    for sock in sockets:
        sock.close()
    return [median(times) for times in took]


def first_pieces(route: Route, streams: int, at_once: int, accept: str, marker: str, name: str) -> list[float]:
    """Milliseconds from when the origin sent the first piece of an answer that streams until it was here, in order.

    Both read the same monotonic clock. marker: what the head of every answer must hold. name: makes the bodies unique.
    """

    def follow(numbers: range) -> list[float]:
        with open_socket(route) as sock:
            return [
                _first_piece(sock, route.post((BODY % (name, n)).encode(), accept.encode()), marker) for n in numbers
            ]

    shares = [range(start, streams, at_once) for start in range(at_once)]
    with ThreadPoolExecutor(at_once) as pool:
        return sorted(chain.from_iterable(pool.map(follow, shares)))


def _first_piece(sock: ssl.SSLSocket, request: bytes, marker: str) -> float:
    sock.sendall(request)
    came, told = b"", None
    while told is None:
        came += _more(sock)
        here = time.monotonic_ns()
        told = re.search(rb"\r\n\r\n.*@(.+?)@", came, re.DOTALL)
    if not came.startswith(b"HTTP/1.1 200") or marker not in came.decode("latin-1").lower():
        raise SystemExit(f"a wrong answer: {came[:300]!r}")
    while not came.endswith(b"\r\n0\r\n\r\n"):
        came += _more(sock)
    return (here - int(told[1])) / 1e6


def _more(sock: ssl.SSLSocket) -> bytes:
    data = sock.recv(65536)
    if not data:
        raise SystemExit("the answer broke off")
    return data


def download(route: Route, size: int) -> float:
    """Seconds for `size` bytes."""
    sock = open_socket(route)
    buffer = memoryview(bytearray(1 << 20))
    started = time.perf_counter()
    sock.sendall(route.get(f"/bytes/{size}"))
    received = sock.recv_into(buffer)
    body = received - (bytes(buffer[:received]).index(b"\r\n\r\n") + 4)
    while body < size:
        received = sock.recv_into(buffer)
        if not received:
            raise SystemExit(f"the download broke off after {body} of {size} bytes")
        body += received
    elapsed = time.perf_counter() - started
    sock.close()
    return elapsed


async def downloads(route: Route, at_once: int, each: int, size: int) -> float:
    """The 99th percentile of the milliseconds that `size` bytes take, `each` after another on `at_once` connections."""
    context, took = route.context(), list[float]()
    opened = [await Conversation.open(route, context) for _ in range(at_once)]

    async def fetch(conversation: Conversation) -> None:
        for _ in range(each):
            started = time.perf_counter()
            await conversation.ask(route.get(f"/bytes/{size}"))
            took.append((time.perf_counter() - started) * 1000)

    await asyncio.gather(*map(fetch, opened))
    for conversation in opened:
        conversation.close()
    return sorted(took)[int(len(took) * 0.99)]


def perform(job: dict[str, Any]) -> Any:
    """Do what the job says."""
    routes = [Route(**route) for route in job["routes"]]
    match job["kind"]:
        case "load":
            run = Run(Load(**job["load"]), routes[0])
            return asdict(asyncio.run(asyncio.wait_for(run.result(), DEADLINE)))
        case "latencies":
            return latencies(routes, job["requests"])
        case "first_pieces":
            return first_pieces(routes[0], **job["told"])
        case "download":
            return download(routes[0], job["size"])
        case "downloads":
            fetching = downloads(routes[0], job["at_once"], job["each"], job["size"])
            return asyncio.run(asyncio.wait_for(fetching, DEADLINE))
        case other:
            raise SystemExit(f"no such job: {other}")


if __name__ == "__main__":
    print(json.dumps(perform(json.load(sys.stdin))))
