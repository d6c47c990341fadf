"""Requests as people write them down: a method, a URL, headers, a body. Sends nothing."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote, urlsplit

from ledger_rules.request import DEFAULT_PORTS, Request

_EXPECTED = "expected a URL such as https://api.example.com/orders"
_AS_IT_IS = "%/:?#[]@!$&'()*+,;=-._~"
"""What a URL is made of, escapes included; anything else has to be escaped."""


def compose(method: str, url: str, headers: Sequence[tuple[str, str]] = (), body: bytes = b"") -> Request:
    """Return the request that goes to a URL; raises ValueError that says what was expected."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError(_EXPECTED) from None
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname:
        raise ValueError(_EXPECTED)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    escaped = quote(target, safe=_AS_IT_IS)
    return Request(
        method.upper(), parts.scheme, parts.hostname, port or DEFAULT_PORTS[parts.scheme], escaped, tuple(headers), body
    )
