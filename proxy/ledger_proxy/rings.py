"""Who a request came through, told to a proxy behind ours: so a ring of proxies is left where a process meets what it
sent before, which is at the first turn unless there are several workers. No I/O.

RFC 9110 §7.6.3: Via. Where no proxy is behind this sidecar nothing is added: no ring leads through it.
"""

from __future__ import annotations

import secrets

FIELD = "Via"
_OURS = f"1.1 ledger-{secrets.token_hex(8)}"


def passed(via: str | None) -> str:
    """The value to send on, for the one that came."""
    return f"{via}, {_OURS}" if via else _OURS


def came_by_us(via: str | None) -> bool:
    """Whether a request has been here before."""
    return _OURS in (via or "")
