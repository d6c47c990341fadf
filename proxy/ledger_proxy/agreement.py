"""Whether a request names one host throughout, and a connection any. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ledger_proxy.settings import Address
from ledger_rules.request import Request
from ledger_rules.urls import normal_host

_METHOD = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+( |$)")
# RFC 4253 §4.2; a line that a server may read as a request is none.
_SSH = re.compile(rb"SSH-[12]\.(?![^\n]*HTTP/)[^\n]*\n")


def agrees(request: Request, sni: str | None, target: str = "") -> bool:
    """Host header, target, TLS server name and connection name one host: else rules could be walked around.

    target: the authority of one in absolute form, which an origin goes by whatever Host says (RFC 9112 §3.2.2). The
    final dot of a name is the root's, and no other host.
    """
    names = _hosts(request)
    if sni is not None and normal_host(sni) != normal_host(request.host):
        return False
    said = [*names, target] if target else names
    return len(names) <= 1 and all(names_host_of(request, name) for name in said)


def names_host_of(request: Request, value: str) -> bool:
    """Say whether a Host field's value is the host and port that a request goes to, in whatever spelling."""
    host, port = _parts(value)
    wanted = port or {"https": "443", "http": "80"}.get(request.scheme, "")
    return host == normal_host(request.host) and wanted == str(request.port)


def named(request: Request, target: str = "") -> Iterator[Address]:
    """The hosts that its Host fields and its target name, each with the port that is meant."""
    for value in (*_hosts(request), *filter(None, [target])):
        host, port = _parts(value)
        yield host, int(port) if port.isdecimal() and len(port) <= 5 else request.port


def _hosts(request: Request) -> list[str]:
    return [value for name, value in request.headers if name.lower() == "host"]


def _parts(value: str) -> tuple[str, str]:
    """Host, in normal form, and port of a Host field; no port where none is said."""
    text = value.strip()
    host, colon, port = text.rpartition(":")
    if not colon or text.endswith("]"):
        host, port = text, ""
    return normal_host(host), port


def may_name_a_host(data: bytes) -> bool:
    """Whether a connection that begins so may be TLS or HTTP; anything else names no host, and no rule can mean it.

    Servers skip empty lines before a request (RFC 9112 §2.2). SSH begins with a word that could be a method.
    """
    data = data.lstrip(b"\r\n")
    return not data or data[:1] == b"\x16" or (_METHOD.match(data) is not None and not _SSH.match(data))
