"""Ways around a rule that a client can take without meaning to: whatever it sends is claimed first, or refused."""

from __future__ import annotations

import base64
import socket
import ssl
import time
from pathlib import Path
from typing import Any

import pytest
from mitmproxy.test import tflow

from ledger_proxy.addon import Gate
from ledger_proxy.connecting import Connections
from ledger_proxy.destinations import Destinations
from ledger_proxy.reception import Reception
from ledger_proxy.settings import Settings
from ledger_proxy.shortcut import Shortcut
from ledger_rules.ruleset import Ruleset
from tests.upstream import Upstream
from tests.wire.raw import ADDRESS, ask, outcome, post, recorder
from tests.wire.sidecars import Sidecar, running_for

HOST = "api.stripe.com"
CHARGE = f"POST /ok/charges HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 8\r\n\r\namount=1".encode()


def tunnel(sidecar: Sidecar, user: str = "default") -> ssl.SSLSocket:
    """A connection of a client that does not say in TLS that it speaks HTTP (no ALPN)."""
    raw = socket.create_connection(("127.0.0.1", sidecar.port), 20)
    who = base64.b64encode(f"{user}:".encode()).decode()
    head = f"CONNECT {HOST}:443 HTTP/1.1\r\nHost: {HOST}:443\r\nProxy-Authorization: Basic {who}\r\n\r\n"
    raw.sendall(head.encode())
    said = b""
    while not said.endswith(b"\r\n\r\n"):
        said += raw.recv(1)
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


@pytest.mark.parametrize("first", [b"", b"\r\n", b"\n", b"\r\n\r\n", b"P"])
def test_empty_lines_before_a_request_hide_no_name(tmp_path: Path, first: bytes) -> None:
    """RFC 9112 §2.2 has servers skip them. The client gives an address that no resolver knows as the host's."""
    rules = 'rules: [{name: ruled, match: {method: POST, url: "http://*.wild.test/**"}}]'
    with recorder(tmp_path / "o", tls=False) as origin:
        ways = [word for name in ("a.wild.test", ADDRESS) for word in ("--resolve", origin.resolve(name))]
        with running_for(tmp_path / "s", origin, rules, "--mode", "socks5", *ways) as sidecar:
            for wanted in (b"executed", b"replayed"):
                with by_address(sidecar) as client:
                    client.sendall(first)
                    time.sleep(0.2 if first else 0)  # as above
                    asked = post("/plain", b"x", host="a.wild.test").removeprefix(first)
                    assert outcome(ask(client, asked)) == wanted
        assert len(origin.requests()) == 1


def by_address(sidecar: Sidecar) -> socket.socket:
    """A SOCKS tunnel to an address, as of a client that looked the name up itself."""
    raw = socket.create_connection(("127.0.0.1", sidecar.port), 20)
    raw.sendall(b"\x05\x01\x00")
    assert raw.recv(2) == b"\x05\x00"
    raw.sendall(b"\x05\x01\x00\x01" + socket.inet_aton(ADDRESS) + (80).to_bytes(2))
    assert raw.recv(10)[:2] == b"\x05\x00"
    return raw


def test_what_is_not_http_does_not_reach_a_ruled_host(sidecar: Sidecar, upstream: Upstream) -> None:
    with tunnel(sidecar) as client:
        assert ask(client, b"\x16\x03 hello\r\n\r\n").status == 400
    assert upstream.lines() == []


def test_a_large_request_keeps_its_workflow_when_its_agent_leaves(sidecar: Sidecar, upstream: Upstream) -> None:
    """Under another workflow it would be another operation, and the agent's retry a second effect."""
    for number, size in enumerate(range(12_000_000, 24_000_000, 1_000_000)):
        head = f"POST /ok/charges HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: {size}\r\n\r\n"
        client = tunnel(sidecar, "order-42")
        client.sendall(head.encode() + b"x" * size)
        time.sleep(number * 0.02)  # to leave at different moments
        client.close()
    upstream.wait_for(lambda u: len(u.effects()) == len(sidecar.records()))
    assert {record["wf"] for record in sidecar.records()} <= {"order-42"}


async def test_a_request_whose_head_was_never_judged_is_not_sent_on() -> None:
    """mitmproxy goes on after a hook that raised."""
    nothing: Any = None
    settings = Settings(rules=Ruleset(), db="")
    reception = Reception(settings, nothing, Connections(settings, Destinations()))
    gate = Gate(settings, reception, nothing, nothing, Shortcut(settings, reception))
    flow = tflow.tflow()
    await gate.request(flow)
    assert flow.response is not None
    assert flow.response.status_code == 503
