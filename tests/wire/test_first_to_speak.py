"""A server that speaks before its client does, as of mail, is heard through a tunnel, however that was asked for."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.wire.raw import Origin, recorder
from tests.wire.sidecars import Sidecar, running_for

RULES = 'rules: [{name: ruled, match: {method: POST, url: "https://api.test/**"}}]'
GREETING, PATIENCE = b"220 mail.test ready\r\n", 30
CONNECT = b"CONNECT mail.test:25 HTTP/1.1\r\nHost: mail.test:25\r\n\r\n"


@pytest.fixture
def origin(tmp_path: Path) -> Iterator[Origin]:
    with recorder(tmp_path / "origin") as made:
        yield made


@pytest.fixture
def server() -> Iterator[socket.socket]:
    """Greets whoever comes, and says back one line."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=_serve, args=(listening,), daemon=True).start()
        yield listening
        listening.shutdown(socket.SHUT_RDWR)


def _serve(listening: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while True:
            client, _ = listening.accept()
            with client:
                client.sendall(GREETING)
                client.sendall(b"250 " + client.recv(4096))


@contextlib.contextmanager
def leading_to(server: socket.socket, folder: Path, origin: Origin, *more: object) -> Iterator[Sidecar]:
    port = server.getsockname()[1]
    with running_for(folder, origin, RULES, "--resolve", f"mail.test:25:127.0.0.1:{port}", *more) as sidecar:
        yield sidecar


def answered(raw: socket.socket, data: bytes, size: int) -> bytes:
    raw.sendall(data)
    return _exactly(raw, size)


def _exactly(raw: socket.socket, size: int) -> bytes:
    got = b""
    while len(got) < size and (more := raw.recv(size - len(got))):
        got += more
    return got


def require_heard(raw: socket.socket) -> None:
    assert _exactly(raw, len(GREETING)) == GREETING
    assert answered(raw, b"EHLO x\r\n", 12) == b"250 EHLO x\r\n"


def opened(sidecar: Sidecar) -> socket.socket:
    return socket.create_connection(("127.0.0.1", sidecar.port), PATIENCE)


def require_heard_by_connect(sidecar: Sidecar) -> None:
    with opened(sidecar) as raw:
        raw.sendall(CONNECT)
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            more = _exactly(raw, 1)
            assert more, "closed amid the head of the answer"
            head += more
        assert b" 200 " in head
        require_heard(raw)


def test_by_connect(tmp_path: Path, origin: Origin, server: socket.socket) -> None:
    with leading_to(server, tmp_path / "s", origin) as sidecar:
        require_heard_by_connect(sidecar)


def test_through_another_proxy(tmp_path: Path, origin: Origin, server: socket.socket) -> None:
    with leading_to(server, tmp_path / "far", origin) as far:
        mode = f"upstream:http://127.0.0.1:{far.port}"
        with running_for(tmp_path / "near", origin, RULES, "--mode", mode) as near:
            require_heard_by_connect(near)


def test_by_socks(tmp_path: Path, origin: Origin, server: socket.socket) -> None:
    with leading_to(server, tmp_path / "s", origin, "--mode", "socks5") as sidecar, opened(sidecar) as raw:
        assert answered(raw, b"\x05\x01\x00", 2) == b"\x05\x00"
        assert answered(raw, b"\x05\x01\x00\x03\x09mail.test" + (25).to_bytes(2), 10)[:2] == b"\x05\x00"
        require_heard(raw)


def test_a_server_that_is_not_there_ends_the_tunnel(tmp_path: Path, origin: Origin) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        pass_on = gone.getsockname()[1]
    ways = ("--resolve", f"mail.test:25:127.0.0.1:{pass_on}")
    with running_for(tmp_path / "s", origin, RULES, *ways) as sidecar, opened(sidecar) as raw:
        raw.sendall(CONNECT)
        while raw.recv(4096):
            pass
