"""The CA under a running sidecar: renewed in time without a client noticing, replaced when a person says so."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import ssl
import subprocess
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from cryptography import x509

from ledger_proxy import certificates
from tests.upstream import Upstream
from tests.wire.raw import through
from tests.wire.sidecars import RULES, Sidecar, command, ledger, running
from tests.wire.test_operations import until

HOST = "api.stripe.com"


@pytest.fixture
def anchor(sidecar: Sidecar, tmp_path: Path) -> Path:
    """The CA's certificate as a client loaded it when it started."""
    return Path(shutil.copy(sidecar.ca / "ca-cert.pem", tmp_path / "anchor.pem"))


@pytest.fixture
def served(sidecar: Sidecar) -> x509.Certificate:
    return _leaf(sidecar)


def _leaf(sidecar: Sidecar) -> x509.Certificate:
    with through(sidecar, HOST) as sock:
        assert isinstance(sock, ssl.SSLSocket)
        der = sock.getpeercert(binary_form=True)
        assert der is not None
        return x509.load_der_x509_certificate(der)


def _authority(sidecar: Sidecar) -> x509.Certificate:
    return x509.load_pem_x509_certificate((sidecar.ca / "ca-cert.pem").read_bytes())


def _asks(sidecar: Sidecar, anchor: Path, n: int) -> httpx.Response:
    context = ssl.create_default_context(cafile=str(anchor))
    with httpx.Client(proxy=sidecar.url, verify=context, timeout=30, trust_env=False) as client:
        return client.post(f"https://{HOST}/ok/charges", json={"n": n})


def _taken_up(sidecar: Sidecar) -> str:
    """What the log says of the CA that is used now."""
    assert sidecar.process.stderr is not None
    return next(line for line in sidecar.process.stderr if "signed by the CA that is there now" in line)


def _age(sidecar: Sidecar, days: float) -> None:
    """Make the CA what it would be after so many days: the same, begun as long ago."""
    file = sidecar.ca / "mitmproxy-ca.pem"
    aged = sidecar.ca / "aged"
    aged.touch(0o600)
    aged.write_bytes(certificates.renewed(file.read_bytes(), datetime.now(UTC) - timedelta(days=days)))
    aged.rename(file)


def test_it_is_renewed_in_time_and_clients_that_trust_it_go_on(
    sidecar: Sidecar, anchor: Path, served: x509.Certificate
) -> None:
    before = _authority(sidecar)
    with sidecar.client() as kept:
        assert kept.post(f"https://{HOST}/ok/charges", json={"n": 1}).status_code == 200
        _age(sidecar, 26)
        sidecar.process.send_signal(signal.SIGHUP)
        until(lambda: _authority(sidecar) != before)
        assert kept.post(f"https://{HOST}/ok/charges", json={"n": 2}).status_code == 200
    after = _authority(sidecar)
    assert after.public_key() == before.public_key()
    assert after.not_valid_after_utc - datetime.now(UTC) > timedelta(days=29)
    until(lambda: _leaf(sidecar).serial_number != served.serial_number)
    assert _leaf(sidecar).not_valid_after_utc < after.not_valid_after_utc
    for trusted in (anchor, sidecar.ca / "ca-cert.pem", sidecar.ca / "bundle.pem"):
        assert _asks(sidecar, trusted, 3).status_code == 200
    assert "another" not in _taken_up(sidecar)


def test_agents_elsewhere_find_the_new_one_where_they_found_the_old(tmp_path: Path, upstream: Upstream) -> None:
    shared = tmp_path / "trust"
    with running(tmp_path / "s", upstream, RULES, "--trust-dir", shared) as sidecar:
        before = (shared / "ca-cert.pem").read_bytes()
        _age(sidecar, 26)
        sidecar.process.send_signal(signal.SIGHUP)
        until(lambda: (shared / "ca-cert.pem").read_bytes() != before)
        until(lambda: (shared / "bundle.pem").read_bytes() == (sidecar.ca / "bundle.pem").read_bytes())
        assert {file.name for file in shared.iterdir()} == {"ca-cert.pem", "bundle.pem"}
        assert _asks(sidecar, shared / "bundle.pem", 1).status_code == 200


def test_what_it_signs_never_outlives_it(sidecar: Sidecar, served: x509.Certificate) -> None:
    assert served.not_valid_after_utc < _authority(sidecar).not_valid_after_utc


def test_a_new_one_is_taken_up_and_the_old_trusted_no_more(sidecar: Sidecar, anchor: Path) -> None:
    assert _asks(sidecar, anchor, 1).status_code == 200
    assert ledger("ca", "rotate", "--ca-dir", sidecar.ca).returncode == 0
    sidecar.process.send_signal(signal.SIGHUP)

    def refused() -> bool:
        try:
            _asks(sidecar, anchor, 2)
        except httpx.ConnectError:
            return True
        return False

    until(refused)
    assert _asks(sidecar, sidecar.ca / "ca-cert.pem", 3).status_code == 200
    assert "it is another one: agents go on when they trust its ca-cert.pem" in _taken_up(sidecar)


def test_one_that_was_spoiled_is_named_and_the_sidecar_goes_on(sidecar: Sidecar, anchor: Path) -> None:
    (sidecar.ca / "mitmproxy-ca.pem").write_text("spoiled")
    sidecar.process.send_signal(signal.SIGHUP)
    assert sidecar.process.stderr is not None
    said = next(line for line in sidecar.process.stderr if "CA" in line)
    assert "mitmproxy-ca.pem: it holds no private key" in said
    assert _asks(sidecar, anchor, 1).status_code == 200


def test_a_signal_to_read_again_ends_no_sidecar_that_has_nothing_to_read(tmp_path: Path) -> None:
    words = ("proxy", "--listen", "127.0.0.1:0", "--db", tmp_path / "l.db", "--ca-dir", tmp_path / "ca")
    env = {name: value for name, value in os.environ.items() if name != "LEDGER_RULES"}
    with subprocess.Popen(command(*words), stdout=subprocess.PIPE, text=True, cwd=tmp_path, env=env) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline().rpartition(":")[2])
        process.send_signal(signal.SIGHUP)
        time.sleep(0.5)
        with closing(socket.create_connection(("127.0.0.1", port), 10)):
            assert process.poll() is None
        process.terminate()
        assert process.wait(30) == 0
