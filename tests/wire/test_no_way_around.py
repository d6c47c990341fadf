"""Ways around a rule that a client can take without meaning to: whatever it sends is claimed first, or refused."""

from __future__ import annotations

import socket
import ssl
import time

import pytest

from tests.upstream import Upstream
from tests.wire.raw import ask
from tests.wire.sidecars import Sidecar

HOST = "api.stripe.com"
CHARGE = f"POST /ok/charges HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 8\r\n\r\namount=1".encode()


def tunnel(sidecar: Sidecar) -> ssl.SSLSocket:
    """A connection of a client that does not say in TLS that it speaks HTTP (no ALPN)."""
    raw = socket.create_connection(("127.0.0.1", sidecar.port), 20)
    raw.sendall(f"CONNECT {HOST}:443 HTTP/1.1\r\nHost: {HOST}:443\r\n\r\n".encode())
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += raw.recv(1)
    context = ssl.create_default_context(cafile=str(sidecar.ca / "ca-cert.pem"))
    return context.wrap_socket(raw, server_hostname=HOST)


@pytest.mark.parametrize("first", [b"", CHARGE[:1], CHARGE[:4], b"\r\n"])
def test_however_a_head_begins_to_arrive_its_request_is_claimed(
    sidecar: Sidecar, upstream: Upstream, first: bytes
) -> None:
    outcomes = []
    for _ in range(2):
        with tunnel(sidecar) as client:
            if first:
                client.sendall(first)
                time.sleep(0.2)  # for it to be read alone; nothing depends on it but how hard this test tries
            answer = ask(client, CHARGE.removeprefix(first))
            outcomes.append((answer.status, answer.value(b"Ledger-Outcome")))

    assert outcomes == [(200, b"executed"), (200, b"replayed")]
    assert len(upstream.effects()) == 1


def test_what_is_not_http_does_not_reach_a_ruled_host(sidecar: Sidecar, upstream: Upstream) -> None:
    with tunnel(sidecar) as client:
        assert ask(client, b"\x16\x03 hello\r\n\r\n").status == 400
    assert upstream.lines() == []
