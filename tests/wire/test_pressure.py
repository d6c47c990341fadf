"""Too much, too long, too slow, too many, and round in circles: memory stays bounded and others are served."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import os
import re
import socket
import ssl
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.wire.raw import (
    HOST,
    Answer,
    Origin,
    ask,
    outcome,
    read_answer,
    recorder,
    require_recorded,
    through,
    wait_until,
)
from tests.wire.recorder import bomb
from tests.wire.sidecars import Sidecar, running_for

RULES = f"""
rules:
  - {{name: ruled, match: {{method: POST, url: "https://{HOST}/ruled/**"}}}}
  - {{name: read, match: {{method: POST, url: "https://{HOST}/read/**", body: "$.pay"}}}}
  - name: judged
    match: {{method: POST, url: "https://{HOST}/judged/**"}}
    outcomes: {{"200 $.ok == false": failed}}
"""
MEBIBYTE = 1 << 20
ALLOWED = 64 * MEBIBYTE
CAMPAIGN = os.environ.get("LEDGER_CAMPAIGN") == "1"
LARGE = (2 << 30) if CAMPAIGN else (128 << 20)
"""Two gigabytes in the campaign; twice what is allowed otherwise."""
LARGEST = 1 << 30
"""What is taken of a ruled request's body."""
HALF_OPEN = 1000 if CAMPAIGN else 200
DROPPED = 15
"""Seconds after which none of them is left; they have 10 s for a head, and it is looked at every second."""


@pytest.fixture
def origin(tmp_path: Path) -> Iterator[Origin]:
    with recorder(tmp_path / "origin") as made:
        yield made


@pytest.fixture
def sidecar(tmp_path: Path, origin: Origin) -> Iterator[Sidecar]:
    with running_for(tmp_path / "s", origin, RULES) as made:
        post(made, "/ruled/plain", b"warm")
        post(made, "/free/plain", b"warm")
        yield made


def post(sidecar: Sidecar, path: str, body: bytes, *fields: bytes, host: str = HOST) -> Answer:
    with through(sidecar, host, timeout=60) as connection:
        return ask(connection, head(path, len(body), *fields) + body)


def head(path: str, size: int, *fields: bytes) -> bytes:
    lines = (f"POST {path} HTTP/1.1".encode(), b"Host: " + HOST.encode(), *fields, b"Content-Length: %d" % size)
    return b"\r\n".join((*lines, b"", b""))


@contextlib.contextmanager
def within(sidecar: Sidecar, allowed: int = ALLOWED) -> Iterator[None]:
    """The sidecar's resident memory does not rise by more than this meanwhile, not even for a moment."""
    Path(f"/proc/{sidecar.process.pid}/clear_refs").write_text("5")
    before = memory(sidecar, "VmRSS")
    yield
    assert memory(sidecar, "VmHWM") - before <= allowed


