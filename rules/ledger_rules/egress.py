"""Where requests may go at all: lists of destinations. Whether a request is exactly-once is not asked here."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from ledger_rules.globs import ANY_DEPTH, TextGlob, segments_match
from ledger_rules.urls import normal_host

type Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_FORM = re.compile(r"(?:(?P<scheme>https?)://)?(?P<host>\[[0-9A-Fa-f:.]+\]|[^\s\[\]/:@?#{}%,]+)(?::(?P<port>\d{1,5}))?")
_EXPECTED = "expected a host such as api.example.com, **.example.com or https://localhost:8080, or 10.0.0.0/8"


@dataclass(frozen=True, slots=True)
class Destination:
    """A host, perhaps with scheme and port, or a network. `*` is one label, `**` any number of labels."""

    text: str
    scheme: str | None
    labels: tuple[TextGlob | None, ...]
    port: int | None
    network: Network | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a destination; raises ValueError that says what was expected."""
        if (network := _network(text)) is not None:
            return cls(text, None, (), None, network)
        form = _FORM.fullmatch(text)
        if form is None or int(form["port"] or 1) not in range(1, 65536):
            raise ValueError(_EXPECTED)
        labels = normal_host(form["host"]).split(".")
        if any(not label or ("**" in label and label != "**") for label in labels):
            raise ValueError(_EXPECTED)
        globs = tuple(ANY_DEPTH if label == "**" else TextGlob.parse(label) for label in labels)
        return cls(text, form["scheme"], globs, int(form["port"]) if form["port"] else None)

    def means(self, scheme: str, host: str, port: int) -> bool:
        """Say whether something goes there. host: in normal form; a network means addresses only, not names."""
        if self.network is not None:
            address = _address(host)
            return address is not None and address in self.network
        return (
            self.scheme in (None, scheme) and self.port in (None, port) and segments_match(self.labels, host.split("."))
        )


@dataclass(frozen=True, slots=True)
class Egress:
    """allow: nothing else may be reached; None: anything may. deny: never, also if it is allowed."""

    allow: tuple[Destination, ...] | None = None
    deny: tuple[Destination, ...] = ()

    def allows(self, scheme: str, host: str, port: int) -> bool:
        """Say whether a request may go there."""
        listed = self.allow is None or _listed(self.allow, scheme, normal_host(host), port)
        return listed and not self.denies(scheme, host, port)

    def denies(self, scheme: str, host: str, port: int) -> bool:
        """Say whether a request may not go there, whatever else is allowed."""
        return _listed(self.deny, scheme, normal_host(host), port)


OPEN = Egress()
"""No list at all."""


def _listed(destinations: Iterable[Destination], scheme: str, host: str, port: int) -> bool:
    return any(destination.means(scheme, host, port) for destination in destinations)


def _network(text: str) -> Network | None:
    """Return a network in CIDR notation, or of one address."""
    try:
        return ipaddress.ip_network(text.strip("[]"))
    except ValueError:
        return None


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address
