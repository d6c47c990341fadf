"""`--resolve HOST:PORT:ADDR:PORT`: where a host is really reached. No name is looked up here."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from ledger_rules.request import place
from ledger_rules.urls import normal_host

type Endpoint = tuple[str, int]
"""A host or address, in normal form (see `ledger_rules.urls`), and a TCP port."""

_NAME = r"\[[0-9A-Fa-f:.]+(?:%[\w.-]+)?\]|[^\s:\[\]/@?#]+"
_ENTRY = re.compile(rf"(?P<host>{_NAME}):(?P<port>\d+):(?P<address>{_NAME}):(?P<to>\d+)", re.ASCII)


def parse_resolve(text: str) -> tuple[Endpoint, Endpoint]:
    """Parse one `HOST:PORT:ADDR:PORT`, IPv6 in brackets, into (named, reached). Raises ValueError in one line."""
    match = _ENTRY.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"--resolve {text!r}: write HOST:PORT:ADDR:PORT, with IPv6 addresses in brackets")
    named = _endpoint(text, match["host"], match["port"])
    return named, _endpoint(text, match["address"], match["to"])


def parse_resolves(texts: Iterable[str]) -> dict[Endpoint, Endpoint]:
    """Parse several `--resolve` values into one mapping. Raises ValueError for a bad entry or a contradiction."""
    mapping: dict[Endpoint, Endpoint] = {}
    for text in texts:
        named, reached = parse_resolve(text)
        if mapping.setdefault(named, reached) != reached:
            raise ValueError(f"--resolve {text!r}: {place(*named)} is already sent somewhere else; keep one")
    return mapping


def led(resolve: Mapping[Endpoint, Endpoint], host: str, port: int) -> Endpoint | None:
    """Where a host is really reached, however it is spelled; None where nobody said so."""
    return resolve.get((normal_host(host), port))


def _endpoint(text: str, host: str, port: str) -> Endpoint:
    number = int(port) if len(port) <= 5 else 0
    if not 1 <= number <= 65535:
        raise ValueError(f"--resolve {text!r}: {port} is not a port; use 1 to 65535")
    return normal_host(host), number
