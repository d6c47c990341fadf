"""Through a tunnel every byte passes, in order, as fast as it is taken; and who ends it, or half of it, is heard."""

from __future__ import annotations

import contextlib
import hashlib
import random
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.wire.raw import recorder
from tests.wire.sidecars import Sidecar, running_for
from tests.wire.test_pressure import CAMPAIGN, within

RULES = 'rules: [{name: ruled, match: {method: POST, url: "https://api.test/**"}}]'
PATIENCE = 60
MEBIBYTE = 1 << 20
BOTH_WAYS = (100 if CAMPAIGN else 12) * MEBIBYTE
FLOOD = 160 * MEBIBYTE
"""More than the sidecar is allowed to hold, and all that the sockets on its way may."""
CONNECT = b"CONNECT free.test:9 HTTP/1.1\r\nHost: free.test:9\r\n\r\n"
SOCKS = b"\x05\x01\x00", b"\x05\x01\x00\x03\x09free.test" + (9).to_bytes(2)

type Serve = Callable[[socket.socket], object]


@dataclass(frozen=True)
class World:
    """A sidecar, and where it leads who asks for the server's name."""

    sidecar: Sidecar
    listening: socket.socket
    mode: str

    def asking(self, also: bytes = b"", end: bool = False) -> socket.socket:
        """A tunnel that was asked for, with bytes for the server in the same breath. end: they are all."""
        raw = socket.create_connection(("127.0.0.1", self.sidecar.port), PATIENCE)
        if self.mode == "socks5":
            raw.sendall(SOCKS[0])
            assert exactly(raw, 2) == b"\x05\x00"
        raw.sendall((SOCKS[1] if self.mode == "socks5" else CONNECT) + also)
        if end:
            raw.shutdown(socket.SHUT_WR)
        self.require_connected(raw)
        return raw

    def require_connected(self, raw: socket.socket) -> None:
        if self.mode == "socks5":
            assert exactly(raw, 10)[:2] == b"\x05\x00"
            return
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += exactly(raw, 1)
        assert b" 200 " in head

    @contextlib.contextmanager
    def serving(self, serve: Serve) -> Iterator[None]:
        """The server does this with who comes next."""
        with ThreadPoolExecutor(1) as pool:
            served = pool.submit(self._serve, serve)
            yield
            served.result(PATIENCE)

    def _serve(self, serve: Serve) -> None:
        with self.listening.accept()[0] as client:
            client.settimeout(PATIENCE)
            serve(client)

    @contextlib.contextmanager
    def tunnel(self, serve: Serve) -> Iterator[socket.socket]:
        with self.serving(serve), self.asking() as raw:
            yield raw


@pytest.fixture(scope="module", params=["regular", "socks5", "upstream"])
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder: Path = tmp_path_factory.mktemp("tunnels")
    mode = str(request.param)
    with contextlib.ExitStack() as stack:
        listening = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        listening.settimeout(PATIENCE)
        origin = stack.enter_context(recorder(folder / "origin"))
        ways = ("--resolve", f"free.test:9:127.0.0.1:{listening.getsockname()[1]}")
        kind = "socks5" if mode == "socks5" else "regular"
        sidecar = stack.enter_context(running_for(folder / "s", origin, RULES, "--mode", kind, *ways))
        if mode == "upstream":
            behind = ("--mode", f"upstream:{sidecar.url}")
            sidecar = stack.enter_context(running_for(folder / "near", origin, RULES, *behind))
        yield World(sidecar, listening, mode)


def exactly(raw: socket.socket, size: int) -> bytes:
    got = bytearray()
    while len(got) < size:
        more = raw.recv(size - len(got))
        assert more, f"ended after {len(got)} of {size} bytes"
        got += more
    return bytes(got)


def to_the_end(raw: socket.socket) -> bytes:
    got = bytearray()
    while more := raw.recv(MEBIBYTE):
        got += more
    return bytes(got)


