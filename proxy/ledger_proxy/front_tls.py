"""The front's TLS: what mitmproxy's own does not do. A CA that changes while it is used, leaves that end with it, and
upstreams of unruled traffic that `peers` names. Private names of 12.2, as in `http1`.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import ledger_proxy.light  # noqa: F401 - before mitmproxy

# isort: split
from cryptography import x509
from mitmproxy import certs, http, tls
from mitmproxy.addons import tlsconfig
from OpenSSL import SSL

from ledger_proxy.peers import ClientCert, Peers, name_of

LEAF_DAYS = 30
_LEAST = timedelta(hours=1)


class FrontTls(tlsconfig.TlsConfig):
    """mitmproxy's addon, corrected. roots: what upstreams are verified by."""

    def __init__(self, peers: Peers, roots: Path) -> None:
        super().__init__()
        self._peers = peers
        self._showing = {host: _showing(cert, roots) for host, cert in peers.certificates.items()}

    def take_authority(self) -> None:
        """Sign with the CA that is in the directory now; certificates that were signed before are forgotten."""
        self.configure({"confdir"})  # type: ignore[no-untyped-call]

    def request(self, flow: http.HTTPFlow) -> None:
        """Answer no request: mitmproxy has a revocation list for a path that is an origin's as every other is."""

    def tls_start_server(self, tls_start: tls.TlsData) -> None:
        """Go by where the connection leads, not by the name that a client gave."""
        made = tls_start.ssl_conn is not None
        super().tls_start_server(tls_start)
        address = getattr(tls_start.conn, "address", None)
        if made or address is None or tls_start.ssl_conn is None:
            return
        host = name_of(address[0])
        if (context := self._showing.get(host)) is not None:
            # Of another context a connection takes certificate, chain, key and roots; how it verifies stays its own.
            tls_start.ssl_conn.set_context(context)
        if host in self._peers.insecure:
            tls_start.ssl_conn.set_verify(SSL.VERIFY_NONE)


def apply() -> None:
    """Let no certificate outlive the CA that signed it. Safe to call again."""
    mint = certs.dummy_cert
    if hasattr(mint, "bounded"):
        return

    def bounded(privkey: Any, cacert: x509.Certificate, *rest: Any, **more: Any) -> certs.Cert:
        # It counts from the machine's local time, without a zone.
        left = cacert.not_valid_after_utc.replace(tzinfo=None) - datetime.now() - timedelta(minutes=1)
        certs.CERT_EXPIRY = max(_LEAST, min(left, timedelta(days=LEAF_DAYS)) - certs.CERT_VALIDITY_OFFSET)
        return mint(privkey, cacert, *rest, **more)

    bounded.bounded = True  # type: ignore[attr-defined]
    certs.dummy_cert = bounded


def _showing(cert: ClientCert, roots: Path) -> SSL.Context:
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.use_certificate_chain_file(str(cert.chain))
    context.use_privatekey_file(str(cert.key))
    context.load_verify_locations(str(roots))
    return context
