"""Clients that know HTTP/2: on a host that rules name they are spoken to in HTTP/1.1, and on every other as ever.

What speaks HTTP/2 alone (gRPC) reaches no ruled host, and is told how it would; a tunnel carries it end to end.
"""

from __future__ import annotations

import json
import os
import shutil
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.clients import HERE, node
from tests.upstream import Upstream, make_certificate
from tests.wire.sidecars import Sidecar, running

CHARGE = "https://api.stripe.com/ok/charges"


def node_http2(sidecar: Sidecar, url: str, offered: str, ca: Path) -> dict[str, object]:
    env = {**os.environ, "HTTPS_PROXY": sidecar.url, "NODE_EXTRA_CA_CERTS": str(ca)}
    words = [node(), str(HERE / "node_http2.mjs"), url, offered]
    ended = subprocess.run(words, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stderr
    return dict(json.loads(ended.stdout))


def test_httpx_falls_back_and_has_its_effect_once(sidecar: Sidecar, upstream: Upstream) -> None:
    trusted = ssl.create_default_context(cafile=str(sidecar.ca / "ca-cert.pem"))
    with httpx.Client(http2=True, proxy=sidecar.url, verify=trusted, trust_env=False) as client:
        answers = [client.post(CHARGE, json={"amount": 5}) for _ in range(3)]
        free = client.post("https://api.stripe.com/ok/refunds", json={"amount": 5})
    assert {answer.http_version for answer in (*answers, free)} == {"HTTP/1.1"}
    assert [answer.headers["ledger-outcome"] for answer in answers] == ["executed", "replayed", "replayed"]
    assert (free.status_code, "ledger-outcome" in free.headers) == (200, False)
    assert len(upstream.effects(path="/ok/charges")) == 1


def test_curl_falls_back_and_has_its_effect_once(sidecar: Sidecar, upstream: Upstream) -> None:
    curl = shutil.which("curl")
    if curl is None:
        pytest.skip("curl is not installed")
    words = [curl, "-sS", "--http2", "--proxy", sidecar.url, "--cacert", str(sidecar.ca / "ca-cert.pem")]
    words += ["-o", os.devnull, "-w", "%{http_code} %{http_version} %header{ledger-outcome}", "-d", "a=1", CHARGE]
    said = [subprocess.run(words, capture_output=True, text=True, timeout=60, check=True).stdout for _ in range(2)]
    assert said == ["200 1.1 executed", "200 1.1 replayed"]
    assert len(upstream.effects()) == 1


def test_node_falls_back_and_has_its_effect_once(sidecar: Sidecar, upstream: Upstream) -> None:
    told = [node_http2(sidecar, CHARGE, "h2,http/1.1", sidecar.ca / "ca-cert.pem") for _ in range(2)]
    assert [(one["spoken"], one["status"]) for one in told] == [("http/1.1", 200)] * 2
    assert told[0]["body"] == told[1]["body"]
    assert len(upstream.effects()) == 1


def test_who_speaks_http2_alone_sends_nothing_to_a_ruled_host(tmp_path: Path, upstream: Upstream) -> None:
    with running(tmp_path / "s", upstream) as sidecar:
        told = node_http2(sidecar, CHARGE, "h2", sidecar.ca / "ca-cert.pem")
        assert told["spoken"] is False
        assert "HTTP/1.1 400 Bad Request" in str(told["answer"])
        sidecar.process.terminate()
        said = sidecar.process.communicate(timeout=30)[1]
    assert "a client offered api.stripe.com no protocol but h2" in said
    assert "take api.stripe.com out of the rules" in said
    assert upstream.lines() == []


@contextmanager
def orders(folder: Path) -> Iterator[tuple[int, Path, Path]]:
    """A gRPC server: its port, its CA, and the file of the calls it had."""
    ca, cert, key = make_certificate(folder)
    calls = folder / "calls"
    calls.touch()
    words = [sys.executable, str(HERE / "grpc_call.py"), "server", str(cert), str(key), str(calls)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline().rsplit(" ", 1)[1]), ca, calls
        finally:
            process.terminate()


@pytest.fixture
def grpc(tmp_path: Path) -> Iterator[tuple[int, Path, Path]]:
    with orders(tmp_path / "grpc") as made:
        yield made


def call(sidecar: Sidecar, port: int, ca: Path) -> str:
    env = {**os.environ, "https_proxy": sidecar.url, "no_proxy": "", "NO_PROXY": ""}
    words = [sys.executable, str(HERE / "grpc_call.py"), "client", str(port), str(ca)]
    return subprocess.run(words, env=env, capture_output=True, text=True, timeout=60, check=True).stdout.strip()


def test_grpc_reaches_a_host_that_no_rule_names(sidecar: Sidecar, grpc: tuple[int, Path, Path]) -> None:
    port, ca, calls = grpc
    assert call(sidecar, port, ca) == "created order-42 {'order': '42'}"
    assert calls.read_text() == "order-42\n"


def test_grpc_to_a_ruled_host_fails_before_anything_is_called(
    tmp_path: Path, upstream: Upstream, grpc: tuple[int, Path, Path]
) -> None:
    port, _, calls = grpc
    rules = f'rules: [{{name: orders, match: {{method: POST, url: "https://localhost:{port}/**"}}}}]'
    with running(tmp_path / "s", upstream, rules) as sidecar:
        assert call(sidecar, port, sidecar.ca / "ca-cert.pem") == "UNAVAILABLE"
        sidecar.process.terminate()
        said = sidecar.process.communicate(timeout=30)[1]
    assert "offered localhost no protocol but" in said
    assert calls.read_text() == ""
