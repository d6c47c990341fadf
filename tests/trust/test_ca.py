"""The CA: private, short-lived, accepted by the strictest verification, made once, and never wider than asked."""

from __future__ import annotations

import os
import ssl
import stat
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from mitmproxy.certs import CertStore

from ledger_proxy import front_tls
from ledger_proxy.ca import CA, CAError, ensure_ca, upstream_bundle
from tests.trust.handshake import accepted

NOW = datetime.now(UTC)
AUTHORITY = "mitmproxy-ca.pem"
X509_V_FLAG_NO_CHECK_TIME = 0x200000


def make(directory: Path, *hosts: str, days: int = 30, now: datetime = NOW, **environ: str) -> CA:
    return ensure_ca(directory, hosts, days, environ=environ, now=now)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def certificate(ca: CA) -> x509.Certificate:
    return x509.load_pem_x509_certificate(ca.cert_path.read_bytes())


def names(bundle: Path) -> set[str]:
    """The common names that OpenSSL finds in a bundle."""
    trusted = ssl.create_default_context(cafile=str(bundle)).get_ca_certs()
    return {value for cert in trusted for ((key, value), *_) in cert["subject"] if key == "commonName"}


class TestMaking:
    def test_strict_clients_accept_what_it_signs(self, tmp_path: Path) -> None:
        ca = make(tmp_path / "ca")
        assert accepted(ca, "api.stripe.com", flags=ssl.VERIFY_X509_STRICT)

    def test_a_verifier_that_trusts_only_the_usual_roots_refuses(self, tmp_path: Path) -> None:
        other = make(tmp_path / "other")
        assert not accepted(make(tmp_path / "ca"), "api.stripe.com", trusting=other.cert_path)

    @pytest.mark.parametrize("days", [7, 30, 90])
    def test_it_is_valid_for_exactly_as_long_as_asked(self, tmp_path: Path, days: int) -> None:
        cert = certificate(make(tmp_path, days=days))
        assert cert.not_valid_after_utc - cert.not_valid_before_utc == timedelta(days=days)

    @pytest.mark.parametrize("days", [0, 91, 3650])
    def test_a_long_lived_one_is_not_made(self, tmp_path: Path, days: int) -> None:
        with pytest.raises(ValueError, match="90 days"):
            make(tmp_path, days=days)

    def test_mitmproxy_loads_it_and_adds_nothing(self, tmp_path: Path) -> None:
        ca = make(tmp_path)
        before = sorted(os.listdir(tmp_path))
        store = CertStore.from_store(tmp_path, "mitmproxy", 2048)
        assert store.default_ca.to_cryptography() == certificate(ca)
        assert sorted(os.listdir(tmp_path)) == before

    @pytest.mark.parametrize("umask", [0o000, 0o022, 0o077, 0o777])
    def test_directory_and_keys_are_private_under_any_umask(self, tmp_path: Path, umask: int) -> None:
        directory = tmp_path / "state" / "ca"
        old = os.umask(umask)
        try:
            ca = make(directory)
        finally:
            os.umask(old)
        assert [mode(directory), mode(directory / AUTHORITY), mode(directory.parent)] == [0o700, 0o600, 0o700]
        assert [mode(ca.cert_path), mode(ca.bundle_path)] == [0o644, 0o644]

    def test_a_directory_with_other_things_in_it_keeps_its_mode(self, tmp_path: Path) -> None:
        tmp_path.chmod(0o755)
        (tmp_path / "notes").touch()
        make(tmp_path)
        assert (mode(tmp_path), mode(tmp_path / AUTHORITY)) == (0o755, 0o600)

    def test_processes_that_start_together_share_one(self, tmp_path: Path) -> None:
        script = "import sys, pathlib, ledger_proxy.ca as c; c.ensure_ca(pathlib.Path(sys.argv[1]))"
        words = [sys.executable, "-c", f"{script}; print(open(sys.argv[1] + '/ca-cert.pem').read())", tmp_path / "ca"]
        started = [subprocess.Popen(words, stdout=subprocess.PIPE, text=True) for _ in range(4)]
        made = {process.communicate(timeout=60)[0] for process in started}
        assert [process.returncode for process in started] == [0] * 4
        assert len(made) == 1


class TestNameConstraints:
    @pytest.mark.parametrize(
        ("host", "fine"),
        [
            ("api.stripe.com", True),
            ("hooks.example.com", True),
            ("deep.er.example.com", True),
            ("evil.example.net", False),
            ("notexample.com", False),
            ("127.0.0.1", False),
        ],
    )
    def test_it_vouches_for_the_given_hosts_only(self, tmp_path: Path, host: str, fine: bool) -> None:
        ca = make(tmp_path, "api.stripe.com", "*.example.com")
        assert accepted(ca, host, flags=ssl.VERIFY_X509_STRICT) is fine

    @pytest.mark.parametrize(("host", "fine"), [("127.0.0.1", True), ("127.0.0.2", False), ("example.com", False)])
    def test_an_address_can_be_such_a_host(self, tmp_path: Path, host: str, fine: bool) -> None:
        assert accepted(make(tmp_path, "127.0.0.1"), host) is fine

    def test_a_pattern_for_every_host_leaves_it_unconstrained(self, tmp_path: Path) -> None:
        assert accepted(make(tmp_path, "api.stripe.com", "*"), "anything.test")


