"""What stays direct: `NO_PROXY` read the way clients read it, less what would let a ruled host slip past Ledger."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Iterable

from ledger_rules.globs import TextGlob

LOOPBACK = ("localhost", "127.0.0.1", "::1")


def kept(values: Iterable[str], ruled_hosts: Collection[str]) -> list[str]:
    """Return the entries of these `NO_PROXY` values, each once, that cannot cover a ruled host, then loopback.

    Loopback is added because a model server on this machine is nobody's business, least of all that of a proxy
    further on; it is left out as a whole as soon as a rule names any of it.
    """
    entries = [entry for value in values for entry in re.split(r"[,\s]+", value) if entry]
    loopback = [] if any(covers(name, host) for name in LOOPBACK for host in ruled_hosts) else LOOPBACK
    free = (entry for entry in entries if not any(covers(entry, host) for host in ruled_hosts))
    return list(dict.fromkeys([*free, *loopback]))


def covers(entry: str, host: str) -> bool:
    """Say whether some client could read a `NO_PROXY` entry as covering a host, or a name its pattern fits.

    Clients differ (a leading dot, a port, CIDR ranges, `*.`), so the widest reading of each counts.
    """
    name = _without_port(entry.lower()).lstrip("*").strip(".")
    host = host.lower().strip("[]").rstrip(".")
    if not name or name == host:
        return True
    if _network(name) and (address := _address(host)):
        return address in ipaddress.ip_network(name, strict=False)
    fixed_end = host.rpartition("*")[2]
    return host.endswith(f".{name}") or ("*" in host and _meets(name, fixed_end, host))


def _meets(name: str, fixed_end: str, pattern: str) -> bool:
    """A pattern and a suffix meet if either can end in the other; too many meetings only cost a detour."""
    ended = f".{name}"
    return ended.endswith(fixed_end) or fixed_end.endswith(ended) or TextGlob.parse(pattern).matches(name)


def _without_port(entry: str) -> str:
    bracketed = re.fullmatch(r"\[([^\]]*)\](?::\d+)?", entry)
    if bracketed:
        return bracketed[1]
    return entry.rpartition(":")[0] if re.fullmatch(r"[^:]*:\d+", entry) else entry


def _network(name: str) -> bool:
    try:
        ipaddress.ip_network(name, strict=False)
    except ValueError:
        return False
    return True


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
