"""Each way into a sidecar keeps the promise: effects are counted at the upstream, whatever the clients take it for."""

from __future__ import annotations

import base64
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.upstream import Upstream, running_upstream
from tests.wire.raw import ADDRESS, HOST, Origin, ask, post, read_answer, recorder, require_recorded
from tests.wire.sidecars import RULES, Sidecar, admin_of, launch, ledger, running_for, start

CHARGE = ("https://api.stripe.com/v1/charges", {"amount": 7})


@contextmanager
def mode(folder: Path, upstream: Upstream, *more: str, rules: str = RULES) -> Iterator[Sidecar]:
    sidecar = start(folder / "s", upstream, rules, None, "--mode", *more)
    try:
        yield sidecar
    finally:
        sidecar.stop()


def outcome(answer: httpx.Response) -> str | None:
    return answer.headers.get("Ledger-Outcome")


def settled(sidecar: Sidecar) -> list[tuple[str, int]]:
    """Each record's status, and how often its operation was asked for."""
    return [(record["status"], record["attempts"]) for record in sidecar.records()]


def curl(sidecar: Sidecar, *words: str) -> str:
    """What curl was told: status and Ledger-Outcome."""
    if not shutil.which("curl"):
        pytest.skip("curl is not installed")
    said = ["curl", "-sS", "--cacert", str(sidecar.ca / "bundle.pem"), "--max-time", "30"]
    said += ["-o", "/dev/null", "-w", "%{http_code} %header{ledger-outcome}", *words]
    return subprocess.run(said, capture_output=True, text=True, timeout=60, check=False).stdout.strip()


def test_as_the_origin_itself(tmp_path: Path, upstream: Upstream) -> None:
    """An agent whose base URL is the sidecar; it may speak plain HTTP or TLS to it."""
    with mode(tmp_path, upstream, "reverse:https://api.stripe.com") as sidecar:
        with httpx.Client(base_url=sidecar.url, trust_env=False) as agent:
            assert outcome(agent.post("/v1/charges", json=CHARGE[1])) == "executed"
            assert outcome(agent.post("/v1/charges", json=CHARGE[1])) == "replayed"
            assert agent.get("/v1/balance").status_code == 200
        with socket.create_connection(("127.0.0.1", sidecar.port), 20) as raw:
            assert ask(raw, b"GET http://x.test/v1/balance HTTP/1.1\r\nHost: x.test\r\n\r\n").status == 200
        trusted = ssl.create_default_context(cafile=str(sidecar.ca / "ca-cert.pem"))
        secure = f"https://localhost:{sidecar.port}"
        with httpx.Client(base_url=secure, verify=trusted, trust_env=False) as agent:
            assert outcome(agent.post("/v1/charges", json=CHARGE[1])) == "replayed"
            assert agent.get("/v1/balance").status_code == 200
        assert settled(sidecar) == [("success", 3)]
    assert len(upstream.effects()) == 1
    assert {line["target"] for line in upstream.lines()} == {"/v1/charges", "/v1/balance"}
    assert {dict(line["headers"]).get("Host") for line in upstream.lines() if "headers" in line} <= {"api.stripe.com"}


@pytest.mark.parametrize("scheme", ["socks5h", "socks5"])
def test_as_a_socks_proxy(tmp_path: Path, upstream: Upstream, scheme: str) -> None:
    """By name, and by an address that the client looked up itself: then TLS says the name."""
    found = ["--resolve", "api.stripe.com:443:127.0.0.1"] if scheme == "socks5" else []
    with mode(tmp_path, upstream, "socks5") as sidecar:
        words = ["--proxy", f"{scheme}://127.0.0.1:{sidecar.port}", *found, "-d", "amount=7", CHARGE[0]]
        assert [curl(sidecar, *words) for _ in range(2)] == ["200 executed", "200 replayed"]
        assert settled(sidecar) == [("success", 2)]
    assert len(upstream.effects()) == 1


def test_a_socks_proxy_leaves_the_rest_alone_and_refuses_what_is_denied(tmp_path: Path, upstream: Upstream) -> None:
    with running_upstream(tmp_path / "other", tls=False) as other, running_upstream(tmp_path / "no", tls=False) as no:
        rules = RULES + f"\negress: {{deny: ['localhost:{no.port}', '127.0.0.1:{no.port}']}}\n"
        with mode(tmp_path, upstream, "socks5", rules=rules) as sidecar:
            for scheme in ("socks5h", "socks5"):
                proxy = ["--proxy", f"{scheme}://127.0.0.1:{sidecar.port}", "-d", "x=1"]
                assert curl(sidecar, *proxy, f"http://localhost:{other.port}/ok/{scheme}").split() == ["200"]
                assert curl(sidecar, *proxy, f"http://localhost:{no.port}/ok/x").split()[0] in ("000", "403")
            assert sidecar.records() == []
        assert len(other.effects()) == 2
        assert no.lines() == []