class TestFinding:
    def test_a_valid_one_is_used_again(self, tmp_path: Path) -> None:
        first = certificate(make(tmp_path))
        assert certificate(make(tmp_path, now=NOW + timedelta(days=20))) == first

    def test_one_that_is_wide_enough_is_used_again(self, tmp_path: Path) -> None:
        first = certificate(make(tmp_path, "*.example.com"))
        assert certificate(make(tmp_path, "hooks.example.com")) == first
        assert certificate(make(tmp_path, "api.stripe.com")) != first

    def test_a_constrained_one_does_not_serve_an_unconstrained_sidecar(self, tmp_path: Path) -> None:
        make(tmp_path, "api.stripe.com")
        assert accepted(make(tmp_path), "other.test")

    def test_one_that_ends_soon_is_renewed_and_clients_that_trust_it_go_on(self, tmp_path: Path) -> None:
        first = make(tmp_path / "ca", "*.example.com", days=8)
        trusted = tmp_path / "trusted.pem"
        trusted.write_bytes(first.cert_path.read_bytes())
        before = certificate(first)
        second = make(tmp_path / "ca", "*.example.com", now=NOW + timedelta(days=6.5))
        after = certificate(second)
        assert after.not_valid_after_utc - before.not_valid_after_utc == timedelta(days=6.5)
        assert (after.subject, after.public_key()) == (before.subject, before.public_key())
        assert second.cert_path.read_bytes() in second.bundle_path.read_bytes()
        for anchor in (trusted, second.bundle_path):
            # Its begin is of another day than today's, so the time is not asked here.
            flags = ssl.VERIFY_X509_STRICT | X509_V_FLAG_NO_CHECK_TIME
            assert accepted(second, "api.example.com", trusting=anchor, flags=flags)
            assert not accepted(second, "other.test", trusting=anchor, flags=flags)

    @pytest.mark.parametrize("days", [1, 30, 90])
    def test_what_it_signs_ends_before_it(self, tmp_path: Path, days: int) -> None:
        ca = make(tmp_path, days=days)
        front_tls.apply()
        store = CertStore.from_store(tmp_path, "mitmproxy", 2048)
        leaf = store.get_cert("api.test", [x509.DNSName("api.test")]).cert.to_cryptography()
        assert NOW < leaf.not_valid_after_utc < certificate(ca).not_valid_after_utc
        assert leaf.not_valid_after_utc - NOW <= timedelta(days=31)

    @pytest.mark.parametrize("later", [30, 300])
    def test_one_that_has_ended_is_replaced_and_said_so(
        self, tmp_path: Path, later: float, caplog: pytest.LogCaptureFixture
    ) -> None:
        first = certificate(make(tmp_path))
        assert certificate(make(tmp_path, now=NOW + timedelta(days=later))) != first
        assert "clients must trust the new ca-cert.pem" in caplog.text

    def test_where_a_clock_is_behind_the_one_that_others_share_stays(self, tmp_path: Path) -> None:
        first = certificate(make(tmp_path))
        with pytest.raises(CAError, match=r"not valid before .*set this machine's clock, or .*`ledger ca rotate`"):
            make(tmp_path, now=NOW - timedelta(days=1))
        assert certificate(make(tmp_path)) == first

    def test_a_loose_key_file_is_made_private(self, tmp_path: Path) -> None:
        make(tmp_path)
        (tmp_path / AUTHORITY).chmod(0o644)
        make(tmp_path)
        assert mode(tmp_path / AUTHORITY) == 0o600

    def test_somebody_elses_ca_is_used(self, tmp_path: Path) -> None:
        authority = trustme.CA()
        (tmp_path / AUTHORITY).write_bytes(authority.private_key_pem.bytes() + authority.cert_pem.bytes())
        assert make(tmp_path).cert_path.read_bytes() == authority.cert_pem.bytes()

    def test_and_never_overwritten(self, tmp_path: Path) -> None:
        authority = trustme.CA()
        pem = authority.private_key_pem.bytes() + authority.cert_pem.bytes()
        (tmp_path / AUTHORITY).write_bytes(pem)
        with pytest.raises(CAError, match=r"not one of Ledger's, expired at .*; replace it"):
            make(tmp_path, now=datetime(2999, 1, 1, tzinfo=UTC) + timedelta(days=3650))
        assert (tmp_path / AUTHORITY).read_bytes() == pem


def _pem(tmp_path: Path) -> tuple[bytes, bytes]:
    make(tmp_path)
    key, mark, cert = (tmp_path / AUTHORITY).read_bytes().partition(b"-----BEGIN CERTIFICATE-----")
    return key, mark + cert


def _encrypted(key: bytes) -> bytes:
    loaded = load_pem_private_key(key, None)
    return loaded.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))


