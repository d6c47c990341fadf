"""Told to stop at every point of an exchange, on both ways of a request: what was begun is answered, once, and whole.

The second way's connection has had a request that no rule means, which takes it off the short way for good.
"""

from __future__ import annotations

import contextlib
import signal
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.wire.raw import HOST, Answer, Origin, ask, post, read_answer, recorder, through, wait_until
from tests.wire.sidecars import Sidecar, admin_of, running_for

pytestmark = pytest.mark.slow

RULES = f'rules: [{{name: ruled, match: {{method: POST, url: "https://{HOST}/ruled/**"}}}}]'
QUIET, LONGER_THAN_QUIET = 1.0, 1.5
"""Seconds; a connection on which nothing is under way is closed after the first."""
DRAIN, LONGER_THAN_ANY_TEST = 10, 600
BODY = b'{"amount": 10}'
EIGHT = 8 << 20


@dataclass(frozen=True)
class World:
    origin: Origin
    sidecar: Sidecar
    folder: Path

    def stop(self) -> None:
        """SIGTERM, come to effect."""
        self.sidecar.process.send_signal(signal.SIGTERM)
        wait_until(self._deaf)

    def _deaf(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.sidecar.port), 5).close()
        except (ConnectionRefusedError, ConnectionResetError):
            # Reset: it closed its port while this one was queued there.
            return True
        return False

    def ended(self) -> None:
        """It ends by itself, and its records are left."""
        _, said = self.sidecar.process.communicate(timeout=30)
        assert self.sidecar.process.returncode == 0, said
        assert "Traceback" not in said, said

    def effects(self) -> int:
        return len(self.origin.requests(b"/ruled/"))

    def statuses(self) -> list[str]:
        return [record["status"] for record in self.sidecar.records()]

    def told_by_the_next(self, data: bytes) -> bytes:
        """What a sidecar on the same ledger says to the same request."""
        with running_for(self.folder, self.origin, RULES) as following, through(following) as connection:
            return ask(connection, data).value(b"ledger-outcome")


@pytest.fixture
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    drain = getattr(request, "param", DRAIN)
    quiet = getattr(request.function, "quiet", QUIET)
    (tmp_path / "sitecustomize.py").write_text(f"from ledger_proxy import engine\nengine.QUIET_SECONDS = {quiet}\n")
    with (
        recorder(tmp_path / "origin") as origin,
        running_for(tmp_path / "s", origin, RULES, "--drain", drain, PYTHONPATH=str(tmp_path)) as sidecar,
    ):
        yield World(origin, sidecar, tmp_path / "s")


@pytest.fixture(params=["short", "long"])
def connection(request: pytest.FixtureRequest, world: World) -> Iterator[socket.socket]:
    with through(world.sidecar, timeout=30) as made:
        if request.param == "long":
            assert ask(made, post("/free/plain").replace(b"POST", b"GET")).status == 200
        yield made


def require_executed_and_last(answer: Answer) -> None:
    assert (answer.status, answer.value(b"ledger-outcome"), answer.whole) == (200, b"executed", True)
    assert answer.value(b"connection") == b"close"


@pytest.mark.parametrize("cut", [1, 30], ids=["one byte", "half a head"])
def test_who_had_begun_to_speak_is_answered(world: World, connection: socket.socket, cut: int) -> None:
    data = post("/ruled/json", BODY)
    connection.sendall(data[:cut])
    world.stop()
    connection.sendall(data[cut:])
    require_executed_and_last(read_answer(connection))
    assert connection.recv(1) == b""
    world.ended()
    assert (world.effects(), world.statuses()) == (1, ["success"])


# However long it takes here until the rest of the head is said.
test_who_had_begun_to_speak_is_answered.quiet = 10.0  # type: ignore[attr-defined]


def test_who_says_no_more_than_half_a_head_holds_nothing_up(world: World, connection: socket.socket) -> None:
    connection.sendall(post("/ruled/json", BODY)[:30])
    begun = time.monotonic()
    world.stop()
    assert connection.recv(1) == b""
    world.ended()
    assert time.monotonic() - begun < DRAIN
    assert (world.effects(), world.statuses()) == (0, [])


def test_a_body_that_takes_its_time_is_waited_for(world: World, connection: socket.socket) -> None:
    data = post("/ruled/json", BODY)
    connection.sendall(data[:-4])
    world.stop()
    time.sleep(LONGER_THAN_QUIET)
    connection.sendall(data[-4:])
    require_executed_and_last(read_answer(connection))
    world.ended()
    assert (world.effects(), world.statuses()) == (1, ["success"])
    assert world.told_by_the_next(data) == b"replayed"


@pytest.mark.parametrize("kind", ["held", "held-in-body"])
def test_an_answer_that_takes_its_time_is_waited_for(world: World, connection: socket.socket, kind: str) -> None:
    data = post(f"/ruled/{kind}", BODY)
    connection.sendall(data)
    wait_until(lambda: world.effects() == 1)
    world.stop()
    time.sleep(LONGER_THAN_QUIET)
    world.origin.go(1)
    require_executed_and_last(read_answer(connection))
    world.ended()
    assert (world.effects(), world.statuses()) == (1, ["success"])


