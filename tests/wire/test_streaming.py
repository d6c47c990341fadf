"""What streams reaches the agent as it comes, is recorded whole, and is never executed again."""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.wire.raw import HOST, Origin, ask, read_answer, recorder, through, wait_until
from tests.wire.recorder import BIG
from tests.wire.sidecars import Sidecar, running_for

pytestmark = pytest.mark.slow

RULES = f"""
rules:
  - name: ruled
    match: {{method: POST, url: "https://{HOST}/ruled/**"}}
    wait: 1s
"""


@pytest.fixture
def origin(tmp_path: Path) -> Iterator[Origin]:
    with recorder(tmp_path / "origin") as made:
        yield made


@pytest.fixture
def sidecar(tmp_path: Path, origin: Origin) -> Iterator[Sidecar]:
    with running_for(tmp_path / "s", origin, RULES) as made:
        yield made


def post(path: str, body: bytes = b"{}", *fields: bytes) -> bytes:
    lines = (f"POST {path} HTTP/1.1".encode(), b"Host: " + HOST.encode(), *fields, b"Content-Length: %d" % len(body))
    return b"\r\n".join((*lines, b"", body))


def arriving(connection: socket.socket, word: bytes) -> bytes:
    """What comes until this word has come."""
    data = b""
    while word not in data:
        more = connection.recv(65536)
        assert more, f"closed before {word!r}: {data!r}"
        data += more
    return data


def status_of(sidecar: Sidecar) -> list[str]:
    return [record["status"] for record in sidecar.records()]


def test_events_reach_the_agent_one_by_one_and_are_replayed_whole(origin: Origin, sidecar: Sidecar) -> None:
    """Each event is sent only when the one before it has been seen, so nothing on the way can be holding it back."""
    with through(sidecar) as connection:
        connection.sendall(post("/ruled/events"))
        seen = b""
        for number in range(5):
            seen += arriving(connection, b"event %d\n\n" % number)
            if number == 0:
                assert status_of(sidecar) == ["running"]
                assert sidecar.records()[0]["response_status"] == 200, "its head is durable by now"
            origin.go(number + 1)
        arriving(connection, b"0\r\n\r\n")
    assert b"ledger-outcome: executed" in seen.lower()
    wait_until(lambda: status_of(sidecar) == ["success"])
    with through(sidecar) as connection:
        again = ask(connection, post("/ruled/events"))
    assert again.body == b"".join(b"data: event %d\n\n" % n for n in range(5))
    assert (again.value(b"content-type"), again.value(b"ledger-outcome")) == (b"text/event-stream", b"replayed")
    assert len(origin.requests()) == 1


def test_an_agent_that_leaves_midway_loses_nothing(origin: Origin, sidecar: Sidecar) -> None:
    with through(sidecar) as connection:
        connection.sendall(post("/ruled/events"))
        arriving(connection, b"event 0\n\n")
    origin.go(5)
    wait_until(lambda: status_of(sidecar) == ["success"])
    with through(sidecar) as connection:
        assert ask(connection, post("/ruled/events")).body.endswith(b"event 4\n\n")
    assert len(origin.requests()) == 1


def test_a_good_head_with_a_broken_body_is_unknown_and_held(origin: Origin, sidecar: Sidecar) -> None:
    with through(sidecar) as connection:
        connection.sendall(post("/ruled/half-events"))
        arriving(connection, b"data: ")
        with through(sidecar) as other:
            waiting = ask(other, post("/ruled/half-events"))
        assert (waiting.status, waiting.value(b"ledger-outcome")) == (409, b"in-flight")
        origin.go(1)
        assert connection.recv(100) == b"", "the agent can tell that it is not whole"
    wait_until(lambda: status_of(sidecar) == ["unknown"])
    with through(sidecar) as connection:
        held = ask(connection, post("/ruled/half-events"))
    assert (held.status, held.value(b"ledger-outcome")) == (409, b"held")
    assert len(origin.requests()) == 1


def test_a_sidecar_that_is_killed_in_midstream_leaves_an_unknown(tmp_path: Path, origin: Origin) -> None:
    with running_for(tmp_path / "s", origin, RULES) as sidecar, through(sidecar) as connection:
        connection.sendall(post("/ruled/events"))
        arriving(connection, b"event 0\n\n")
        sidecar.kill()
    with running_for(tmp_path / "s", origin, RULES) as sidecar, through(sidecar) as connection:
        held = ask(connection, post("/ruled/events"))
        assert (held.status, held.value(b"ledger-outcome")) == (409, b"held")
        assert status_of(sidecar) == ["unknown"]
    assert len(origin.requests()) == 1


@pytest.mark.parametrize("name", ["large", "chunked-large"])
def test_a_large_answer_is_recorded_whole(origin: Origin, sidecar: Sidecar, name: str) -> None:
    wanted = BIG * (2 if name == "chunked-large" else 1)
    with through(sidecar) as connection:
        first = ask(connection, post(f"/ruled/{name}"))
        assert (first.body == wanted, first.whole, first.value(b"ledger-outcome")) == (True, True, b"executed")
        wait_until(lambda: status_of(sidecar) == ["success"])
        again = ask(connection, post(f"/ruled/{name}"))
        assert (again.body == wanted, again.value(b"ledger-outcome")) == (True, b"replayed")
    assert len(origin.requests()) == 1


