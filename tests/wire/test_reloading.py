"""New rules, and other secrets, at every point of an exchange, on both ways: a request keeps the rule it came in by.

The second way's connection has had a request that no rule means, which takes it off the short way for good.
"""

from __future__ import annotations

import base64
import itertools
import signal
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.wire.raw import ADDRESS, HOST, Answer, Origin, ask, outcome, post, read_answer, recorder, through, wait_until
from tests.wire.sidecars import Sidecar, running_for

RULE = f'{{name: NAME, match: {{method: POST, url: "https://{HOST}/ruled/**"}}}}'
USUAL = f"rules: [{RULE.replace('NAME', 'usual')}]"
RENAMED = f"rules: [{RULE.replace('NAME', 'renamed')}]"
GONE = USUAL.replace("/ruled/", "/elsewhere/")
DENIED = f"{USUAL}\negress: {{deny: [{HOST}]}}"
TOKEN = "correct-horse-9"
BODY = b'{"amount": 10}'
NUMBERS = itertools.count(1)


@dataclass(frozen=True)
class World:
    origin: Origin
    sidecar: Sidecar

    def take(self, rules: str) -> None:
        """SIGHUP, come to effect."""
        (self.sidecar.db.parent / "ledger.yaml").write_text(rules)
        self.sidecar.process.send_signal(signal.SIGHUP)
        assert self.sidecar.process.stderr is not None
        assert "rules reloaded" in self.sidecar.process.stderr.readline()

    def effects(self, path: str) -> int:
        return len(self.origin.requests(path.encode()))

    def records(self, path: str) -> list[tuple[str, str]]:
        return [(one["rule"], one["status"]) for one in self.sidecar.records() if path in one["url"]]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder: Path = tmp_path_factory.mktemp("reloading")
    with recorder(folder / "o") as origin, running_for(folder / "s", origin, USUAL) as sidecar:
        yield World(origin, sidecar)


@pytest.fixture
def world(running: World) -> Iterator[World]:
    yield running
    running.take(USUAL + f"\n# {next(NUMBERS)}\n")


@pytest.fixture(params=["short", "long"])
def connection(request: pytest.FixtureRequest, world: World) -> Iterator[socket.socket]:
    with through(world.sidecar, timeout=30) as made:
        if request.param == "long":
            take_off(made)
        yield made


