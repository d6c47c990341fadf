"""One HTTP request as the rules see it: where its bytes will go and what they say. No parsing of bodies here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(slots=True)
class Request:
    """One HTTP request, described by where its bytes will go, never by the Host header the client chose.

    Nobody changes one: it is not frozen only because making it would take twice as long, and every request is made.

    host: the host of the connection, lower case, IPv6 without brackets.
    target: the raw origin-form request target, `path[?query]`.
    headers: as received, any case, decoded as latin-1 or with surrogateescape.
    """

    method: str
    scheme: str
    host: str
    port: int
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    by_name: Mapping[str, str] = field(init=False, repr=False, compare=False)
    """The headers by name, in lower case; several of one name joined by `, `."""

    def __post_init__(self) -> None:
        """Index the headers: they are looked up a dozen times for every request."""
        found = {name.lower(): value for name, value in self.headers}
        if len(found) < len(self.headers):
            found = _joined(self.headers)
        self.by_name = found

    def header(self, name: str) -> str | None:
        """Return the value of a header by case-insensitive name, several joined by `, `; None if absent."""
        return self.by_name.get(name.lower())

    @property
    def url(self) -> str:
        """The URL as text, without a default port. Unredacted: not for storing, see `urls.masked`."""
        return origin(self.scheme, self.host, self.port) + self.target


def _joined(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in headers:
        key = name.lower()
        found[key] = f"{found[key]}, {value}" if key in found else value
    return found


def origin(scheme: str, host: str, port: int) -> str:
    """Return `scheme://host[:port]`, the port only where it is not the scheme's own."""
    return f"{scheme}://{bracketed(host)}" if DEFAULT_PORTS.get(scheme) == port else f"{scheme}://{place(host, port)}"


def place(host: str, port: int) -> str:
    """Return `host:port`."""
    return f"{bracketed(host)}:{port}"


def bracketed(host: str) -> str:
    """Return a host as it stands before a port (RFC 3986 §3.2.2): an IPv6 address in brackets."""
    return f"[{host}]" if ":" in host else host
