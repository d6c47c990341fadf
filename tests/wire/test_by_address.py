"""Clients that ask for an address, of a SOCKS or an HTTP proxy: what they say inside tells where they go."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.wire.raw import ADDRESS, HOST, Origin, ask, post, read_answer, recorder, require_recorded
from tests.wire.sidecars import Sidecar, running_for

BOTH = """
rules:
  - {name: by-name, match: {method: POST, url: ["https://api.test/**", "http://api.test/**"]}}
  - {name: by-address, match: {method: POST, url: ["https://192.0.2.7/ruled/**", "http://192.0.2.7/ruled/**"]}}
"""


@pytest.fixture(scope="module")
def by_both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Origin, Sidecar]]:
    """A SOCKS proxy whose rules name a host, and an address that clients may have found for it."""
    folder = tmp_path_factory.mktemp("by-both")
    with recorder(folder / "o") as origin:
        ways = [f"{host}:443:127.0.0.1:{origin.port}" for host in (HOST, ADDRESS)]
        more = [word for way in ways for word in ("--resolve", way)]
        with running_for(folder / "s", origin, BOTH, "--mode", "socks5", *more) as sidecar:
            yield origin, sidecar


def socks(sidecar: Sidecar, server_name: str) -> ssl.SSLSocket:
    """A TLS connection to the address, for which the client says this name; for an address TLS says none."""
    return tls(to_address(sidecar, "socks5", 443), sidecar.ca / "ca-cert.pem", server_name)


def to_address(sidecar: Sidecar, how: str, port: int, address: str = ADDRESS) -> socket.socket:
    """A connection that was asked for by address."""
    raw = socket.create_connection(("127.0.0.1", sidecar.port), 20)
    if how == "regular":
        raw.sendall(f"CONNECT {address}:{port} HTTP/1.1\r\nHost: {address}:{port}\r\n\r\n".encode())
        assert read_answer(raw, headless=True).status == 200
    else:
        raw.sendall(b"\x05\x01\x00")
        assert raw.recv(2) == b"\x05\x00"
        raw.sendall(b"\x05\x01\x00\x01" + socket.inet_aton(address) + port.to_bytes(2))
        assert raw.recv(10)[:2] == b"\x05\x00"
    return raw


def tls(raw: socket.socket, ca: Path, server_name: str) -> ssl.SSLSocket:
    return ssl.create_default_context(cafile=str(ca)).wrap_socket(raw, server_hostname=server_name)


def posted(path: str, host: str, way: str) -> bytes:
    return post(f"{path}/json", b"x", host=host, chunked=way == "long")


@pytest.mark.parametrize("way", ["short", "long"])
def test_a_name_inside_tls_that_names_only_an_address_is_refused(by_both: tuple[Origin, Sidecar], way: str) -> None:
    """Both are ruled, so either could be meant: which one the effect would be counted for is not the agent's to say."""
    origin, sidecar = by_both
    with socks(sidecar, ADDRESS) as connection:
        refused = ask(connection, posted(f"/ruled/lie-{way}", HOST, way))
        assert (refused.status, b"misdirected" in refused.body) == (400, True)
        assert ask(connection, posted(f"/ruled/right-{way}", ADDRESS, way)).value(b"ledger-outcome") == b"executed"
    assert len(origin.requests(f"lie-{way}".encode())) == 0


@pytest.mark.parametrize("way", ["short", "long"])
def test_a_name_that_leads_to_a_ruled_address_is_held_to_its_own_rule(
    by_both: tuple[Origin, Sidecar], way: str
) -> None:
    origin, sidecar = by_both
    with socks(sidecar, HOST) as connection:
        for path in (f"/ruled/name-{way}", f"/any/name-{way}"):
            told = [ask(connection, posted(path, HOST, way)).value(b"ledger-outcome") for _ in range(2)]
            assert told == [b"executed", b"replayed"]
    assert len(origin.requests(f"name-{way}".encode())) == 2
    assert {record["rule"] for record in sidecar.records() if "name-" in record["url"]} == {"by-name"}


@pytest.fixture(scope="module", params=["regular", "socks5"])
def led(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Led, str]]:
    """A sidecar that is told where a ruled host and a free one really are: not where their clients find them."""
    folder = tmp_path_factory.mktemp("led")
    rules = f'rules: [{{name: ruled, match: {{method: POST, url: "https://{HOST}/ruled/**"}}}}]'
    with recorder(folder / "o") as secure, recorder(folder / "p", tls=False) as plain:
        ways = [secure.resolve("other.test"), plain.resolve("other.test")]
        more = [word for way in ways for word in ("--resolve", way)]
        with running_for(folder / "s", secure, rules, "--mode", request.param, *more) as sidecar:
            yield Led(secure, plain, sidecar), request.param