def take_off(connection: socket.socket) -> None:
    assert ask(connection, f"GET /free/plain HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode()).status == 200


@pytest.fixture
def path() -> str:
    return f"/ruled/{next(NUMBERS)}."


@pytest.mark.parametrize("rules", [RENAMED, GONE, DENIED], ids=["renamed", "gone", "denied"])
def test_a_request_whose_head_was_here_keeps_its_rule(
    world: World, connection: socket.socket, path: str, rules: str
) -> None:
    data = post(f"{path}/json", BODY)
    connection.sendall(data[:-4])
    # It was read: what comes behind it on another connection is answered.
    with through(world.sidecar) as other:
        assert outcome(ask(other, post(f"{path}/first/json", BODY))) == b"executed"
    world.take(rules)
    connection.sendall(data[-4:])
    assert outcome(read_answer(connection)) == b"executed"
    assert world.effects(f"{path}/json") == 1
    assert ("usual", "success") in world.records(f"{path}/json")


@pytest.mark.parametrize(
    ("rules", "said", "effects"),
    [(RENAMED, b"executed", 1), (GONE, b"", 1), (DENIED, b"refused", 0)],
    ids=["renamed", "gone", "denied"],
)
@pytest.mark.parametrize("cut", [0, 30], ids=["nothing", "half a head"])
def test_a_request_whose_head_was_not_here_goes_by_the_new_ones(
    world: World, connection: socket.socket, path: str, rules: str, said: bytes, effects: int, cut: int
) -> None:
    assert outcome(ask(connection, post(f"{path}/before/json", BODY))) == b"executed"
    data = post(f"{path}/json", BODY)
    connection.sendall(data[:cut])
    world.take(rules)
    connection.sendall(data[cut:])
    answer = read_answer(connection)
    assert (outcome(answer), answer.status) == (said, 200 if effects else 403)
    assert world.effects(f"{path}/json") == effects


@pytest.mark.parametrize("kind", ["held", "held-in-body"])
@pytest.mark.parametrize("rules", [RENAMED, GONE, DENIED], ids=["renamed", "gone", "denied"])
def test_what_was_sent_is_answered_and_recorded(
    world: World, connection: socket.socket, path: str, rules: str, kind: str
) -> None:
    world.origin.go(0)
    connection.sendall(post(f"{path}/{kind}", BODY))
    wait_until(lambda: world.effects(path) == 1)
    world.take(rules)
    world.origin.go(1)
    answer = read_answer(connection)
    assert (outcome(answer), answer.body) == (b"executed", b'{"id": 1}')
    assert world.records(path) == [("usual", "success")]


def test_a_duplicate_by_another_name_does_not_run_beside_the_first(
    world: World, connection: socket.socket, path: str
) -> None:
    world.origin.go(0)
    connection.sendall(post(f"{path}/held", BODY))
    wait_until(lambda: world.effects(path) == 1)
    world.take(RENAMED)
    told: list[Answer] = []

    def duplicate() -> None:
        with through(world.sidecar, timeout=60) as other:
            told.append(ask(other, post(f"{path}/held", BODY)))

    asking = threading.Thread(target=duplicate)
    asking.start()
    asking.join(1)
    assert world.effects(path) == 1
    world.origin.go(1)
    assert outcome(read_answer(connection)) == b"executed"
    asking.join(60)
    assert outcome(told[0]) in (b"replayed", b"in-flight", b"held")
    assert world.effects(path) == 1


def test_a_tunnel_that_becomes_one_late_carries_what_is_inside_of_the_clients_own_tls(tmp_path: Path) -> None:
    """As one may with a proxy, it speaks TLS with the sidecar, too; no rule names the host any more when it has said
    half of what it says to it. What the origin gets is what was meant for it.
    """
    ruled = USUAL.replace(HOST, ADDRESS)
    with (
        recorder(tmp_path / "o") as origin,
        running_for(tmp_path / "s", origin, ruled, "--resolve", origin.resolve(ADDRESS)) as sidecar,
        _within_tls(sidecar) as outer,
    ):
        assert origin.ca_file is not None
        outer.sendall(f"CONNECT {ADDRESS}:443 HTTP/1.1\r\nHost: {ADDRESS}:443\r\n\r\n".encode())
        assert b" 200 " in outer.recv(4096)
        came, goes = ssl.MemoryBIO(), ssl.MemoryBIO()
        trusted = ssl.create_default_context(cafile=str(origin.ca_file))
        inner = trusted.wrap_bio(came, goes, server_hostname=ADDRESS)
        with pytest.raises(ssl.SSLWantReadError):
            inner.do_handshake()
        hello = goes.read()
        outer.sendall(hello[:40])
        # It was read: what comes behind it on another connection is answered.
        with through(sidecar, ADDRESS) as other:
            assert outcome(ask(other, post("/ruled/1./json", BODY, host=ADDRESS))) == b"executed"
        World(origin, sidecar).take(GONE)
        outer.sendall(hello[40:])
        _step(outer, came, goes, inner.do_handshake)
        _step(outer, came, goes, lambda: inner.write(post("/ruled/2./json", BODY, host=ADDRESS)))
        assert _step(outer, came, goes, lambda: inner.read(15)) == b"HTTP/1.1 200 OK"
        assert World(origin, sidecar).effects("/ruled/2.") == 1


def _within_tls(sidecar: Sidecar) -> ssl.SSLSocket:
    """A connection to the sidecar as to a proxy that is reached by TLS."""
    trusted = ssl.create_default_context(cafile=str(sidecar.ca / "ca-cert.pem"))
    raw = socket.create_connection(("127.0.0.1", sidecar.port), 20)
    return trusted.wrap_socket(raw, server_hostname="127.0.0.1")


def _step[T](outer: socket.socket, came: ssl.MemoryBIO, goes: ssl.MemoryBIO, step: Callable[[], T]) -> T:
    """One step of the TLS inside, with what it says and is told carried."""
    while True:
        try:
            return step()
        except ssl.SSLWantReadError:
            outer.sendall(goes.read())
            came.write(outer.recv(65536))


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder: Path = tmp_path_factory.mktemp("guarded")
    with recorder(folder / "o") as origin, running_for(folder / "s", origin, USUAL, "--auth", TOKEN) as sidecar:
        yield World(origin, sidecar)


def basic(user: str, password: str) -> str:
    return "Proxy-Authorization: Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@pytest.mark.parametrize("way", ["short", "long"])
def test_a_secret_is_for_its_connection_and_another_one_inside_for_its_request(
    guarded: World, way: str, path: str
) -> None:
    """A wrong one inside lets nobody in who was not, and turns nobody away: the tunnel has shown its own."""
    said = {
        "none": (),
        "wrong": (basic("order-2", "wrong-horse-9"),),
        "right": (basic("order-3", TOKEN),),
        "none again": (),
    }
    with through(guarded.sidecar, more=f"{basic('order-1', TOKEN)}\r\n") as connection:
        if way == "long":
            take_off(connection)
        for word, fields in said.items():
            target = f"{path}/{word.replace(' ', '-')}/json"
            assert outcome(ask(connection, post(target, BODY, *fields))) == b"executed", word
    asked = guarded.origin.requests(path.encode())
    assert len(asked) == len(said)
    assert not [seen for seen in asked if b"proxy-authorization" in seen.head.lower()]
    records = [one for one in guarded.sidecar.records() if path in one["url"]]
    assert sorted(one["wf"] for one in records) == ["order-1", "order-1", "order-1", "order-3"]


@pytest.mark.parametrize("given", ["", basic("order-1", "wrong-horse-9"), "Proxy-Authorization: Basic %%%"])
def test_who_was_turned_away_may_try_again_on_the_same_connection_and_else_gets_nowhere(
    guarded: World, given: str
) -> None:
    def tunnel(field: str) -> bytes:
        more = f"{field}\r\n" if field else ""
        return f"CONNECT {HOST}:443 HTTP/1.1\r\nHost: {HOST}:443\r\n{more}\r\n".encode()

    with socket.create_connection(("127.0.0.1", guarded.sidecar.port), 20) as raw:
        for _ in range(2):
            answer = ask(raw, tunnel(given))
            assert (answer.status, answer.value(b"proxy-authenticate")) == (407, b'Basic realm="ledger"')
        raw.sendall(tunnel(basic("order-1", TOKEN)))
        assert raw.recv(64).split(b" ")[1] == b"200"
