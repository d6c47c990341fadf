"""The plain request, read from its bytes in one strict pass, and an answer's bytes. Pure: no engine, no I/O.

Plain is what nearly every API call is: HTTP/1.1 in origin form, a length or no body, nothing that changes the
connection. Whatever else comes is no error: it is for the front's own reader to take, or to refuse.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ledger_proxy.answers import Response
from ledger_proxy.headers import end_to_end, to_text

# RFC 9112 §3 and §5, less what it only tolerates: bare LF, folded lines, control characters, space before a colon.
_HEAD = re.compile(
    rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+) (/[\x21-\x7e\x80-\xff]*) HTTP/1\.1\r\n"
    rb"((?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t\x20-\x7e\x80-\xff]*\r\n)+)\r\n"
)
# RFC 9112 §3.2 and RFC 9110 §7.2: nothing, an address, or a name as DNS has them; who reads the rest of what
# RFC 3986 §3.2.2 lets a name hold (`%2e`, a comma) does not agree about it.
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+(%[\w.~-]+)?\]|([\w-]+(\.[\w-]+)*\.?)?)(:[0-9]*)?", re.ASCII)
# A length that others may read in another base, or not at all, is not plain: zero-padded, signed, in other digits.
_LENGTH = re.compile(r"0|[1-9][0-9]{0,18}")
_NOT_PLAIN = frozenset({"transfer-encoding", "expect", "upgrade", "trailer"})
_ONCE = frozenset({"host", "content-length", "connection"})
_NO_BODY = frozenset({204, 304})


@dataclass(frozen=True, slots=True)
class Head:
    """size: bytes of its body. last: the client wants the connection closed behind the answer. Text as elsewhere."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    size: int
    last: bool


def read_head(head: bytes, largest: int) -> Head | None:
    """The head of a plain request, blank line included, with a body of `largest` bytes at most; None for any other."""
    whole = _HEAD.fullmatch(head)
    if whole is None or whole[1] in (b"CONNECT", b"HEAD"):
        return None
    headers = []
    seen: dict[str, str] = {}
    for line in to_text(whole[3]).split("\r\n")[:-1]:
        name, _, value = line.partition(":")
        key, value = name.lower(), value.strip(" \t")
        if key in _NOT_PLAIN or (key in _ONCE and key in seen):
            return None
        seen[key] = value
        headers.append((name, value))
    size, wanted = _size(seen, largest), seen.get("connection", "keep-alive").lower()
    if not is_host(seen.get("host", "?")) or size is None or wanted not in ("keep-alive", "close"):
        return None
    target = whole[2].decode("utf-8", "surrogateescape")
    return Head(to_text(whole[1]).upper(), target, tuple(headers), size, wanted == "close")


def is_host(value: str) -> bool:
    """Say whether a Host field may have this value."""
    return _HOST.fullmatch(value) is not None


def _size(seen: dict[str, str], largest: int) -> int | None:
    told = seen.get("content-length", "0")
    return int(told) if _LENGTH.fullmatch(told) and int(told) <= largest else None


def write(response: Response, last: bool) -> bytes:
    """An answer as it goes to the client. last: say that the connection ends with it."""
    status, reason = response.status, response.reason
    lines = [b"HTTP/1.1 %d %s" % (status, reason)]
    lines += [b"%s: %s" % field for field in end_to_end(response.headers)]
    if last:
        lines.append(b"Connection: close")
    return b"\r\n".join((*lines, b"", b"" if status in _NO_BODY else response.body))
