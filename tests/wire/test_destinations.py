"""Where requests may go: lists in the rules, addresses nobody outside may reach, and never back to the sidecar."""

from __future__ import annotations

import ipaddress
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger_proxy.destinations import Destinations, Forbidden, plain
from ledger_rules import loads
from tests.upstream import Upstream, running_upstream
from tests.wire.sidecars import RULES, Sidecar, start

LISTED = (
    RULES
    + """
egress:
  allow: [api.stripe.com, 127.0.0.0/8, "http://plain.test"]
  deny: [127.0.0.9]
"""
)


@pytest.fixture
def listed(tmp_path: Path, upstream: Upstream) -> Iterator[Sidecar]:
    sidecar = start(tmp_path / "s", upstream, LISTED)
    yield sidecar
    sidecar.stop()


def told(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["type"].rpartition(":")[2]


def tunnel(sidecar: Sidecar, to: str) -> bytes:
    """The status line that asking for a tunnel gets."""
    with socket.create_connection(("127.0.0.1", sidecar.port), 20) as raw:
        raw.sendall(f"CONNECT {to} HTTP/1.1\r\nHost: {to}\r\n\r\n".encode())
        return raw.makefile("rb").readline()


def test_what_the_lists_allow_passes_and_the_rest_is_refused(listed: Sidecar, upstream: Upstream) -> None:
    assert listed.post("/v1/charges").status_code == 200
    with listed.client() as client:
        assert told(client.post("http://elsewhere.test/v1/charges", json={})) == (403, "egress-denied")
    assert tunnel(listed, "elsewhere.test:443").split()[1] == b"403"
    assert tunnel(listed, "127.0.0.9:443").split()[1] == b"403"
    assert len(upstream.effects()) == 1
    assert [(record["status"], record["runs"]) for record in listed.records()] == [("success", 1)]


def test_a_tunnel_is_held_to_the_lists_too(tmp_path: Path, upstream: Upstream) -> None:
    """The host is nobody's rule: its bytes would pass unseen."""
    with running_upstream(tmp_path / "other", tls=False) as other:
        rules = RULES + f"\negress: {{deny: ['localhost:{other.port}', 127.0.0.0/8]}}\n"
        sidecar = start(tmp_path / "s", upstream, rules)
        for host in ("localhost", "127.0.0.1", "0x7f.1", "2130706433"):
            assert tunnel(sidecar, f"{host}:{other.port}").split()[1] == b"403", host
        assert (other.lines(), sidecar.records()) == ([], [])
        sidecar.stop()


def test_a_name_for_a_denied_network_is_refused_for_what_it_resolves_to(tmp_path: Path, upstream: Upstream) -> None:
    """`localhost` is on no list, but the network that it leads to is."""
    with running_upstream(tmp_path / "other", tls=False) as other:
        rule = f"\n  - {{name: near, match: {{method: POST, url: 'http://localhost:{other.port}/ruled'}}}}"
        sidecar = start(tmp_path / "s", upstream, RULES + rule + "\negress: {deny: [127.0.0.0/8, '::1']}\n")
        with sidecar.client() as client:
            unruled = client.post(f"http://localhost:{other.port}/unruled", json={})
            assert unruled.status_code == 502
            assert "denied by `egress`" in unruled.text
            ruled = client.post(f"http://localhost:{other.port}/ruled", json={})
            assert told(ruled) == (502, "not-sent")
            assert "denied by `egress`" in ruled.text
        assert [record["status"] for record in sidecar.records()] == ["failed"]
        assert other.lines() == []
        sidecar.stop()


def test_lists_change_with_the_rules(listed: Sidecar, upstream: Upstream) -> None:
    file = listed.db.parent / "ledger.yaml"
    file.write_text(LISTED.replace("deny: [", "deny: [api.stripe.com, "))
    listed.process.send_signal(signal.SIGHUP)
    deadline = time.monotonic() + 20
    while tunnel(listed, "api.stripe.com:443").split()[1] != b"403":
        assert time.monotonic() < deadline
    assert (upstream.lines(), listed.records()) == ([], [])


def test_the_sidecar_is_no_way_to_itself(sidecar: Sidecar, upstream: Upstream) -> None:
    for host in ("127.0.0.1", "localhost", "[::1]", "127.1", "2130706433", "[::ffff:127.0.0.1]", "0.0.0.0"):
        assert tunnel(sidecar, f"{host}:{sidecar.port}").split()[1] == b"508", host
    with sidecar.client() as client:
        for host in ("127.0.0.1", "localhost", "2130706433"):
            assert told(client.get(f"http://{host}:{sidecar.port}/")) == (508, "loop")
    assert (upstream.lines(), sidecar.records()) == ([], [])


def test_a_large_request_to_nowhere_is_refused_without_being_gathered(listed: Sidecar, upstream: Upstream) -> None:
    with listed.client() as client:
        answer = client.post("http://elsewhere.test/", content=(b"x" * 65536 for _ in range(64)))
    assert told(answer) == (403, "egress-denied")
    assert (upstream.lines(), listed.records()) == ([], [])


WIDE = Destinations(wide=True)


SPELLINGS = [
    "169.254.169.254",
    "169.254.169.254.",
    "0xa9fea9fe",
    "2852039166",
    "0251.0376.0251.0376",
    "169.254.43518",
    "::ffff:169.254.169.254",
    "fe80::1",
    "fe80::1%eth0",
    "64:ff9b::a9fe:a9fe",
    "2002:a9fe:a9fe::",
    "100.100.100.200",
    "168.63.129.16",
    "fd00:ec2::254",
    "127.0.0.1",
    "::1",
    "[::1]",
    "0.0.0.0",
]


@pytest.mark.parametrize("host", SPELLINGS)
def test_others_are_not_carried_to_what_only_this_machine_may_reach(host: str) -> None:
    assert WIDE.refusal("http", host, 80) is not None
    assert WIDE.refusal("https", host, 443) is not None
    assert Destinations().refusal("http", host, 80) is None  # on loopback the caller is on this machine itself


def test_an_address_that_is_allowed_by_its_network_may_be_reached() -> None:
    lists = loads("egress: {allow: [169.254.0.0/16]}").egress
    assert Destinations(lists, wide=True).refusal("http", "169.254.1.1", 80) is None


@given(st.ip_addresses(network="169.254.0.0/16"), st.sampled_from(["{}", "::ffff:{}", "int", "hex"]))
def test_no_spelling_of_a_link_local_address_passes(ip: ipaddress.IPv4Address, form: str) -> None:
    text = {"int": str(int(ip)), "hex": hex(int(ip))}.get(form) or form.format(ip)
    assert WIDE.refusal("http", text, 80) is not None


@given(st.ip_addresses(v=4))
def test_an_address_is_one_address_in_every_spelling(ip: ipaddress.IPv4Address) -> None:
    a, b, c, d = ip.packed
    for text in (str(ip), str(int(ip)), hex(int(ip)), f"{a}.{b}.{c * 256 + d}", f"{a:#x}.{b}.{c:#x}.{d}"):
        assert plain(text) == str(ip)


async def test_a_name_is_judged_by_every_address_it_has() -> None:
    with pytest.raises(Forbidden, match="this machine itself"):
        await WIDE.reach(("localhost", 80))
    with pytest.raises(Forbidden, match="link-local"):
        WIDE.judge(["203.0.113.7", "169.254.169.254"], "rebound.test", 80)
    WIDE.judge(["203.0.113.7", "2001:db8::7"], "fine.test", 80)
