"""A TLS handshake in memory between a certificate of our CA and a verifying client."""

from __future__ import annotations

import contextlib
import ipaddress
import ssl
from pathlib import Path
from tempfile import NamedTemporaryFile

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from mitmproxy.certs import CertStore

from ledger_proxy.ca import CA


def accepted(ca: CA, host: str, *, trusting: Path | None = None, flags: int = 0) -> bool:
    """Say whether a client that trusts the CA accepts the certificate that mitmproxy mints for a host."""
    client = ssl.create_default_context(cafile=str(trusting or ca.cert_path))
    client.verify_flags |= flags
    ends = _End(client, host), _End(_server(ca, host), None)
    try:
        for _ in range(10):
            for end, other in (ends, ends[::-1]):
                end.advance()
                end.feed(other)
    except ssl.SSLCertVerificationError:
        return False
    return ends[0].tls.version() is not None


class _End:
    def __init__(self, context: ssl.SSLContext, host: str | None) -> None:
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_side=host is None, server_hostname=host)

    def advance(self) -> None:
        with contextlib.suppress(ssl.SSLWantReadError):
            self.tls.do_handshake()

    def feed(self, other: _End) -> None:
        other.incoming.write(self.outgoing.read())


def _server(ca: CA, host: str) -> ssl.SSLContext:
    store = CertStore.from_store(ca.directory, "mitmproxy", 2048)
    try:
        name: x509.GeneralName = x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        name = x509.DNSName(host)
    entry = store.get_cert(host, [name])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with NamedTemporaryFile() as file:
        key = entry.privatekey.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        file.write(key + entry.cert.to_pem())
        file.flush()
        context.load_cert_chain(file.name)
    return context
