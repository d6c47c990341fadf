"""One connection to a ruled host carries whatever its agent sends: plain or odd, ruled or free, in pieces or ahead."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.wire.raw import HOST, Answer, Origin, ask, read_answer, recorder, through
from tests.wire.recorder import BIG
from tests.wire.sidecars import Sidecar, running_for

RULES = f"""
rules:
  - name: orders
    match: {{method: POST, url: "https://{HOST}/ruled/**"}}
  - name: paid-by-body
    match: {{method: POST, url: "https://{HOST}/by-body/**", body: ["$.pay == true"]}}
"""


@dataclass(frozen=True)
class World:
    origin: Origin
    sidecar: Sidecar

    def effects(self, word: str) -> int:
        return len(self.origin.requests(word.encode()))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder: Path = tmp_path_factory.mktemp("lane")
    with recorder(folder / "origin") as origin, running_for(folder / "s", origin, RULES) as sidecar:
        yield World(origin, sidecar)


def post(target: str, body: bytes = b"", *fields: bytes) -> bytes:
    lines = (f"POST {target} HTTP/1.1".encode(), b"Host: " + HOST.encode(), *fields, b"Content-Length: %d" % len(body))
    return b"\r\n".join((*lines, b"", body))


def chunked(target: str, body: bytes) -> bytes:
    lines = (f"POST {target} HTTP/1.1".encode(), b"Host: " + HOST.encode(), b"Transfer-Encoding: chunked")
    return b"\r\n".join((*lines, b"", b"%x" % len(body), body, b"0", b"", b""))


def outcome(answer: Answer) -> bytes:
    return answer.value(b"ledger-outcome")


def test_ruled_and_free_and_odd_requests_take_turns_on_one_connection(world: World) -> None:
    with through(world.sidecar) as connection:
        for round_, wanted in enumerate((b"executed", b"replayed")):
            assert outcome(ask(connection, post("/ruled/turns/json", b"{}"))) == wanted
            assert outcome(ask(connection, post("/free/turns/json", b"{}"))) == b""
            assert outcome(ask(connection, chunked("/ruled/turns-odd/json", b"{}"))) == wanted
            assert world.effects("/free/turns/") == round_ + 1
    assert (world.effects("/ruled/turns/"), world.effects("/ruled/turns-odd/")) == (1, 1)


def test_requests_that_are_sent_ahead_are_answered_in_their_order(world: World) -> None:
    words = ("ahead-a", "ahead-b", "ahead-a", "ahead-c")
    with through(world.sidecar) as connection:
        connection.sendall(b"".join(post(f"/ruled/{word}/json", word.encode()) for word in words))
        told = [outcome(read_answer(connection)) for _ in words]
    assert told == [b"executed", b"executed", b"replayed", b"executed"]
    assert world.effects("/ruled/ahead-") == 3


def test_what_is_sent_ahead_behind_an_odd_request_is_not_lost(world: World) -> None:
    data = post("/ruled/behind-a/json") + chunked("/ruled/behind-b/json", b"x") + post("/ruled/behind-c/json")
    with through(world.sidecar) as connection:
        connection.sendall(data)
        assert [outcome(read_answer(connection)) for _ in range(3)] == [b"executed"] * 3
    assert world.effects("/ruled/behind-") == 3


def test_bodies_that_stream_one_behind_the_other_are_each_taken(world: World) -> None:
    behind = (
        post("/free/stream/json", b"a"),
        *[chunked("/ruled/stream/json", b"b")] * 2,
        post("/free/stream/json", b"c"),
    )
    with through(world.sidecar) as connection:
        connection.sendall(b"".join(behind))
        assert [outcome(read_answer(connection)) for _ in behind] == [b"", b"executed", b"replayed", b""]
    assert [seen.body for seen in world.origin.requests(b"/free/stream/")] == [b"a", b"c"]
    assert world.effects("/ruled/stream/") == 1


@pytest.mark.parametrize("size", [1, 7, 40])
def test_a_request_that_comes_in_pieces_is_one_request(world: World, size: int) -> None:
    data = post(f"/ruled/pieces-{size}/json", b'{"amount": 10}')
    with through(world.sidecar) as connection:
        for start in range(0, len(data), size):
            connection.sendall(data[start : start + size])
        answer = read_answer(connection)
    assert (outcome(answer), answer.body) == (b"executed", b'{"id": 1}')
    assert [seen.body for seen in world.origin.requests(b"/ruled/pieces-%d/" % size)] == [b'{"amount": 10}']


def test_a_rule_that_goes_by_the_body_means_some_of_the_requests(world: World) -> None:
    with through(world.sidecar) as connection:
        for wanted in (b"executed", b"replayed"):
            paying = post("/by-body/paying/json", b'{"pay": true}', b"Content-Type: application/json")
            assert outcome(ask(connection, paying)) == wanted
    with through(world.sidecar) as connection:
        for _ in range(2):
            asking = post("/by-body/asking/json", b'{"pay": false}', b"Content-Type: application/json")
            assert outcome(ask(connection, asking)) == b""
    assert (world.effects("/by-body/paying/"), world.effects("/by-body/asking/")) == (1, 2)


def test_a_connection_that_its_client_wants_closed_is_closed_behind_the_answer(world: World) -> None:
    with through(world.sidecar) as connection:
        answer = ask(connection, post("/ruled/closing/json", b"", b"Connection: close"))
        assert (outcome(answer), answer.value(b"connection")) == (b"executed", b"close")
        assert connection.recv(1) == b""


def test_an_answer_that_streams_is_sent_once_and_its_connection_goes_on(world: World) -> None:
    with through(world.sidecar) as connection:
        streamed = ask(connection, post("/ruled/streams/chunked-large"))
        assert (outcome(streamed), streamed.body, streamed.whole) == (b"executed", BIG + BIG, True)
        assert outcome(ask(connection, post("/ruled/streams-next/json"))) == b"executed"
        again = ask(connection, post("/ruled/streams/chunked-large"))
        assert (outcome(again), again.body) == (b"replayed", BIG + BIG)
    assert world.effects("/ruled/streams/") == 1


def test_a_malformed_request_behind_a_plain_one_is_refused_and_never_sent(world: World) -> None:
    with through(world.sidecar) as connection:
        assert outcome(ask(connection, post("/ruled/before/json"))) == b"executed"
        refused = ask(connection, post("/ruled/malformed/json", b"x", b"Content-Length: 2"))
    assert refused.status == 400
    assert world.effects("/ruled/malformed/") == 0
