"""Who a request came through, told to a proxy behind ours: so a ring of proxies is left at the first turn. No I/O.

RFC 9110 §7.6.3: Via. Where no proxy is behind this sidecar nothing is added: no ring leads through it. The workers of
one parent go by its name: a request may come back to any of them.
"""

from __future__ import annotations

import secrets

FIELD = "Via"
_own = {"name": f"ledger-{secrets.token_hex(8)}"}


def name() -> str:
    """What this process goes by."""
    return _own["name"]


def go_by(name: str) -> None:
    """Take another's name, before the first request."""
    _own["name"] = name


def passed(via: str | None) -> str:
    """The value to send on, for the one that came."""
    return f"{via}, 1.1 {name()}" if via else f"1.1 {name()}"


def came_by_us(via: str | None) -> bool:
    """Whether a request has been here before."""
    return f"1.1 {name()}" in (via or "")