@dataclass(frozen=True)
class Led:
    secure: Origin
    plain: Origin
    sidecar: Sidecar


@pytest.mark.parametrize("way", ["short", "long"])
def test_who_asks_for_an_address_and_says_a_ruled_name_inside_is_held_to_its_rule(
    led: tuple[Led, str], way: str
) -> None:
    """As what redirects connections into a proxy does (redsocks), and who looks names up before he asks one."""
    world, how = led
    told = []
    for _ in range(2):
        with tls(to_address(world.sidecar, how, 443), world.sidecar.ca / "ca-cert.pem", HOST) as connection:
            told.append(ask(connection, posted(f"/ruled/inside-{way}", HOST, way)).value(b"ledger-outcome"))
    assert told == [b"executed", b"replayed"]
    assert len(world.secure.requests(f"inside-{way}".encode())) == 1
    require_recorded(world.sidecar, f"inside-{way}", ("success", 2, 1))


def test_who_asks_for_an_address_and_says_a_free_name_inside_is_led_where_it_really_is(led: tuple[Led, str]) -> None:
    """And sees the origin's own certificate there."""
    world, how = led
    assert world.secure.ca_file is not None
    with tls(to_address(world.sidecar, how, 443), world.secure.ca_file, "other.test") as connection:
        assert ask(connection, post("/free/tls", b"x", host="other.test")).status == 200
    assert len(world.secure.requests(b"/free/tls")) == 1
    with to_address(world.sidecar, how, 80) as connection:
        answer = ask(connection, post("/free/plain", b"x", host="other.test"))
        assert (answer.status, answer.value(b"ledger-outcome")) == (200, b"")
    assert len(world.plain.requests(b"/free/plain")) == 1
    require_recorded(world.sidecar, "/free/")


@pytest.mark.parametrize("how", ["regular", "socks5"])
@pytest.mark.parametrize("denied", ["denied.test", "other.test"])
def test_an_address_that_is_allowed_is_reached_unless_a_denied_name_is_said(
    tmp_path: Path, how: str, denied: str
) -> None:
    rules = f'rules: [{{name: ruled, match: {{method: POST, url: "https://{HOST}/ruled/**"}}}}]\n'
    rules += f"egress: {{allow: [{HOST}, {ADDRESS}], deny: [{denied}]}}\n"
    with recorder(tmp_path / "o") as origin:
        assert origin.ca_file is not None
        more = ("--mode", how, "--resolve", origin.resolve(ADDRESS))
        with running_for(tmp_path / "s", origin, rules, *more) as sidecar:
            if denied == "other.test":
                with pytest.raises((ssl.SSLEOFError, ConnectionError)):
                    tls(to_address(sidecar, how, 443), origin.ca_file, "other.test")
            else:
                with tls(to_address(sidecar, how, 443), origin.ca_file, "other.test") as connection:
                    assert ask(connection, post("/free/plain", b"x", host="other.test")).status == 200
            assert sidecar.records() == []
        assert len(origin.requests(b"/free/")) == (denied != "other.test")


@pytest.mark.parametrize("how", ["regular", "socks5"])
def test_a_server_that_speaks_first_is_heard_where_its_address_is_allowed(tmp_path: Path, how: str) -> None:
    """No name that could be said there would matter."""
    rules = f"egress: {{allow: [{HOST}, 127.0.0.0/8]}}\n"
    with (
        recorder(tmp_path / "o") as origin,
        socket.create_server(("127.0.0.1", 0)) as mail,
        running_for(tmp_path / "s", origin, rules, "--mode", how) as sidecar,
        to_address(sidecar, how, mail.getsockname()[1], "127.0.0.1") as client,
    ):
        mail.settimeout(20)
        served, _ = mail.accept()
        with served:
            served.sendall(b"220 mail.test\r\n")
            assert client.recv(15) == b"220 mail.test\r\n"


@pytest.mark.parametrize("how", ["regular", "socks5"])
def test_ssh_passes_at_a_port_that_rules_name(tmp_path: Path, how: str) -> None:
    """Its first line looks like a request's (RFC 4253 section 4.2): a word, a space and another."""
    line = b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n"
    with recorder(tmp_path / "o") as origin, socket.create_server(("127.0.0.1", 0)) as machine:
        port = machine.getsockname()[1]
        rules = f'rules: [{{name: ruled, match: {{method: POST, url: "https://{HOST}:{port}/ruled/**"}}}}]\n'
        with (
            running_for(tmp_path / "s", origin, rules, "--mode", how) as sidecar,
            to_address(sidecar, how, port, "127.0.0.1") as client,
        ):
            client.sendall(line)
            machine.settimeout(20)
            served, _ = machine.accept()
            with served:
                assert served.recv(len(line)) == line