def require_unknown(connection: socket.socket) -> None:
    answer = read_answer(connection)
    assert (answer.status, answer.value(b"ledger-outcome")) == (504, b"unknown")


def require_given_up(world: World, data: bytes) -> None:
    world.ended()
    assert (world.effects(), world.statuses()) == (1, ["unknown"])
    assert world.told_by_the_next(data) == b"held"
    assert world.effects() == 1


@pytest.mark.parametrize("world", [2], indirect=True)
def test_an_answer_that_never_comes_is_an_unknown_outcome(world: World, connection: socket.socket) -> None:
    data = post("/ruled/stall-before", BODY)
    connection.sendall(data)
    wait_until(lambda: world.effects() == 1)
    world.stop()
    require_unknown(connection)
    require_given_up(world, data)


@pytest.mark.parametrize("left", [False, True], ids=["who waits", "who left"])
def test_there_is_one_drain_for_all_that_is_waited_for(world: World, left: bool) -> None:
    """Connections, then answers, then sends are waited for: each has what the one before it left."""
    with through(world.sidecar) as connection:
        connection.sendall(post("/ruled/stall-before", BODY))
        wait_until(lambda: world.effects() == 1)
        if left:
            connection.close()
        begun = time.monotonic()
        world.stop()
        world.ended()
        assert time.monotonic() - begun < 2 * DRAIN
    assert (world.effects(), world.statuses()) == (1, ["unknown"])


@pytest.mark.parametrize("world", [LONGER_THAN_ANY_TEST], indirect=True)
@pytest.mark.parametrize("kind", ["stall-before", "held-in-body"])
@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_told_a_second_time_it_gives_up_at_once(
    world: World, connection: socket.socket, kind: str, second: signal.Signals
) -> None:
    data = post(f"/ruled/{kind}", BODY)
    connection.sendall(data)
    wait_until(lambda: world.effects() == 1)
    world.stop()
    world.sidecar.process.send_signal(second)
    if kind == "stall-before":
        require_unknown(connection)
    require_given_up(world, data)


@pytest.mark.parametrize("when", ["executed", "replayed", "replayed last"])
def test_an_answer_that_is_taken_slowly_comes_whole(world: World, connection: socket.socket, when: str) -> None:
    data = post(f"/ruled/{EIGHT}/flood")
    if when != "executed":
        with through(world.sidecar) as other:
            assert len(ask(other, data).body) == EIGHT
        wait_until(lambda: world.statuses() == ["success"])
    begun = 1 if when == "replayed last" else len(data)
    connection.sendall(data[:begun])
    taken = b"" if when == "replayed last" else connection.recv(4096)
    world.stop()
    connection.sendall(data[begun:])
    time.sleep(LONGER_THAN_QUIET)
    while more := connection.recv(1 << 20):  # no more than a TLS record of it, 16 KiB
        taken += more
        time.sleep(0.002)
    size = len(taken.partition(b"\r\n\r\n")[2])
    assert size == EIGHT
    world.ended()
    assert (world.effects(), world.statuses()) == (1, ["success"])


def test_answers_that_were_asked_for_ahead_end_with_the_first(world: World, connection: socket.socket) -> None:
    """RFC 9112 section 9.6: what is behind the last answer of a connection was not done."""
    connection.sendall(post("/ruled/held", b"1"))
    wait_until(lambda: world.effects() == 1)
    connection.sendall(post("/ruled/json", b"2"))
    world.stop()
    world.origin.go(1)
    require_executed_and_last(read_answer(connection))
    with contextlib.suppress(ConnectionError):
        assert connection.recv(1) == b""
    world.ended()
    assert (world.effects(), world.statuses()) == (1, ["success"])
    assert world.told_by_the_next(post("/ruled/json", b"2")) == b"executed"


@pytest.mark.parametrize("more", [(), ("--workers", 2)], ids=["one", "workers"])
def test_probes_are_answered_to_the_end(tmp_path: Path, more: tuple[object, ...]) -> None:
    """Who sends it requests hears that it takes no more, and nobody takes it for dead while it drains."""
    words = ("--drain", LONGER_THAN_ANY_TEST, "--admin", "127.0.0.1:0", *more)
    with (
        recorder(tmp_path / "origin") as origin,
        running_for(tmp_path / "s", origin, RULES, *words) as sidecar,
        through(sidecar, timeout=30) as connection,
        httpx.Client(base_url=f"http://{admin_of(sidecar)}", trust_env=False, timeout=20) as pages,
    ):
        connection.sendall(post("/ruled/held", BODY))
        wait_until(lambda: len(origin.requests(b"/ruled/")) == 1)
        assert pages.get("/readyz").json() == {"ready": True}
        sidecar.process.send_signal(signal.SIGTERM)
        wait_until(lambda: pages.get("/readyz").json() == {"ready": False})
        assert pages.get("/readyz").status_code == 503
        assert pages.get("/healthz").status_code == 200
        assert 'ledger_open_operations{status="running"} 1.0' in pages.get("/metrics").text
        origin.go(1)
        require_executed_and_last(read_answer(connection))
        _, said = sidecar.process.communicate(timeout=30)
        assert (sidecar.process.returncode, "Traceback" in said) == (0, False), said
    assert [record["status"] for record in sidecar.records()] == ["success"]
