"""Upstreams that TLS treats unlike the rest because a person said so, by name: unverified, or shown a certificate.

Everything is checked when it is read, so that a running sidecar meets no surprise.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

_HOST = re.compile(r"[^\s:/@*?#\[\],=]+|\[[0-9A-Fa-f:.]+\]|[0-9A-Fa-f]*:[0-9A-Fa-f:.]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class ClientCert:
    """A certificate with its chain, and its key: PEM files, which may be one."""

    chain: Path
    key: Path


@dataclass(frozen=True, slots=True)
class Peers:
    """insecure: hosts whose certificate is not verified. certificates: what is shown to a host that asks."""

    insecure: frozenset[str] = frozenset()
    certificates: Mapping[str, ClientCert] = field(default_factory=dict)

    @property
    def named(self) -> frozenset[str]:
        """Every host that is treated unlike the rest."""
        return self.insecure | self.certificates.keys()

    def adapt(self, host: str, context: ssl.SSLContext) -> None:
        """Make a context, which verifies, the one for this host."""
        if (cert := self.certificates.get(host)) is not None:
            context.load_cert_chain(cert.chain, cert.key)
        if host in self.insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE


def name_of(host: str) -> str:
    """A host as `Peers` has it."""
    return host.strip("[]").rstrip(".").lower()


def parse_peers(insecure: Iterable[str], certificates: Iterable[str]) -> Peers:
    """Read the values of `--insecure-host` and `--client-cert`. Raises ValueError in one line."""
    hosts = frozenset(_host("--insecure-host", text, text) for text in insecure)
    certs: dict[str, ClientCert] = {}
    for text in certificates:
        host, cert = _client_cert(text)
        if certs.setdefault(host, cert) != cert:
            raise ValueError(f"--client-cert {text!r}: {host} has another one already; keep one")
    return Peers(hosts, certs)


def _host(option: str, text: str, host: str) -> str:
    if not _HOST.fullmatch(host):
        raise ValueError(f"{option} {text!r}: name one host, without port and without *")
    return name_of(host)


def _client_cert(text: str) -> tuple[str, ClientCert]:
    host, equals, files = text.partition("=")
    if not equals or not files:
        raise ValueError(f"--client-cert {text!r}: write HOST=FILE, or HOST=FILE,KEYFILE")
    chain, _, key = files.partition(",")
    cert = ClientCert(Path(chain).expanduser(), Path(key or chain).expanduser())
    _check(f"--client-cert {text!r}", cert)
    return _host("--client-cert", text, host), cert


def _check(what: str, cert: ClientCert) -> None:
    for file in (cert.chain, cert.key):
        try:
            file.read_bytes()
        except OSError as error:
            raise ValueError(f"{what}: {file}: {error.strerror}") from None
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(cert.chain, cert.key, _no_passphrase)
    except _Encrypted:
        raise ValueError(f"{what}: its key is encrypted, and Ledger has no passphrase") from None
    except ssl.SSLError as error:
        if "MISMATCH" in (error.reason or ""):
            raise ValueError(f"{what}: the key is not the certificate's") from None
        raise ValueError(f"{what}: a PEM certificate and its PEM key are needed, in one file or in two") from None


class _Encrypted(Exception):
    """OpenSSL asked for a passphrase."""


def _no_passphrase() -> str:
    raise _Encrypted
