"""Who may use a sidecar: on loopback everyone, beyond it those who know its secret."""

from __future__ import annotations

import base64
import contextlib
import resource
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from ledger_proxy.auth import Auth
from ledger_proxy.exchange import Caller
from tests.upstream import Upstream
from tests.wire.raw import read_answer, require_recorded, wait_until
from tests.wire.sidecars import RULES, Sidecar, ledger, running, start

TOKEN = "correct-horse-9"
NOBODY = Caller("default")
CHARGES = "https://api.stripe.com/v1/charges"


@pytest.fixture
def guarded(tmp_path: Path, upstream: Upstream) -> Iterator[tuple[Sidecar, str]]:
    """A sidecar on every interface, and its admin server's address."""
    secret = tmp_path / "secret"
    secret.write_text(f"{TOKEN}\n")
    more = ("--listen", "0.0.0.0:0", "--auth", f"@{secret}", "--admin", "0.0.0.0:0")
    sidecar = start(tmp_path / "s", upstream, RULES, None, *more)
    assert sidecar.process.stderr is not None
    admin = sidecar.process.stderr.readline().strip().rpartition(":")[2]
    yield sidecar, f"http://127.0.0.1:{admin}"
    sidecar.stop()


def client(sidecar: Sidecar, user: str) -> httpx.Client:
    url = f"http://{user}@127.0.0.1:{sidecar.port}" if user else sidecar.url
    made = httpx.Client(proxy=url, verify=str(sidecar.ca / "ca-cert.pem"), trust_env=False, timeout=30)
    sidecar.clients.append(made)
    return made


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # httpx: verify=<str>
def test_only_who_knows_the_secret_is_let_in(guarded: tuple[Sidecar, str], upstream: Upstream) -> None:
    sidecar, admin = guarded
    for user in ("", "order-42", "order-42:wrong-horse-9", f"{TOKEN}:", f"order-42:{TOKEN}x"):
        with pytest.raises(httpx.ProxyError, match="407"):
            client(sidecar, user).post(CHARGES, json={"amount": 1})
        unruled = client(sidecar, user).get("http://api.stripe.com/v1/x")
        assert unruled.status_code == 407
        assert unruled.headers["Proxy-Authenticate"] == 'Basic realm="ledger"'
    assert (upstream.lines(), sidecar.records()) == ([], [])
    assert client(sidecar, f"order-42:{TOKEN}").post(CHARGES, json={"amount": 1}).status_code == 200
    assert client(sidecar, f"order-42:agent-A:{TOKEN}").post(CHARGES, json={"amount": 1}).status_code == 200
    assert client(sidecar, f"order-43:agent-B:{TOKEN}").post(CHARGES, json={"amount": 1}).status_code == 200
    assert len(upstream.effects()) == 2
    assert {(record["wf"], record["caller"]) for record in sidecar.records()} == {
        ("order-42", None),
        ("order-43", "agent-B"),
    }
    assert all(TOKEN not in str(line) for line in upstream.lines())
    with httpx.Client(base_url=admin, trust_env=False) as pages:
        assert pages.get("/healthz").status_code == 200
        assert pages.get("/metrics").status_code == 401
        assert pages.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200


@pytest.mark.parametrize("version", ["1.1\r\nConnection: close", "1.0", "1.1"])
@pytest.mark.parametrize("stopping", [False, True], ids=["running", "stopping"])
def test_who_is_turned_away_is_told_how_to_come_in(
    guarded: tuple[Sidecar, str], upstream: Upstream, version: str, stopping: bool
) -> None:
    """Also where the answer is the last of its connection."""
    sidecar, _ = guarded
    with socket.create_connection(("127.0.0.1", sidecar.port), 20) as raw:
        raw.sendall(b"GET")
        if stopping:
            sidecar.process.send_signal(signal.SIGTERM)
        raw.sendall(f" http://api.stripe.com/v1/x HTTP/{version}\r\nHost: api.stripe.com\r\n\r\n".encode())
        answer = read_answer(raw)
    assert (answer.status, answer.value(b"proxy-authenticate")) == (407, b'Basic realm="ledger"')
    assert (upstream.lines(), sidecar.records()) == ([], [])


def test_clients_bring_the_secret_each_in_its_way(guarded: tuple[Sidecar, str], upstream: Upstream) -> None:
    """curl asks first and is challenged; requests sends what the URL says."""
    sidecar, _ = guarded
    proxy = f"http://order-7:agent-A:{TOKEN}@127.0.0.1:{sidecar.port}"
    with requests.Session() as session:
        session.trust_env = False
        ca = str(sidecar.ca / "ca-cert.pem")
        answer = session.post(CHARGES, json={"amount": 1}, proxies={"https": proxy}, verify=ca, timeout=30)
        assert answer.headers["Ledger-Outcome"] == "executed"
    if shutil.which("curl"):
        words = ["curl", "-sS", "--proxy", proxy, "--proxy-anyauth", "--cacert", ca, "-d", '{"amount":1}']
        words += ["-H", "Content-Type: application/json", "-o", "/dev/null", "-w", "%header{ledger-outcome}", CHARGES]
        said = subprocess.run(words, capture_output=True, text=True, timeout=60, check=True)
        assert said.stdout == "replayed"
    assert len(upstream.effects()) == 1
    assert [(record["wf"], record["caller"]) for record in sidecar.records()] == [("order-7", "agent-A")]


