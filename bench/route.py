"""How a client reaches the origin: directly or through a proxy. Bytes and contexts only; no measuring."""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass

HOST = "localhost"


@dataclass(frozen=True, slots=True)
class Route:
    """port: the origin's, on loopback. ca: the PEM file trusted for it. proxy: the proxy's port, or None."""

    port: int
    ca: str
    proxy: int | None = None

    @property
    def entry(self) -> tuple[str, int]:
        """Where the TCP connection goes."""
        return "127.0.0.1", self.proxy or self.port

    @property
    def connect(self) -> bytes:
        """What opens the tunnel."""
        return f"CONNECT {HOST}:{self.port} HTTP/1.1\r\nHost: {HOST}:{self.port}\r\n\r\n".encode()

    def context(self) -> ssl.SSLContext:
        """A client that trusts `ca` and nothing else."""
        context = ssl.create_default_context(cafile=self.ca)
        context.set_alpn_protocols(["http/1.1"])
        return context

    def post(self, body: bytes, accept: bytes = b"*/*") -> bytes:
        """Return an agent's POST, whole."""
        return (
            b"POST /orders HTTP/1.1\r\nHost: %s:%d\r\nUser-Agent: agent/1.0\r\nAccept: %s\r\n"
            b"Authorization: Bearer sk_test_4eC39HqLyjWDarjtT1zdp7dc\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\n\r\n%s" % (HOST.encode(), self.port, accept, len(body), body)
        )

    def get(self, path: str) -> bytes:
        """Return a small GET, whole."""
        return f"GET {path} HTTP/1.1\r\nHost: {HOST}:{self.port}\r\nAccept: */*\r\n\r\n".encode()


def open_socket(route: Route) -> ssl.SSLSocket:
    """Connect in the blocking way: what one request costs is then not hidden by an event loop."""
    plain = socket.create_connection(route.entry, timeout=60)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if route.proxy:
        plain.sendall(route.connect)
        answer = plain.recv(4096)
        if b" 200 " not in answer.split(b"\r\n", 1)[0]:
            raise ConnectionError(f"the proxy refused the tunnel: {answer[:80]!r}")
    return route.context().wrap_socket(plain, server_hostname=HOST)
