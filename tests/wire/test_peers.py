"""Upstreams that a person named: one not verified, one that wants a certificate. All others stay as they were."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from tests.wire.bad_certificates import CLUB, Shop, open_club, open_shop
from tests.wire.raw import through
from tests.wire.sidecars import ledger
from tests.wire.test_bad_certificates import Stage, started


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with open_shop(tmp_path_factory.mktemp("shop")) as opened:
        yield opened


@pytest.fixture
def club(tmp_path: Path) -> Iterator[Shop]:
    with open_club(tmp_path / "club") as opened:
        yield opened


def test_only_the_named_host_goes_unverified_and_that_is_said(tmp_path: Path, shop: Shop) -> None:
    sidecar = started(tmp_path / "s", shop, "--insecure-host", "Expired.test", "--insecure-host", "self-signed.test")
    stage = Stage(shop, sidecar)
    for host in ("expired.test", "self-signed.test"):
        assert [answer.status_code for answer in stage.asks(host)] == [200, 200]
        assert shop.asked[host] == 2
    for host in ("wrong-host.test", "unknown-ca.test"):
        assert [answer.status_code for answer in stage.asks(host)] == [502, 502]
        assert shop.asked[host] == 0
    assert sidecar.process.stderr is not None
    warning = sidecar.process.stderr.readline()
    assert "WARNING: expired.test, self-signed.test: its certificate is not verified" in warning
    sidecar.stop()


@pytest.mark.parametrize(("more", "status"), [([], b"400"), (["--observe"], b"502")], ids=["enforced", "observed"])
def test_a_client_that_gives_the_named_host_in_tls_gets_nowhere_else_by_it(
    tmp_path: Path, shop: Shop, more: list[str], status: bytes
) -> None:
    """Verification is off for where the connection leads, not for the name that a client gives.

    Where a rule is enforced, two names are one too many before anything is connected.
    """
    sidecar = started(tmp_path / "s", shop, "--insecure-host", "expired.test", *more)
    with through(sidecar, "unknown-ca.test", server_name="expired.test") as sock:
        sock.sendall(b"GET /other HTTP/1.1\r\nHost: unknown-ca.test\r\n\r\n")
        told = sock.recv(65536)
    sidecar.stop()
    assert told.startswith(b"HTTP/1.1 " + status)
    assert shop.asked == {}


@pytest.mark.parametrize("files", ["{0}/member.pem,{0}/member.key", "{0}/whole.pem"])
def test_a_certificate_is_shown_to_the_host_it_is_for(tmp_path: Path, club: Shop, files: str) -> None:
    shown = files.format(club.ca_file.parent)
    sidecar = started(tmp_path / "s", club, "--client-cert", f"{CLUB}={shown}")
    assert [answer.status_code for answer in Stage(club, sidecar).asks(CLUB)] == [200, 200]
    assert club.asked[CLUB] == 2
    sidecar.stop()


def test_without_it_nothing_happens_and_no_success_is_told(tmp_path: Path, club: Shop) -> None:
    """In TLS 1.3 the refusal comes after the handshake: a request may be on its way by then, so `unknown` is right."""
    sidecar = started(tmp_path / "s", club)
    with sidecar.client() as client:
        ruled = client.post(f"https://{CLUB}/orders", json={"n": 1})
    assert ruled.headers["Ledger-Outcome"] in ("failed", "unknown")
    assert club.asked == {}
    sidecar.stop()


def test_showing_one_does_not_turn_verification_off(tmp_path: Path, club: Shop) -> None:
    """The origin's certificate is for club.test; as stranger.test it is refused before anything is shown."""
    whole = club.ca_file.with_name("whole.pem")
    sidecar = started(tmp_path / "s", club, "--client-cert", f"stranger.test={whole}")
    ruled, other = Stage(club, sidecar).asks("stranger.test")
    assert (ruled.status_code, ruled.headers["Ledger-Outcome"], other.status_code) == (502, "failed", 502)
    assert club.asked == {}
    sidecar.stop()


def _refused(tmp_path: Path, *words: str) -> str:
    said = ledger("proxy", "--listen", "127.0.0.1:0", "--db", tmp_path / "l.db", "--ca-dir", tmp_path / "ca", *words)
    assert said.returncode in (1, 2)
    (line,) = said.stderr.splitlines()[-1:]
    assert "Traceback" not in said.stderr
    return line


def test_files_that_cannot_be_used_are_named_in_one_line(tmp_path: Path) -> None:
    one, two = (trustme.CA().issue_cert("x.test") for _ in range(2))
    cert, key, foreign = (tmp_path / name for name in ("cert.pem", "key.pem", "foreign.pem"))
    one.cert_chain_pems[0].write_to_path(str(cert))
    one.private_key_pem.write_to_path(str(key))
    two.private_key_pem.write_to_path(str(foreign))
    for value, why in (
        (f"x.test={tmp_path}/none.pem", "none.pem: No such file"),
        (f"x.test={cert},{tmp_path}/none.key", "none.key: No such file"),
        (f"x.test={cert},{foreign}", "the key is not the certificate's"),
        (f"x.test={cert}", "a PEM certificate and its PEM key are needed"),
        (f"x.test={key}", "a PEM certificate and its PEM key are needed"),
        ("x.test", "write HOST=FILE"),
        (f"*.test={cert},{key}", "name one host"),
    ):
        assert why in _refused(tmp_path, "--client-cert", value), value


def test_a_pattern_or_a_tls_proxy_is_refused(tmp_path: Path) -> None:
    assert "name one host" in _refused(tmp_path, "--insecure-host", "*")
    chained = ("--insecure-host", "x.test", "--mode", "upstream:https://proxy.test:3128")
    assert "do not go with a proxy" in _refused(tmp_path, *chained)


def test_doctor_warns_of_it(tmp_path: Path) -> None:
    said = ledger("doctor", "--no-test", "--db", tmp_path / "l.db", env={"LEDGER_INSECURE_HOST": "x.test"})
    assert "x.test: its certificate is not verified" in said.stdout