def test_others_cannot_be_carried_to_this_machine(guarded: tuple[Sidecar, str], upstream: Upstream) -> None:
    sidecar, admin = guarded
    given = base64.b64encode(f"x:{TOKEN}".encode()).decode()
    for to in ("127.0.0.1:22", "169.254.169.254:80", "localhost:22", admin.removeprefix("http://")):
        with socket.create_connection(("127.0.0.1", sidecar.port), 20) as raw:
            ask = f"CONNECT {to} HTTP/1.1\r\nHost: {to}\r\nProxy-Authorization: Basic {given}\r\n\r\n"
            raw.sendall(ask.encode())
            assert raw.makefile("rb").readline().split()[1] == (b"508" if admin.endswith(f"/{to}") else b"403"), to
    assert (upstream.lines(), sidecar.records()) == ([], [])


@pytest.mark.parametrize("option", ["--listen", "--admin"])
def test_beyond_loopback_it_does_not_start_without_a_secret(tmp_path: Path, option: str) -> None:
    words = {"--listen": "127.0.0.1:0", option: "0.0.0.0:0"}
    said = ledger("proxy", *(word for pair in words.items() for word in pair), "--db", tmp_path / "l.db", cwd=tmp_path)
    assert said.returncode == 1
    assert len(said.stderr.splitlines()) == 1
    assert "--auth" in said.stderr


@pytest.mark.parametrize(("given", "named"), [("short", "--auth"), ("@nowhere", "@nowhere"), (":password1", "--auth")])
def test_a_secret_that_cannot_be_one_is_named_and_not_shown(tmp_path: Path, given: str, named: str) -> None:
    said = ledger("proxy", "--auth", given, "--db", tmp_path / "l.db", cwd=tmp_path)
    assert said.returncode == 2
    assert named in said.stderr
    assert "password1" not in said.stderr


def test_a_user_and_a_password_are_both_needed() -> None:
    auth = Auth.parse("agents:pass:word")
    assert auth.admit_pair("agents", "pass:word", NOBODY) == Caller("default", "agents")
    for user, password in (("agents", "word"), ("other", "pass:word"), ("agents", ""), ("", "pass:word")):
        assert auth.admit_pair(user, password, NOBODY) is None
    assert auth.admit("Bearer pass:word", NOBODY) is None
    assert "pass:word" not in repr(auth)


@given(st.text(), st.text(), st.text())
def test_no_other_word_opens(user: str, caller: str, password: str) -> None:
    auth = Auth.parse(TOKEN)
    assert (auth.admit_pair(user, password, NOBODY) is None) is (TOKEN not in password)
    assert auth.admit(password, NOBODY) is None
    told = auth.admit_pair(quote(user, safe=""), f"{quote(caller, safe='')}:{TOKEN}", NOBODY)
    assert told == Caller(user or "default", caller or None)


def test_more_connections_than_a_process_may_usually_have(tmp_path: Path, upstream: Upstream) -> None:
    """The limit that a shell sets is raised, as far as it may be."""
    few = 300
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (few, before[1]))
    try:
        sidecar = start(tmp_path / "s", upstream)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    with contextlib.ExitStack() as stack:
        stack.callback(sidecar.kill)
        for _ in range(2 * few):
            stack.enter_context(socket.create_connection(("127.0.0.1", sidecar.port), 10))
        assert sidecar.post("/ok/charges").headers["ledger-outcome"] == "executed"


FEW = 5


def test_beyond_its_own_limit_a_connection_is_closed_at_once_and_others_stay(
    tmp_path: Path, upstream: Upstream
) -> None:
    """Of 4,096; so many are few enough to count here."""
    (tmp_path / "sitecustomize.py").write_text(f"from ledger_proxy import limits\nlimits.MAX_CONNECTIONS = {FEW}\n")
    with (
        running(tmp_path / "s", upstream, RULES, PYTHONPATH=str(tmp_path)) as sidecar,
        contextlib.ExitStack() as stack,
    ):

        def connected() -> socket.socket:
            return stack.enter_context(socket.create_connection(("127.0.0.1", sidecar.port), 20))

        client = sidecar.client()
        assert client.post(CHARGES, json={"n": 1}).headers["Ledger-Outcome"] == "executed"
        quiet = [connected() for _ in range(FEW - 1)]
        for _ in range(3):
            assert connected().recv(1) == b""
        assert client.post(CHARGES, json={"n": 1}).headers["Ledger-Outcome"] == "replayed"
        quiet.pop().close()

        def served() -> bool:
            with contextlib.suppress(httpx.HTTPError):
                return sidecar.post("/v1/charges", {"n": 2}).status_code == 200
            return False

        wait_until(served)
        require_recorded(sidecar, CHARGES, ("success", 1, 1), ("success", 2, 1))
    assert len(upstream.effects()) == 2
