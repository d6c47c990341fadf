"""Whether a request names one host throughout. Pure."""

from __future__ import annotations

from ledger_proxy.settings import Address
from ledger_rules.request import Request


def agrees(request: Request, sni: str | None) -> bool:
    """Host header, TLS server name and connection target name one host: else rules could be walked around."""
    names = [value for name, value in request.headers if name.lower() == "host"]
    if sni is not None and sni.lower() != request.host:
        return False
    return len(names) <= 1 and all(_host_agrees(name, (request.host, request.port), request.scheme) for name in names)


def _host_agrees(value: str, target: Address, scheme: str) -> bool:
    name, colon, port = value.lower().strip().rpartition(":") if not value.endswith("]") else (value, "", "")
    if not colon:
        name, port = value.lower().strip(), ""
    wanted = port or {"https": "443", "http": "80"}.get(scheme, "")
    return name.strip("[]") == target[0] and wanted == str(target[1])
