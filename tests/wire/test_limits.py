"""What is as large as it may be, and what is one byte larger: told by a length or in chunks, on both ways.

The second way's connection has had a request that no rule means, which takes it off the short way for good. Of a ruled
body so much is taken here as fits three MiB, where it is a GiB otherwise.
"""

from __future__ import annotations

import contextlib
import itertools
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.wire.raw import HOST, Answer, Origin, ask, outcome, post, read_answer, recorder, through, wait_until
from tests.wire.sidecars import Sidecar, running_for

RULES = f'rules: [{{name: ruled, match: {{method: POST, url: "https://{HOST}/ruled/**"}}}}]'
MEBIBYTE = 1 << 20
LARGEST = 3 * MEBIBYTE
HEAD = 64 << 10
READ_IN_A_THREAD, IN_MEMORY, AHEAD, STORED, AT_ONCE = 256 << 10, MEBIBYTE, MEBIBYTE, 8 * MEBIBYTE, 64 << 10
SMALLER = f"""
from ledger_proxy import receiving

receiving.MAX_BODY = {LARGEST}
"""
NUMBERS = itertools.count(1)


@dataclass(frozen=True)
class World:
    origin: Origin
    sidecar: Sidecar

    def bodies(self, path: str) -> list[bytes]:
        return [seen.body for seen in self.origin.requests(path.encode())]

    def records(self, path: str) -> list[str]:
        return [one["status"] for one in self.sidecar.records() if path in one["url"]]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder: Path = tmp_path_factory.mktemp("limits")
    (folder / "sitecustomize.py").write_text(SMALLER)
    with (
        recorder(folder / "o") as origin,
        running_for(folder / "s", origin, RULES, PYTHONPATH=str(folder)) as sidecar,
    ):
        yield World(origin, sidecar)


@pytest.fixture(params=["short", "long"])
def connection(request: pytest.FixtureRequest, world: World) -> Iterator[socket.socket]:
    with through(world.sidecar, timeout=60) as made:
        if request.param == "long":
            free = f"GET /free/plain HTTP/1.1\r\nHost: {HOST}\r\n\r\n"
            assert ask(made, free.encode()).status == 200
        yield made


@pytest.fixture
def path() -> str:
    return f"/ruled/{next(NUMBERS)}."


def again(world: World, data: bytes) -> Answer:
    with through(world.sidecar, timeout=60) as other:
        return ask(other, data)


@pytest.mark.parametrize("more", [0, 1])
@pytest.mark.parametrize("size", [READ_IN_A_THREAD, IN_MEMORY, LARGEST - 1])
@pytest.mark.parametrize("framing", ["sized", "chunked"])
def test_a_body_is_one_operation_whatever_it_is_held_in(
    world: World, connection: socket.socket, path: str, framing: str, size: int, more: int
) -> None:
    body = b"y" * (size + more)
    assert outcome(ask(connection, post(f"{path}/json", body, chunked=framing == "chunked"))) == b"executed"
    for other in ("sized", "chunked"):
        assert outcome(again(world, post(f"{path}/json", body, chunked=other == "chunked"))) == b"replayed"
    assert (world.bodies(path), world.records(path)) == ([body], ["success"])


@pytest.mark.parametrize("framing", ["sized", "chunked"])
def test_a_body_above_the_largest_is_refused_and_nothing_is_sent(
    world: World, connection: socket.socket, path: str, framing: str
) -> None:
    with contextlib.suppress(ConnectionError):
        connection.sendall(post(f"{path}/json", b"y" * (LARGEST + 1), chunked=framing == "chunked"))
    answer = read_answer(connection)
    assert (answer.status, outcome(answer)) == (413, b"refused")
    assert (world.bodies(path), world.records(path)) == ([], [])


@pytest.mark.parametrize("pieces", [1, 2])
@pytest.mark.parametrize(("more", "status"), [(0, 200), (1, 431)])
def test_a_head(world: World, connection: socket.socket, path: str, pieces: int, more: int, status: int) -> None:
    bare = post(f"{path}/json", b"", "X-Pad: ")
    data = bare.replace(b"X-Pad: ", b"X-Pad: " + b"p" * (HEAD - len(bare) + more))
    for start in range(0, len(data), len(data) // pieces):
        connection.sendall(data[start : start + len(data) // pieces])
    assert read_answer(connection).status == status
    taken = status == 200
    assert (len(world.bodies(path)), world.records(path)) == (taken, ["success"] * taken)


@pytest.mark.parametrize("more", [0, 1])
def test_what_is_sent_ahead(world: World, connection: socket.socket, path: str, more: int) -> None:
    world.origin.go(0)
    connection.sendall(post(f"{path}/held"))
    wait_until(lambda: len(world.bodies(path)) == 1)
    bare = len(post(f"{path}/json", b"y" * 1_000_000))
    with contextlib.suppress(ConnectionError):
        connection.sendall(post(f"{path}/json", b"y" * (1_000_000 + AHEAD - bare)) + b"P" * more)
    # It was read by then: so much does not fit into what the system holds for a connection, and others are served.
    assert outcome(again(world, post(f"{path}/first/json"))) == b"executed"
    world.origin.go(1)
    if more:
        with contextlib.suppress(ConnectionError):
            assert connection.recv(1) == b""
        wait_until(lambda: sorted(world.records(f"{path}/held")) == ["success"])
    else:
        assert [outcome(read_answer(connection)) for _ in range(2)] == [b"executed"] * 2
    done = not more
    assert (len(world.bodies(f"{path}/json")), world.records(f"{path}/json")) == (done, ["success"] * done)
    assert (len(world.bodies(f"{path}/held")), world.records(f"{path}/held")) == (1, ["success"])


@pytest.mark.parametrize("more", [0, 1])
@pytest.mark.parametrize("size", [AT_ONCE, STORED])
@pytest.mark.parametrize("kind", ["flood", "flood-in-chunks"])
def test_an_answer_is_replayed_up_to_what_is_kept(
    world: World, connection: socket.socket, path: str, kind: str, size: int, more: int
) -> None:
    data = post(f"{path}/{size + more}/{kind}")
    first = ask(connection, data)
    assert (outcome(first), len(first.body), first.whole) == (b"executed", size + more, True)
    wait_until(lambda: world.records(path) == ["success"])
    second = again(world, data)
    if size + more > STORED:
        assert (second.status, outcome(second)) == (409, b"not-kept")
    else:
        assert (outcome(second), second.body) == (b"replayed", first.body)
    assert len(world.bodies(path)) == 1