def in_pieces(raw: socket.socket, data: bytes, seed: int) -> None:
    """Pieces of every size, from one byte to more than is read at once; then no more is sent."""
    sizes, sent = random.Random(seed), 0
    while sent < len(data):
        size = sizes.choice([1, 7, 1000, 16_384, 70_000, 300_000])
        raw.sendall(data[sent : sent + size])
        sent += size
    raw.shutdown(socket.SHUT_WR)


def test_all_bytes_pass_in_order_both_ways_at_once(world: World) -> None:
    up, down = (random.Random(seed).randbytes(BOTH_WAYS) for seed in (1, 2))
    got: dict[str, bytes] = {}

    def both(raw: socket.socket, mine: bytes, name: str) -> None:
        with ThreadPoolExecutor(1) as pool:
            sending = pool.submit(in_pieces, raw, mine, len(name))
            got[name] = to_the_end(raw)
            sending.result(PATIENCE)

    with world.tunnel(lambda client: both(client, down, "server")) as raw:
        both(raw, up, "client")
    digests = [hashlib.sha256(data).hexdigest() for data in (got["server"], got["client"], up, down)]
    assert digests[:2] == digests[2:]


def test_who_has_said_all_is_still_answered(world: World) -> None:
    """As of a client that sends a file to its end, and waits for what is made of it."""

    def serve(client: socket.socket) -> None:
        said = to_the_end(client)
        client.sendall(said[::-1])

    with world.tunnel(serve) as raw:
        raw.sendall(b"abc" * MEBIBYTE)
        raw.shutdown(socket.SHUT_WR)
        assert to_the_end(raw) == b"cba" * MEBIBYTE


def test_a_server_that_has_said_all_still_listens(world: World) -> None:
    heard: list[bytes] = []

    def serve(client: socket.socket) -> None:
        client.sendall(b"that is all")
        client.shutdown(socket.SHUT_WR)
        heard.append(to_the_end(client))

    with world.tunnel(serve) as raw:
        assert to_the_end(raw) == b"that is all"
        raw.sendall(b"thanks" * 100_000)
        raw.shutdown(socket.SHUT_WR)
    assert heard == [b"thanks" * 100_000]


def test_what_a_client_does_not_take_is_not_taken_from_the_server(world: World) -> None:
    """The client never says a word; what it says in the end is heard though nothing of the flood was taken."""
    stopped = threading.Event()

    def serve(client: socket.socket) -> None:
        client.settimeout(2)
        with contextlib.suppress(TimeoutError):
            client.sendall(bytes(FLOOD))
            return
        stopped.set()
        client.settimeout(PATIENCE)
        assert exactly(client, 6) == b"enough"

    with world.tunnel(serve) as raw:
        with within(world.sidecar, 32 * MEBIBYTE):
            assert stopped.wait(PATIENCE)
        raw.sendall(b"enough")
        while raw.recv(MEBIBYTE):
            pass


def test_a_flood_is_taken_up_again_when_there_is_room(world: World) -> None:
    paused = threading.Event()

    def serve(client: socket.socket) -> None:
        client.sendall(b"first")
        paused.wait(PATIENCE)
        client.sendall(bytes(FLOOD))

    with world.tunnel(serve) as raw, within(world.sidecar, 32 * MEBIBYTE):
        assert exactly(raw, 5) == b"first"
        paused.set()
        total = 0
        while size := len(raw.recv(MEBIBYTE)):
            total += size
            if total % (8 * MEBIBYTE) < 4096:
                threading.Event().wait(0.02)
        assert total == FLOOD


@pytest.mark.parametrize("full", [False, True], ids=["taking all", "taking nothing"])
def test_a_client_that_is_gone_is_gone_for_the_server(world: World, full: bool) -> None:
    ended = threading.Event()

    def serve(client: socket.socket) -> None:
        client.sendall(b"go")
        with contextlib.suppress(ConnectionError):
            while full:
                client.sendall(bytes(MEBIBYTE))
            while client.recv(MEBIBYTE):
                pass
        ended.set()

    with world.tunnel(serve) as raw:
        assert exactly(raw, 2) == b"go"
        if full:
            threading.Event().wait(0.5)
        reset(raw)
        assert ended.wait(PATIENCE)


