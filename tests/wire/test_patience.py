"""How long a client is waited for, on both ways of a request: who says nothing is closed, who waits for us is not.

The sidecar here has a patience of a few seconds, where it has ten minutes and ten seconds otherwise.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.upstream import Upstream, running_upstream
from tests.wire.raw import HOST, Origin, ask, outcome, post, read_answer, recorder, through, wait_until
from tests.wire.sidecars import Sidecar, running_for

RULES = f'rules: [{{name: ruled, match: {{method: POST, url: "https://{HOST}/ruled/**"}}}}]'
SILENCE = 3
IMPATIENT = f"""
from ledger_proxy import limits

limits.SILENCE_SECONDS, limits.HEAD_SECONDS, limits.BODY_SECONDS = {SILENCE}, 4.0, 2.0
"""
BOUND = 30
"""Seconds; what is not closed in them is not closed."""


@dataclass(frozen=True)
class World:
    origin: Origin
    sidecar: Sidecar
    other: Upstream

    def require(self, word: str, *statuses: str) -> None:
        """So many effects, each recorded so."""
        found = [record["status"] for record in self.sidecar.records() if f"/{word}/" in record["url"]]
        assert (len(self.origin.requests(f"/{word}/".encode())), found) == (len(statuses), list(statuses))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder: Path = tmp_path_factory.mktemp("patience")
    (folder / "sitecustomize.py").write_text(IMPATIENT)
    with (
        recorder(folder / "origin") as origin,
        running_upstream(folder / "other", tls=False) as other,
        running_for(folder / "s", origin, RULES, PYTHONPATH=str(folder)) as sidecar,
    ):
        yield World(origin, sidecar, other)


@pytest.fixture(params=["short", "long"])
def way(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def connection(way: str, world: World) -> Iterator[socket.socket]:
    with through(world.sidecar, timeout=BOUND) as made:
        if way == "long":
            assert ask(made, post("/free/plain").replace(b"POST", b"GET")).status == 200
        yield made


def test_who_says_nothing_more_is_closed(world: World, connection: socket.socket, way: str) -> None:
    assert outcome(ask(connection, post(f"/ruled/{way}-quiet/json"))) == b"executed"
    assert connection.recv(1) == b""
    world.require(f"{way}-quiet", "success")


def test_who_says_nothing_in_a_tunnel_is_closed(world: World) -> None:
    with socket.create_connection(("127.0.0.1", world.sidecar.port), BOUND) as raw:
        raw.sendall(f"CONNECT localhost:{world.other.port} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        raw.sendall(b"GET /ok/x HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert read_answer(raw).status == 200
        while raw.recv(4096):
            pass
    assert [line["target"] for line in world.other.lines()].count("/ok/x") == 1
    world.require("ok")


def test_who_waits_for_an_answer_is_not(world: World, connection: socket.socket, way: str) -> None:
    connection.sendall(post(f"/ruled/{way}-waits/held"))
    time.sleep(3 * SILENCE)
    world.origin.go(1)
    assert outcome(read_answer(connection)) == b"executed"
    world.require(f"{way}-waits", "success")


def test_who_goes_on_speaking_is_not(world: World, connection: socket.socket, way: str) -> None:
    begun = time.monotonic()
    while time.monotonic() - begun < 2 * SILENCE:
        assert ask(connection, post(f"/ruled/{way}-speaks/json")).status == 200
        time.sleep(SILENCE / 6)
    world.require(f"{way}-speaks", "success")


@pytest.mark.parametrize("body", [b"", b"half"], ids=["none of it", "half of it"])
def test_whose_body_does_not_come_is_closed_and_nothing_was_sent(
    world: World, connection: socket.socket, way: str, body: bytes
) -> None:
    connection.sendall(post(f"/ruled/{way}-late/json", b"12345678").removesuffix(b"12345678") + body)
    assert connection.recv(1) == b""
    world.require(f"{way}-late")


def test_whose_next_head_does_not_come_whole_is_closed(world: World, connection: socket.socket, way: str) -> None:
    assert outcome(ask(connection, post(f"/ruled/{way}-next/json"))) == b"executed"
    connection.sendall(post(f"/ruled/{way}-never/json")[:40])
    assert connection.recv(1) == b""
    wait_until(lambda: ask_anew(world, way) == b"replayed")
    world.require(f"{way}-next", "success")
    world.require(f"{way}-never")


def test_whose_next_head_drips_is_closed(world: World, connection: socket.socket, way: str) -> None:
    assert outcome(ask(connection, post(f"/ruled/{way}-before/json"))) == b"executed"
    require_closed_while_dripping(connection, f"POST /ruled/{way}-drips/json HTTP/1.1\r\nHost: {HOST}\r\nX-Pad: ")
    world.require(f"{way}-before", "success")
    world.require(f"{way}-drips")


def test_whose_first_head_in_a_tunnel_drips_is_closed(world: World) -> None:
    with through(world.sidecar, timeout=BOUND) as connection:
        require_closed_while_dripping(connection, f"POST /ruled/first-drips/json HTTP/1.1\r\nHost: {HOST}\r\nX-Pad: ")
    world.require("first-drips")


def test_whose_next_head_drips_in_plain_text_is_closed(world: World) -> None:
    free = f"GET http://localhost:{world.other.port}/ok/x HTTP/1.1\r\nHost: localhost:{world.other.port}\r\n"
    with socket.create_connection(("127.0.0.1", world.sidecar.port), BOUND) as raw:
        assert ask(raw, f"{free}\r\n".encode()).status == 200
        require_closed_while_dripping(raw, f"{free}X-Pad: ")


def require_closed_while_dripping(connection: socket.socket, begins: str) -> None:
    connection.sendall(begins.encode())
    connection.settimeout(SILENCE / 6)
    begun = time.monotonic()
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        while time.monotonic() - begun < BOUND:
            connection.sendall(b"x")
            with contextlib.suppress(TimeoutError):
                assert connection.recv(1) == b""
                return
        pytest.fail(f"still open after {BOUND} s of one head")


def ask_anew(world: World, way: str) -> bytes:
    with through(world.sidecar) as other:
        return outcome(ask(other, post(f"/ruled/{way}-next/json")))
