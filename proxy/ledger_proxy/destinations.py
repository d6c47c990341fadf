"""Where requests may go: the lists of the rules, what no stranger may reach through us, and never back to ourselves.

Names are judged before anything is connected, the addresses they resolve to right before a connection is opened.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Iterable

from ledger_proxy import answers
from ledger_proxy.answers import Response
from ledger_proxy.settings import Address
from ledger_rules.egress import OPEN, Destination, Egress
from ledger_rules.request import place

type IP = ipaddress.IPv4Address | ipaddress.IPv6Address

_SCHEMES = ("https", "http")

_NEAR = tuple(map(ipaddress.ip_network, ("127.0.0.0/8", "::1/128", "0.0.0.0/8", "::/128")))
_LINK_LOCAL = tuple(map(ipaddress.ip_network, ("169.254.0.0/16", "fe80::/10")))
# The addresses of cloud metadata that are not link-local: Alibaba, Azure, Oracle; AWS and Google on IPv6.
_METADATA = frozenset({"100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254", "fd20:ce::254"})
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


class Forbidden(OSError):
    """A name leads to an address that may not be reached; `strerror` says why."""

    def __init__(self, why: str) -> None:
        super().__init__(None, why)


class Destinations:
    """What may be reached. own: where this sidecar listens itself.

    wide: others can reach the sidecar, so it must not carry them to what only this machine may reach.
    trusted: what a person named (`--resolve`, a proxy to chain through): not judged by what it resolves to.
    origin: the one that a reverse sidecar stands for, which clients may reach wherever it is.
    """

    def __init__(
        self,
        egress: Egress = OPEN,
        *,
        wide: bool = False,
        trusted: Iterable[Address] = (),
        origin: Address | None = None,
    ) -> None:
        self._egress, self._wide, self._origin = egress, wide, origin
        self._trusted = frozenset(trusted) | {one for one in [origin] if one}
        self.own: set[Address] = set()

    def trust(self, address: Address) -> None:
        """Reach this one, too, wherever it is."""
        self._trusted |= {address}

    def take(self, egress: Egress) -> None:
        """From now on these lists hold."""
        self._egress = egress

    def by_name(self, address: Address) -> bool:
        """Whether the lists speak of names, so that an address that a client goes to does not tell by itself."""
        if any(one.network is None for one in self._egress.deny):
            return True
        return any(one.network is None for one in self._egress.allow or ()) and self.closed(address)

    def closed(self, address: Address) -> bool:
        """Say whether no request may go there, as far as the name tells."""
        return all(self.refusal(scheme, *address) for scheme in _SCHEMES)

    def denied(self, address: Address) -> bool:
        """Say whether the lists name it to be refused; what they only do not allow, they may allow by its address."""
        return all(self._egress.denies(scheme, *address) for scheme in _SCHEMES)

    def is_own(self, host: str, port: int) -> bool:
        """Say whether this sidecar listens there, as far as the name tells."""
        return self._ours(_ip(plain(host)), plain(host), port)

    def refusal(self, scheme: str, host: str, port: int) -> Response | None:
        """Why no request may go there, as far as the name tells; None if it may."""
        host = plain(host)
        ip = _ip(host)
        if self._ours(ip, host, port):
            return answers.problem(answers.LOOP, detail=f"{place(host, port)} is this sidecar.")
        if self._egress is not OPEN and not self._egress.allows(scheme, host, port):
            return answers.problem(
                answers.EGRESS, detail=f"`egress` in the rules does not let {place(host, port)} through."
            )
        if ip is not None and (host, port) != self._origin and (why := self._forbidden(ip)):
            return answers.problem(answers.EGRESS, detail=f"{place(host, port)} is {why}.")
        return None

    async def tunnel_refusal(self, host: str, port: int, direct: bool) -> Response | None:
        """The same for a tunnel, which may come to carry either scheme. direct: whether the name is resolved here."""
        refused = self.refusal("https", host, port) and self.refusal("http", host, port)
        if refused is None and direct:
            try:
                await self.reach((host, port))
            except Forbidden as error:
                return answers.problem(answers.EGRESS, detail=f"{error.strerror}.")
            except OSError:
                return None  # a name without an address: said where a connection is opened
        return refused

    async def reach(self, address: Address) -> Address:
        """The address to connect to for a name, where addresses matter. Raises Forbidden, or OSError for no address."""
        host, port = address
        if address in self._trusted or not self._by_address(port):
            return address
        loop = asyncio.get_running_loop()
        found = [info[4][0] for info in await loop.getaddrinfo(plain(host), port, type=socket.SOCK_STREAM)]
        self.judge(map(str, found), host, port)
        return str(found[0]), port

    def judge(self, addresses: Iterable[str], host: str, port: int) -> None:
        """Raise Forbidden if any of the addresses that a name has may not be reached."""
        if (host, port) in self._trusted or not self._by_address(port):
            return
        for address in addresses:
            ip = _ip(address)
            why = "this sidecar itself" if self._ours(ip, "", port) else ip and self._forbidden(ip)
            if why:
                raise Forbidden(f"{host} is {address}, {why}; nothing was sent")

    def _by_address(self, port: int) -> bool:
        return self._wide or any(own[1] == port for own in self.own) or bool(_networks(self._egress.deny))

    def _forbidden(self, ip: IP) -> str | None:
        """Why this address may not be reached, whatever its name; continues "it is"."""
        meant = [ip, *_embedded(ip)]
        if any(one in network for one in meant for network in _networks(self._egress.deny)):
            return "denied by `egress` in the rules"
        if not self._wide or any(ip in network for network in _networks(self._egress.allow or ())):
            return None
        if any(one in network for one in meant for network in _LINK_LOCAL):
            return "a link-local address, which a sidecar that others can reach does not carry to"
        if any(str(one) in _METADATA for one in meant):
            return "a cloud metadata address, which a sidecar that others can reach does not carry to"
        if any(one in network for one in meant for network in _NEAR):
            return "this machine itself, which a sidecar that others can reach does not carry to"
        return None

    def _ours(self, ip: IP | None, host: str, port: int) -> bool:
        if all(own[1] != port for own in self.own):
            return False
        if ip is None:
            return host == "localhost" or host.endswith(".localhost")
        return any(_is_local(one) for one in (ip, *_embedded(ip)))


def plain(host: str) -> str:
    """A host in lower case, an IPv4 address in its usual spelling.

    C libraries read others, too: `0x7f.1`, `2130706433` (inet_aton(3)).
    """
    host = host.strip("[]").rstrip(".").lower()
    if host[:1].isdigit() and all(c in "0123456789abcdefx." for c in host):
        try:
            return socket.inet_ntoa(socket.inet_aton(host))
        except OSError:
            return host
    return host


def is_address(host: str) -> bool:
    """Say whether this is an IP address and no name."""
    return _ip(host) is not None


def is_loopback(host: str) -> bool:
    """Say whether only this machine can reach what listens there."""
    ip = _ip(host)
    return host == "localhost" if ip is None else ip.is_loopback


def _networks(destinations: Iterable[Destination]) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    return [one.network for one in destinations if one.network is not None]


def _embedded(ip: IP) -> list[IP]:
    """The IPv4 address that an IPv6 address stands for: mapped (RFC 4291), 6to4 (RFC 3056), NAT64 (RFC 6052)."""
    if isinstance(ip, ipaddress.IPv4Address):
        return []
    nat64 = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF) if ip in _NAT64 else None
    return [one for one in (ip.ipv4_mapped, ip.sixtofour, nat64) if one is not None]


def _is_local(ip: IP) -> bool:
    """Whether the address is one of this machine's: only those can be bound."""
    if ip.is_loopback or ip.is_unspecified:
        return True
    family = socket.AF_INET if ip.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((str(ip), 0))
    except OSError:
        return False
    return True


def _ip(text: str) -> IP | None:
    try:
        return ipaddress.ip_address(text.strip("[]").partition("%")[0])
    except ValueError:
        return None