class TestTrouble:
    """One line that names the file and says what to do; what was there is not destroyed."""

    @pytest.mark.parametrize(
        ("spoil", "reason"),
        [
            (lambda key, cert: b"", "holds no private key"),
            (lambda key, cert: b"\x00\xff" * 40, "holds no private key"),
            (lambda key, cert: key, "holds no certificate"),
            (lambda key, cert: key + cert[:200], "holds no certificate"),
            (lambda key, cert: _encrypted(key) + cert, "key is encrypted"),
            (lambda key, cert: key + trustme.CA().cert_pem.bytes(), "key is not the certificate's"),
            (lambda key, cert: _leaf(), "not a CA's"),
        ],
    )
    def test_a_file_that_is_no_ca(self, tmp_path: Path, spoil: object, reason: str) -> None:
        content = spoil(*_pem(tmp_path))  # type: ignore[operator]
        (tmp_path / AUTHORITY).write_bytes(content)
        with pytest.raises(CAError) as caught:
            make(tmp_path)
        assert reason in str(caught.value)
        assert str(tmp_path / AUTHORITY) in str(caught.value)
        assert "remove the file or choose another directory" in str(caught.value)
        assert "\n" not in str(caught.value)
        assert (tmp_path / AUTHORITY).read_bytes() == content

    def test_a_directory_that_is_a_file(self, tmp_path: Path) -> None:
        (tmp_path / "ca").touch()
        with pytest.raises(CAError, match=r"CA directory .*/ca: Not a directory; choose another one"):
            make(tmp_path / "ca")

    def test_an_interrupted_write_leaves_the_old_file(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        first = make(tmp_path).bundle_path.read_bytes()

        def full(*args: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(CAError, match="No space left"):
            make(tmp_path, now=NOW + timedelta(days=60))
        assert (tmp_path / "bundle.pem").read_bytes() == first
        assert not [name for name in os.listdir(tmp_path) if name.startswith(f".{AUTHORITY}")]


def _leaf() -> bytes:
    leaf = trustme.CA().issue_cert("example.com")
    return leaf.private_key_and_cert_chain_pem.bytes()


class TestRoots:
    def test_the_bundle_has_ours_and_the_usual_roots(self, tmp_path: Path) -> None:
        ca = make(tmp_path)
        assert names(ca.bundle_path) >= {"ISRG Root X1", *names(ca.cert_path)}

    @pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS"])
    def test_and_those_the_parent_named(self, tmp_path: Path, variable: str) -> None:
        company = trustme.CA()
        file = tmp_path / "company" / "root.crt"
        file.parent.mkdir()
        company.cert_pem.write_to_path(str(file))
        place = f"/nowhere:{file.parent}" if variable == "SSL_CERT_DIR" else str(file)
        ca = make(tmp_path / "ca", **{variable: place})
        assert company.cert_pem.bytes() in ca.bundle_path.read_bytes()
        assert company.cert_pem.bytes() in upstream_bundle(ca.directory, None, {variable: place}).read_bytes()
        assert (company.cert_pem.bytes() in ca.node_path.read_bytes()) is (variable == "NODE_EXTRA_CA_CERTS")
        assert company.cert_pem.bytes() not in ca.cert_path.read_bytes()

    def test_a_broken_root_does_not_spoil_the_bundle(self, tmp_path: Path) -> None:
        (tmp_path / "broken.pem").write_text("-----BEGIN CERTIFICATE-----\nMIIBAAAA\n-----END CERTIFICATE-----\n")
        ca = make(tmp_path / "ca", SSL_CERT_FILE=str(tmp_path / "broken.pem"), CURL_CA_BUNDLE="/nowhere.pem")
        assert ssl.create_default_context(cafile=str(ca.bundle_path)).cert_store_stats()["x509_ca"] > 50

    def test_upstreams_are_never_verified_by_our_own_ca(self, tmp_path: Path) -> None:
        ca = make(tmp_path)
        assert not names(ca.cert_path) & names(upstream_bundle(tmp_path, None, {}))

    def test_two_upstream_cas_in_one_directory_stay_apart(self, tmp_path: Path) -> None:
        files = []
        for name in ("one", "two"):
            authority = trustme.CA()
            authority.cert_pem.write_to_path(str(tmp_path / name))
            files.append((upstream_bundle(tmp_path, tmp_path / name, {}), authority.cert_pem.bytes()))
        assert [cert in file.read_bytes() for file, _ in files for _, cert in files] == [True, False, False, True]

    @pytest.mark.parametrize(("content", "reason"), [(None, "No such file"), ("hello", "holds no PEM certificate")])
    def test_an_upstream_ca_that_is_none(self, tmp_path: Path, content: str | None, reason: str) -> None:
        file = tmp_path / "upstream-ca.pem"
        if content:
            file.write_text(content)
        with pytest.raises(CAError, match=rf"upstream CA file .*upstream-ca.pem: .*{reason}"):
            upstream_bundle(tmp_path, file, {})
