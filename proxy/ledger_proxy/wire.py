"""The head of a request as bytes, and nothing in it that we did not check. No I/O, no aiohttp."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from ledger_proxy import rings
from ledger_proxy.agreement import names_host_of
from ledger_proxy.headers import end_to_end, to_bytes
from ledger_rules.request import Request

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
# RFC 9110 §5.5 and RFC 9112 §3: a control character here is a second header or a second request.
_BAD_IN_VALUE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_BAD_IN_TARGET = re.compile(r"[\x00-\x20\x7f]")
# RFC 9110 §8.6: these say how long their content is even when there is none.
_LENGTH_EXPECTED = frozenset({"POST", "PUT", "PATCH"})


def request_head(
    request: Request,
    headers: Sequence[tuple[str, str]],
    *,
    authority: str,
    prefix: str = "",
    proxy_authorization: str | None = None,
    length: int | None = None,
) -> bytes:
    """Serialise request line and fields, the target (UTF-8 with surrogateescape) byte for byte.

    authority: `host[:port]` as Host says it. prefix: `http://authority` where a plain proxy wants the absolute form.
    length: of a body that is not in the request.
    Raises ValueError (one line, no values in it) for what cannot be sent as it is.
    """
    fields = _with_framing(request, end_to_end(headers), authority, len(request.body) if length is None else length)
    lines = [_line(name, value) for name, value in fields]
    if prefix:
        lines.append(f"{rings.FIELD}: {rings.passed(None)}")
    if proxy_authorization is not None:
        lines.append(f"Proxy-Authorization: {proxy_authorization}")
    try:
        # A target is text the way mitmproxy decodes it, a field the way headers.py does.
        start = _request_line(request, prefix).encode("utf-8", "surrogateescape")
        return start + to_bytes("\r\n".join(lines) + "\r\n\r\n")
    except UnicodeEncodeError:
        raise ValueError("the request holds a character that no byte stands for") from None


def _request_line(request: Request, prefix: str) -> str:
    target = request.target
    if not _TOKEN.fullmatch(request.method):
        raise ValueError("the method is not an HTTP token")
    # Anything else behind the prefix could name another host (`http://host` + `@other/`).
    if not (target.startswith("/") or target == "*") or _BAD_IN_TARGET.search(target):
        raise ValueError("the request target is not a path that can be sent as it is")
    if prefix and target == "*":
        target = ""
    return f"{request.method} {prefix}{target} HTTP/1.1\r\n"


def _with_framing(
    request: Request, fields: Sequence[tuple[str, str]], authority: str, length: int
) -> Iterator[tuple[str, str]]:
    """Yield the fields with exactly one Host and at most one Content-Length, each where the agent had it."""
    missing = {"host", "content-length"}
    if not any(name.lower() == "host" for name, _ in fields):
        yield "Host", authority
    for name, value in fields:
        key = name.lower()
        if key not in ("host", "content-length"):
            yield name, value
        elif key in missing:
            missing.remove(key)
            yield name, str(length) if key == "content-length" else _host(value, request, authority)
    if "content-length" in missing and (length or request.method in _LENGTH_EXPECTED):
        yield "Content-Length", str(length)


def _host(sent: str, request: Request, authority: str) -> str:
    """Keep the agent's spelling of Host (it may be signed) where it names this host, else put it right."""
    return sent if names_host_of(request, sent) else authority


def _line(name: str, value: str) -> str:
    if not _TOKEN.fullmatch(name):
        raise ValueError("a header name is not an HTTP token")
    if _BAD_IN_VALUE.search(value):
        raise ValueError(f"the header {name} holds a control character")
    return f"{name}: {value}"
