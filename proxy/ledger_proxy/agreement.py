"""Whether a request names one host throughout, and a connection any. Pure."""

from __future__ import annotations

import re

from ledger_proxy.settings import Address
from ledger_rules.request import Request

_METHOD = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+( |$)")


def agrees(request: Request, sni: str | None) -> bool:
    """Host header, TLS server name and connection target name one host: else rules could be walked around.

    The final dot of a name is the root's, and no other host.
    """
    names = [value for name, value in request.headers if name.lower() == "host"]
    host = request.host.rstrip(".")
    if sni is not None and sni.lower().rstrip(".") != host:
        return False
    return len(names) <= 1 and all(_host_agrees(name, (host, request.port), request.scheme) for name in names)


def _host_agrees(value: str, target: Address, scheme: str) -> bool:
    name, colon, port = value.lower().strip().rpartition(":") if not value.endswith("]") else (value, "", "")
    if not colon:
        name, port = value.lower().strip(), ""
    wanted = port or {"https": "443", "http": "80"}.get(scheme, "")
    return name.strip("[]").rstrip(".") == target[0] and wanted == str(target[1])


def may_name_a_host(data: bytes) -> bool:
    """Whether a connection that begins so may be TLS or HTTP; anything else names no host, and no rule can mean it."""
    return not data or data[:1] == b"\x16" or _METHOD.match(data) is not None