def test_a_socks_proxy_says_on_what_is_neither_tls_nor_http(tmp_path: Path, upstream: Upstream) -> None:
    """To an address, as a database client asks that looked its name up itself."""
    with mode(tmp_path, upstream, "socks5") as sidecar, socket.create_server(("127.0.0.1", 0)) as database:
        port = database.getsockname()[1]
        with socket.create_connection(("127.0.0.1", sidecar.port), 20) as client:
            client.sendall(b"\x05\x01\x00")
            assert client.recv(2) == b"\x05\x00"
            client.sendall(b"\x05\x01\x00\x01\x7f\x00\x00\x01" + port.to_bytes(2))
            assert client.recv(10)[:2] == b"\x05\x00"
            client.sendall(b"\x00\x00\x00\x08\x04\xd2\x16/")
            database.settimeout(20)
            served, _ = database.accept()
            with served:
                assert served.recv(8) == b"\x00\x00\x00\x08\x04\xd2\x16/"
                served.sendall(b"N")
                assert client.recv(1) == b"N"


def test_a_socks_proxy_asks_for_the_secret(tmp_path: Path, upstream: Upstream) -> None:
    with mode(tmp_path, upstream, "socks5", "--auth", "correct-horse-9") as sidecar:
        for user, said in (("order-7:correct-horse-9", "200 executed"), ("order-7:wrong-horse-9", "000"), ("", "000")):
            proxy = f"socks5h://{user}@127.0.0.1:{sidecar.port}"
            assert curl(sidecar, "--proxy", proxy, "-d", "amount=7", CHARGE[0]) == said
        assert [record["wf"] for record in sidecar.records()] == ["order-7"]
    assert len(upstream.effects()) == 1


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


class CorporateProxy:
    """A proxy that wants credentials and reaches one upstream only. asked: the heads of its tunnels."""

    def __init__(self, upstream: Upstream, credentials: str, host: str) -> None:
        self._upstream = upstream
        self._shown = b"Proxy-Authorization: Basic " + base64.b64encode(credentials.encode()) + b"\r\n"
        self._listener = socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
        self.port = self._listener.getsockname()[1]
        self.asked: list[bytes] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._tunnel, args=(client,), daemon=True).start()

    def _tunnel(self, client: socket.socket) -> None:
        with client:
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                head += client.recv(1)
            self.asked.append(head)
            if self._shown not in head:
                client.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
                return
            client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            with socket.create_connection(("127.0.0.1", self._upstream.port)) as origin:
                back = threading.Thread(target=_copy, args=(origin, client), daemon=True)
                back.start()
                _copy(client, origin)
                back.join(20)