def memory(sidecar: Sidecar, name: str) -> int:
    status = Path(f"/proc/{sidecar.process.pid}/status").read_text()
    found = re.search(rf"{name}:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) * 1024


@pytest.mark.parametrize("where", ["ruled", "free"])
def test_a_flood_of_an_answer_passes_in_bounded_memory(origin: Origin, sidecar: Sidecar, where: str) -> None:
    with within(sidecar), through(sidecar, timeout=120) as connection:
        connection.sendall(head(f"/{where}/{LARGE}/flood", 0, b"Connection: close"))
        assert drained(connection) >= LARGE
    assert len(origin.requests(b"flood")) == 1
    if where == "ruled":
        wait_until(lambda: "running" not in [r["status"] for r in sidecar.records()])
        again = post(sidecar, f"/ruled/{LARGE}/flood", b"")
        assert (again.status, again.value(b"ledger-outcome")) == (409, b"not-kept")
        assert len(origin.requests(b"flood")) == 1
    require_recorded(sidecar, "flood", *([("success", 2, 1)] if where == "ruled" else []))


def drained(connection: socket.socket) -> int:
    total = 0
    while size := len(connection.recv(MEBIBYTE)):
        total += size
    return total


@pytest.mark.parametrize("where", ["ruled", "free"])
def test_a_flood_of_a_request_passes_in_bounded_memory(origin: Origin, sidecar: Sidecar, where: str) -> None:
    """Ruled ones spool to disk before they are sent, a gigabyte of them at most."""
    size = LARGE if where == "free" else min(LARGE, LARGEST)
    with within(sidecar), through(sidecar, timeout=120) as connection:
        connection.sendall(head(f"/{where}/{size}/swallow", size))
        block = b"y" * MEBIBYTE
        for _ in range(size // MEBIBYTE):
            connection.sendall(block)
        answer = read_answer(connection)
    assert (answer.status, answer.body) == (200, b"swallowed %d" % size)
    assert (answer.value(b"ledger-outcome") == b"executed") == (where == "ruled")
    assert len(origin.requests(b"swallow")) == 1
    require_recorded(sidecar, "swallow", *([("success", 1, 1)] if where == "ruled" else []))


@pytest.mark.parametrize("packed", ["tightly", "as a text is"])
@pytest.mark.parametrize("rule", ["ruled", "read"])
def test_a_body_that_blows_up_when_it_is_decoded_does_not(
    origin: Origin, sidecar: Sidecar, rule: str, packed: str
) -> None:
    body = gzip.compress(b'{"a": "' + b"0" * (300 * MEBIBYTE) + b'"}', 9) if packed == "tightly" else bomb()
    fields = (b"Content-Encoding: gzip", b"Content-Type: application/json")
    with within(sidecar):
        told = [outcome(post(sidecar, f"/{rule}/bomb-sent/plain", body, *fields)) for _ in range(2)]
    assert told == [b"executed", b"replayed"]
    assert [seen.body for seen in origin.requests(b"bomb-sent")] == [body]
    require_recorded(sidecar, "bomb-sent", ("success", 2, 1))


@pytest.mark.parametrize(
    ("rule", "status", "then"), [("ruled", "success", b"replayed"), ("judged", "unknown", b"held")]
)
def test_an_answer_that_blows_up_when_it_is_decoded_does_not(
    origin: Origin, sidecar: Sidecar, rule: str, status: str, then: bytes
) -> None:
    """It is looked into where a rule judges it by what it says, and where a duplicate can take no gzip."""
    with within(sidecar):
        first, second = (post(sidecar, f"/{rule}/bomb", b"") for _ in range(2))
    assert (first.status, first.body, first.whole) == (200, bomb(), True)
    assert outcome(second) == then
    assert second.body == first.body or then == b"held"
    assert len(origin.requests(b"/bomb")) == 1
    require_recorded(sidecar, "/bomb", (status, 2, int(status == "success")))


def test_deep_json_is_taken_as_it_is(origin: Origin, sidecar: Sidecar) -> None:
    deep = b"[" * 400_000 + b"]" * 400_000
    with within(sidecar):
        told = [outcome(post(sidecar, "/read/deep/plain", deep, b"Content-Type: application/json")) for _ in range(2)]
    assert told == [b"executed", b"replayed"]
    assert [seen.body for seen in origin.requests(b"/deep/")] == [deep]
    require_recorded(sidecar, "/deep/", ("success", 2, 1))


@pytest.mark.parametrize("how", ["one", "many", "never ending line"])
def test_a_giant_head_is_refused_before_it_is_read(origin: Origin, sidecar: Sidecar, how: str) -> None:
    start = b"POST /ruled/giant HTTP/1.1\r\nHost: api.test\r\n"
    data = {
        "one": start + b"X: " + b"y" * (40 * MEBIBYTE) + b"\r\n\r\n",
        "many": start + b"X: y\r\n" * (7 * MEBIBYTE) + b"\r\n",
        "never ending line": b"P" * (40 * MEBIBYTE),
    }[how]
    with within(sidecar), through(sidecar, timeout=20) as connection, contextlib.suppress(OSError):
        connection.sendall(data)
    # Who goes on sending may lose the answer by it.
    with through(sidecar, timeout=20) as connection:
        connection.sendall(data[: 70 << 10])
        answer = read_answer(connection)
    assert (answer.status, answer.value(b"connection"), answer.whole) == (431, b"close", True)
    assert [seen.line for seen in origin.requests() if b"/plain" not in seen.line] == []
    assert len(sidecar.records()) == 1, "the first, that warmed it up"


@pytest.mark.parametrize("how", ["giant-field", "giant-head"])
def test_a_giant_head_of_an_answer_is_not_gathered(origin: Origin, sidecar: Sidecar, how: str) -> None:
    """It was asked for by then, so nobody knows what became of a ruled request."""
    path = f"{100 * MEBIBYTE}/{how}"
    with within(sidecar):
        told = [post(sidecar, f"/{where}/{path}", b"") for where in ("free", "ruled", "ruled")]
    outcomes = [(answer.status, answer.value(b"ledger-outcome")) for answer in told]
    assert outcomes == [(502, b""), (504, b"unknown"), (409, b"held")]
    assert len(origin.requests(f"/ruled/{path}".encode())) == 1
    assert sorted(record["status"] for record in sidecar.records()) == ["success", "unknown"]


def test_what_is_sent_ahead_is_bounded(origin: Origin, sidecar: Sidecar) -> None:
    with within(sidecar), through(sidecar, timeout=20) as connection, contextlib.suppress(OSError):
        connection.sendall(head("/ruled/events", 0))
        for _ in range(100):
            connection.sendall(b"z" * MEBIBYTE)
    origin.go(5)
    wait_until(lambda: [r["status"] for r in sidecar.records()] == ["success"] * 2)
    assert len(origin.requests(b"events")) == 1


async def test_what_is_sent_ahead_is_bounded_also_while_answers_are_taken(origin: Origin, sidecar: Sidecar) -> None:
    """Each of these is refused at once, so that no answer is waited for in which much can come."""
    refused = head("/ruled/plain", 0).replace(HOST.encode(), b"other.test") * 10_000
    with within(sidecar):
        async with tunnel(sidecar) as (reader, writer):
            taking = asyncio.create_task(taken(reader))
            with contextlib.suppress(OSError):
                for _ in range(100 * MEBIBYTE // len(refused)):
                    writer.write(refused)
                    await writer.drain()
            writer.transport.abort()
            assert await taking > 0
    assert len(sidecar.records()) == len(origin.requests(b"/ruled/")) == 1, "the first, that warmed it up"
    assert outcome(post(sidecar, "/ruled/plain", b"others")) == b"executed"


@contextlib.asynccontextmanager
async def tunnel(sidecar: Sidecar) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection through it to the host, which is read and written at once."""
    reader, writer = await asyncio.open_connection("127.0.0.1", sidecar.port)
    try:
        writer.write(f"CONNECT {HOST}:443 HTTP/1.1\r\nHost: {HOST}:443\r\n\r\n".encode())
        await reader.readuntil(b"\r\n\r\n")
        await writer.start_tls(ssl.create_default_context(cafile=str(sidecar.ca / "ca-cert.pem")), server_hostname=HOST)
        yield reader, writer
    finally:
        writer.transport.abort()


async def taken(reader: asyncio.StreamReader) -> int:
    total = 0
    with contextlib.suppress(OSError):
        while size := len(await reader.read(MEBIBYTE)):
            total += size
    return total


def test_half_open_connections_are_dropped_and_others_served(origin: Origin, sidecar: Sidecar) -> None:
    beginnings = (b"", b"CONN", b"CONNECT api.test:443 HTTP/1.1\r\nHost: api.test\r\n\r\n", b"POST http://api.te")
    with contextlib.ExitStack() as stack, within(sidecar, 3 * ALLOWED):
        opened = []
        for number in range(HALF_OPEN):
            raw = stack.enter_context(socket.create_connection(("127.0.0.1", sidecar.port), 30))
            raw.sendall(beginnings[number % len(beginnings)])
            opened.append(raw)
        for number in range(20):
            assert post(sidecar, "/ruled/plain", b"%d" % number).status == 200
        begun = time.monotonic()
        for raw in opened:
            raw.settimeout(max(0.1, begun + DROPPED - time.monotonic()))
            with contextlib.suppress(ConnectionError):
                while raw.recv(4096):  # a timeout here fails the test
                    pass
    require_recorded(sidecar, "", *[("success", 1, 1)] * 21)
    assert len(origin.requests()) == 22, "these, and those that warmed it up"


def test_a_body_that_never_comes_whole_holds_nobody_up(origin: Origin, sidecar: Sidecar) -> None:
    with through(sidecar) as slow:
        slow.sendall(head("/ruled/plain", 10) + b"half")
        answers = [post(sidecar, "/ruled/plain", b"whole %d" % n).status for n in range(5)]
    assert answers == [200] * 5
    assert not [seen for seen in origin.requests() if b"half" in seen.body]
    require_recorded(sidecar, "", *[("success", 1, 1)] * 6)


def test_a_request_to_the_sidecar_itself_goes_nowhere(origin: Origin, sidecar: Sidecar) -> None:
    own = f"127.0.0.1:{sidecar.port}"
    for name in (own, f"localhost:{sidecar.port}"):
        for data in (
            f"CONNECT {name} HTTP/1.1\r\nHost: {name}\r\n\r\n",
            f"GET http://{name}/ HTTP/1.1\r\nHost: {name}\r\n\r\n",
        ):
            with socket.create_connection(("127.0.0.1", sidecar.port), 20) as raw:
                answer = ask(raw, data.encode())
            assert (answer.status, b"urn:ledger:problem:loop" in answer.body) == (508, True)
    assert (len(origin.requests()), len(sidecar.records())) == (2, 1), "those that warmed it up"


def test_many_at_once_are_each_answered_once(origin: Origin, sidecar: Sidecar) -> None:
    told: list[bytes] = []

    def attempt() -> None:
        told.append(post(sidecar, "/ruled/chunked-large", b"the same").value(b"ledger-outcome"))

    threads = [threading.Thread(target=attempt) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(told) == [b"executed"] + [b"replayed"] * 19
    assert len(origin.requests(b"chunked-large")) == 1
    require_recorded(sidecar, "chunked-large", ("success", 20, 1))