def test_a_server_that_is_gone_is_gone_for_a_client_that_sends(world: World) -> None:
    def serve(client: socket.socket) -> None:
        exactly(client, MEBIBYTE)
        reset(client)

    with world.tunnel(serve) as raw, contextlib.suppress(ConnectionError):
        raw.sendall(bytes(MEBIBYTE))
        while raw.recv(MEBIBYTE):
            pass


@pytest.mark.parametrize("gone", ["with a reset", "closed"])
def test_a_server_that_is_gone_is_gone_for_a_client_that_only_sends(world: World, gone: str) -> None:
    """It reads nothing, so it would not see that the server has ended; and nobody takes what it sends."""

    def serve(client: socket.socket) -> None:
        exactly(client, MEBIBYTE)
        if gone == "with a reset":
            reset(client)

    with world.tunnel(serve) as raw, pytest.raises(ConnectionError):
        raw.sendall(bytes(8 * FLOOD))


def reset(raw: socket.socket) -> None:
    """Hang up at once, so that what was not taken is thrown away."""
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    raw.close()


def test_what_is_said_before_there_is_a_tunnel_arrives_first(world: World) -> None:
    def serve(client: socket.socket) -> None:
        client.sendall(exactly(client, 20)[::-1])

    with world.serving(serve), world.asking(b"0123456789") as raw:
        raw.sendall(b"9876543210")
        assert exactly(raw, 20) == b"01234567899876543210"


def test_who_has_said_all_before_there_is_a_tunnel_is_answered(world: World) -> None:
    def serve(client: socket.socket) -> None:
        client.sendall(to_the_end(client)[::-1])

    with world.serving(serve), world.asking(b"0123456789", end=True) as raw:
        assert to_the_end(raw) == b"9876543210"


@pytest.mark.parametrize("world", ["regular", "upstream"], indirect=True)
def test_a_client_that_speaks_tls_with_the_sidecar_itself_is_passed_on_in_plain(world: World) -> None:
    """As one may with a proxy: what the server is sent is what was meant for it, not what the sidecar was sent."""

    def serve(client: socket.socket) -> None:
        client.sendall(exactly(client, 5)[::-1])
        client.sendall(exactly(client, MEBIBYTE)[::-1])

    trusted = ssl.create_default_context(cafile=str(world.sidecar.ca / "ca-cert.pem"))
    plain = socket.create_connection(("127.0.0.1", world.sidecar.port), PATIENCE)
    with world.serving(serve), trusted.wrap_socket(plain, server_hostname="127.0.0.1") as raw:
        raw.sendall(CONNECT)
        world.require_connected(raw)
        raw.sendall(b"hello")
        assert exactly(raw, 5) == b"olleh"
        raw.sendall(b"ab" * (MEBIBYTE // 2))
        assert exactly(raw, MEBIBYTE) == b"ba" * (MEBIBYTE // 2)


@contextlib.contextmanager
def no_room(listening: socket.socket) -> Iterator[None]:
    """Nobody else gets through to a server meanwhile: its queue is full."""
    listening.listen(0)
    with socket.create_connection(listening.getsockname(), PATIENCE):
        yield
        listening.accept()[0].close()
    listening.listen()


def test_what_is_said_before_a_server_is_reached_holds_back_what_is_said_then(world: World) -> None:
    """There is more of it than a server that takes nothing lets through."""
    sent = threading.Event()

    def serve(client: socket.socket) -> None:
        client.sendall(b"go")
        assert sent.wait(PATIENCE)

    with contextlib.ExitStack() as stack:
        with no_room(world.listening):
            raw = stack.enter_context(world.asking())
            raw.sendall(bytes(16 * MEBIBYTE))
        stack.enter_context(world.serving(serve))
        stack.callback(sent.set)
        assert exactly(raw, 2) == b"go"
        raw.settimeout(2)
        with within(world.sidecar, 32 * MEBIBYTE), pytest.raises(TimeoutError):
            raw.sendall(bytes(FLOOD))