def _copy(source: socket.socket, sink: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass


@pytest.mark.parametrize(
    ("written", "credentials", "host"),
    [
        ("corp:s3cret", "corp:s3cret", "127.0.0.1"),
        ("corp:s3cret", "corp:s3cret", "::1"),
        (":s3cret", ":s3cret", "127.0.0.1"),
        ("corp", "corp:", "127.0.0.1"),
        ("DOM%5Cj%40corp:s%3A3%2Fc%23r%3Fe%25t%C3%A4+", "DOM\\j@corp:s:3/c#r?e%tä+", "127.0.0.1"),
    ],
    ids=["usual", "IPv6", "a token alone", "a user alone", "every character"],
)
def test_behind_a_corporate_proxy(
    tmp_path: Path, upstream: Upstream, written: str, credentials: str, host: str
) -> None:
    """Ruled and unmatched requests and tunnels all go through it, with its credentials, and not past it."""
    corporate = CorporateProxy(upstream, credentials, host)
    folder = tmp_path / "s"
    folder.mkdir()
    (folder / "ledger.yaml").write_text(RULES)
    chained = f"upstream:http://{written}@{f'[{host}]' if ':' in host else host}:{corporate.port}"
    trust = ("--upstream-ca", str(upstream.ca_file))
    sidecar = launch(folder, folder / "ledger.yaml", None, "--mode", chained, *trust)
    try:
        assert [outcome(sidecar.post("/v1/charges", {"amount": 7})) for _ in range(2)] == ["executed", "replayed"]
        unruled = sidecar.post("/v1/unruled", {"amount": 7})
        assert (unruled.status_code, outcome(unruled)) == (200, None)
        assert len(upstream.effects()) == 2
        assert [record["status"] for record in sidecar.records()] == ["success"]
        trusted = ssl.create_default_context(cafile=str(upstream.ca_file))
        with httpx.Client(proxy=sidecar.url, verify=trusted, trust_env=False, timeout=30) as agent:
            assert agent.get("https://localhost/v1/free").status_code == 200
        hosts = [head.split(b" ")[1] for head in corporate.asked]
        assert hosts == [b"api.stripe.com:443", b"api.stripe.com:443", b"localhost:443"]
    finally:
        sidecar.stop()
        corporate.close()


def test_in_front_of_a_service_on_its_own_machine(tmp_path: Path) -> None:
    """Others are carried to no loopback address, but to the one that it stands for."""
    with running_upstream(tmp_path / "near", tls=False) as near:
        rules = f"rules: [{{name: near, match: {{method: POST, url: 'http://127.0.0.1:{near.port}/ok/**'}}}}]"
        origin = f"reverse:http://127.0.0.1:{near.port}"
        more = ("--listen", "0.0.0.0:0", "--auth", "correct-horse-9")
        with mode(tmp_path, near, origin, *more, rules=rules) as sidecar:
            with httpx.Client(base_url=sidecar.url, trust_env=False) as agent:
                assert agent.post("/ok/1", json={}).status_code == 407
                known = {"Proxy-Authorization": "Bearer correct-horse-9"}
                said = [outcome(agent.post("/ok/1", json={}, headers=known)) for _ in range(2)]
            assert said == ["executed", "replayed"]
            assert settled(sidecar) == [("success", 2)]
        assert len(near.effects()) == 1


@pytest.fixture(params=[1, 3])
def ring(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[tuple[Sidecar, str]]:
    """Two sidecars of so many processes, each with the other behind it, and the first one's admin server."""
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as two:
        ports = [each.getsockname()[1] for each in (one, two)]
    made = []
    for number, (own, other) in enumerate((ports, ports[::-1])):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "ledger.yaml").write_text(RULES)
        more = ("--listen", f"127.0.0.1:{own}", "--mode", f"upstream:http://127.0.0.1:{other}")
        more = (*more, "--admin", "127.0.0.1:0", *(("--workers", request.param) if request.param > 1 else ()))
        made.append(launch(folder, folder / "ledger.yaml", None, *more))
    yield made[0], admin_of(made[0])
    for sidecar in made:
        sidecar.stop()


def test_a_ring_of_sidecars_is_left_at_the_first_turn(ring: tuple[Sidecar, str]) -> None:
    sidecar, admin = ring
    with socket.create_connection(("127.0.0.1", sidecar.port), 20) as raw:
        answer = ask(raw, b"GET http://other.test/x HTTP/1.1\r\nHost: other.test\r\nConnection: close\r\n\r\n")
        assert (answer.status, b"urn:ledger:problem:loop" in answer.body) == (508, True)
    with socket.create_connection(("127.0.0.1", sidecar.port), 20) as raw:
        raw.sendall(b"CONNECT other.test:443 HTTP/1.1\r\nHost: other.test:443\r\n\r\n")
        assert b" 200 " in raw.recv(4096)
        with pytest.raises((ssl.SSLError, ConnectionError)):
            ssl.create_default_context().wrap_socket(raw, server_hostname="other.test")
    told = httpx.get(f"http://{admin}/metrics", trust_env=False).text
    (opened,) = [line for line in told.splitlines() if line.startswith("ledger_connections_total")]
    assert float(opened.split()[1]) == 4


def test_a_sidecar_is_not_chained_to_itself(tmp_path: Path) -> None:
    words = ("--listen", "127.0.0.1:49999", "--mode", "upstream:http://localhost:49999", "--db", tmp_path / "l.db")
    said = ledger("proxy", *words, "--ca-dir", tmp_path / "ca", cwd=tmp_path)
    assert said.returncode == 1
    assert "is this sidecar" in said.stderr


@pytest.mark.parametrize(
    "given", ["reverse:ftp://x", "reverse:https://x/path", "upstream:socks5://u:s3cret@x:1", "magic", "upstream:"]
)
def test_what_is_no_mode_is_one_line(tmp_path: Path, given: str) -> None:
    said = ledger("proxy", "--mode", given, "--db", tmp_path / "l.db", cwd=tmp_path)
    assert said.returncode == 2
    assert "--mode" in said.stderr
    assert len(said.stderr.splitlines()) == 1
    assert "s3cret" not in said.stderr
