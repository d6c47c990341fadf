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
from pathlib import Path

import httpx
import pytest

from tests.upstream import Upstream, running_upstream
from tests.wire.raw import ask
from tests.wire.sidecars import RULES, Sidecar, admin_of, launch, ledger, start

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