def test_of_an_answer_above_the_limit_only_its_head_is_kept(origin: Origin, sidecar: Sidecar) -> None:
    with through(sidecar) as connection:
        first = ask(connection, post("/ruled/ten-mebibytes"))
        assert (len(first.body), first.whole) == (10 << 20, True)
        wait_until(lambda: status_of(sidecar) == ["success"])
        again = ask(connection, post("/ruled/ten-mebibytes"))
    assert (again.status, again.value(b"ledger-outcome")) == (409, b"not-kept")
    assert b"result-not-kept" in again.body
    assert len(origin.requests()) == 1


LIMITS = """
rules:
  - name: ruled
    match: {method: POST, url: "https://HOST/ruled/**"}
  - name: judged
    match: {method: POST, url: "https://HOST/judged/**"}
    outcomes: {"200 $.id == 1": success, "200 $.id == 2": failed}
""".replace("HOST", HOST)


@pytest.mark.parametrize(
    ("limit", "answer", "kept"),
    [
        ("5", "plain", True),
        ("4", "plain", False),
        ("0", "chunked", False),
        ("0", "empty", True),
        ("512KiB", "large", True),
        ("511KiB", "large", False),
        ("1023KiB", "chunked-large", False),
        ("11MiB", "ten-mebibytes", True),
    ],
)
def test_how_large_an_answer_is_kept_is_the_operators_to_say(
    tmp_path: Path, origin: Origin, limit: str, answer: str, kept: bool
) -> None:
    """Whole or not at all; it reaches who asked first as ever, and nothing runs again, also after a restart."""
    with running_for(tmp_path / "s", origin, LIMITS, "--max-stored", limit) as sidecar, through(sidecar) as connection:
        first = ask(connection, post(f"/ruled/{answer}"))
        assert (first.status, first.whole, first.value(b"ledger-outcome")) == (200, True, b"executed")
        wait_until(lambda: status_of(sidecar) == ["success"])
    for again in (limit, "8MiB"):
        more = ("--max-stored", again)
        with running_for(tmp_path / "s", origin, LIMITS, *more) as sidecar, through(sidecar) as connection:
            told = ask(connection, post(f"/ruled/{answer}"))
        assert (told.status, told.value(b"ledger-outcome")) == ((200, b"replayed") if kept else (409, b"not-kept"))
        assert told.body == first.body if kept else b"result-not-kept" in told.body
    assert len(origin.requests()) == 1


def test_what_is_not_kept_is_judged_all_the_same(tmp_path: Path, origin: Origin) -> None:
    """A rule's condition is about the answer, not about what is stored of it; also where the answer streams."""
    with running_for(tmp_path / "s", origin, LIMITS, "--max-stored", "0") as sidecar, through(sidecar) as connection:
        for path in ("/judged/json", "/judged/slow-json"):
            assert ask(connection, post(path)).whole
        wait_until(lambda: status_of(sidecar) == ["success", "success"])
        assert ask(connection, post("/judged/slow-json")).value(b"ledger-outcome") == b"not-kept"
    assert len(origin.requests()) == 2


@pytest.mark.parametrize("chunked", [False, True])
def test_a_large_request_is_compared_by_all_of_its_bytes(origin: Origin, sidecar: Sidecar, chunked: bool) -> None:
    first, other = b"a" * (5 << 20), b"a" * ((5 << 20) - 1) + b"b"
    outcomes = []
    with through(sidecar) as connection:
        for body in (first, first, other):
            answer = ask(connection, as_chunks(body) if chunked else post("/ruled/plain", body))
            assert answer.body == b"hello"
            outcomes.append(answer.value(b"ledger-outcome"))
    assert outcomes == [b"executed", b"replayed", b"executed"]
    hashes = [hashlib.sha256(seen.body).digest() for seen in origin.requests()]
    assert hashes == [hashlib.sha256(body).digest() for body in (first, other)]


def as_chunks(body: bytes) -> bytes:
    head = f"POST /ruled/plain HTTP/1.1\r\nHost: {HOST}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    pieces = (body[n : n + 100_000] for n in range(0, len(body), 100_000))
    return head + b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def test_the_same_body_is_one_operation_chunked_or_not(origin: Origin, sidecar: Sidecar) -> None:
    for data in (post("/ruled/plain", b'{"a": 1}'), as_chunks(b'{"a":1}')):
        with through(sidecar) as connection:
            head, _, body = data.partition(b"\r\n\r\n")
            assert ask(connection, head + b"\r\nContent-Type: application/json\r\n\r\n" + body).status == 200
    assert len(origin.requests()) == 1


def test_an_agent_that_leaves_before_its_body_is_whole_has_done_nothing(origin: Origin, sidecar: Sidecar) -> None:
    with through(sidecar) as connection:
        connection.sendall(post("/ruled/plain", b"a" * (3 << 20))[: 2 << 20])
    with through(sidecar) as connection:
        assert ask(connection, post("/ruled/plain", b"whole")).status == 200
    assert [seen.body for seen in origin.requests()] == [b"whole"]
    assert status_of(sidecar) == ["success"]


def test_a_large_request_that_waits_for_a_go_ahead_gets_it(origin: Origin, sidecar: Sidecar) -> None:
    body = b"a" * (2 << 20)
    head, _, rest = post("/ruled/plain", body, b"Expect: 100-continue").partition(b"\r\n\r\n")
    with through(sidecar) as connection:
        connection.sendall(head + b"\r\n\r\n")
        assert b" 100 " in connection.recv(4096)
        connection.sendall(rest)
        assert read_answer(connection).status == 200
    assert [len(seen.body) for seen in origin.requests()] == [len(body)]
