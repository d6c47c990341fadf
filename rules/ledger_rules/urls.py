"""What a request's URL says: one spelling for identity, several readings for matching, one mask for storing.

Identity never merges what two servers could tell apart; matching reads a path every way a server could,
so that no spelling of a ruled endpoint slips past its rule.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Container, Iterable
from functools import lru_cache, wraps
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from ledger_rules.canonical import Part, part, several
from ledger_rules.request import Request, origin

type Pair = tuple[str, str | None]
"""One `name=value`; the value is None where there was no `=`."""

_ESCAPE = re.compile(rb"%([0-9A-Fa-f]{2})")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_NOT_IN_PATH = re.compile(rb"[^A-Za-z0-9\-._~!$&'()*+,;=:@/%]")
_PLAIN_PATH = re.compile(r"/[A-Za-z0-9\-._~!$&'()*+,;=:@/]*")
_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_ABSOLUTE = re.compile(r"\A[A-Za-z][A-Za-z0-9+.\-]*://[^/?#]*")
_PARAMETERS = re.compile(r";[^/]*")
_SLASHES = re.compile(r"%2[fF]|%5[cC]|\\")
MASK = "***"
_NO_PAIRS = part(())
REMEMBERED = 64
LONGEST_REMEMBERED = 512
"""Of how many URLs it is remembered where they lead, and how long the path of one may be."""


@lru_cache(maxsize=1024)
def normal_host(host: str) -> str:
    """Return a host in lower case without brackets or the root's final dot; international names as punycode."""
    name = host.strip("[]").rstrip(".").lower()
    if name.isascii():
        return _one_spelling(name) if ":" in name else name
    try:
        return name.encode("idna").decode("ascii")
    except UnicodeError:
        return name


def _one_spelling(address: str) -> str:
    """IPv6 addresses have several (RFC 5952)."""
    try:
        return str(ipaddress.IPv6Address(address))
    except ValueError:
        return address


def split_target(target: str) -> tuple[str, str]:
    """Return path and query of a raw request target (absolute-form is read as its path and query)."""
    if not target.startswith("/"):
        target = _ABSOLUTE.sub("", target)
    path, _, query = target.partition("?")
    return path, query


def form_pairs(text: str) -> tuple[Pair, ...] | None:
    """Return the pairs of a form or a query in order, decoded; None where an escape is malformed.

    Undecodable bytes are kept (surrogateescape), so that no two texts with other bytes become equal.
    """
    escaped = "%" in text or "+" in text
    if escaped and _BAD_ESCAPE.search(text):
        return None
    pairs: list[Pair] = []
    for piece in text.split("&"):
        if piece:
            name, equals, value = map(_plain, piece.partition("=")) if escaped else piece.partition("=")
            pairs.append((name, value if equals else None))
    return tuple(pairs)


def sorted_pairs[Value](pairs: Iterable[tuple[str, Value]]) -> tuple[tuple[str, Value], ...]:
    """Return pairs sorted by name, order kept inside one name.

    `items[][price]`, `items[][quantity]` and `items[0]` count as one name: which element each belongs to is told by
    their order alone (Rack, PHP and Stripe read them so).
    """
    given = tuple(pairs)
    if len(given) < 2:
        return given
    lists = {name.partition("[]")[0] for name, _ in given if "[]" in name}
    return tuple(sorted(given, key=lambda pair: _listed(pair[0], lists) if lists else pair[0]))


def _listed(name: str, lists: Container[str]) -> str:
    """Return the list that a name is about a part of, or the name."""
    at = name.find("[")
    while at >= 0:
        if name[:at] in lists:
            return name[:at]
        at = name.find("[", at + 1)
    return name


def normal_path(path: str) -> str:
    """Return a path with unreserved characters unescaped, other escapes in upper case, dot segments resolved."""
    if _PLAIN_PATH.fullmatch(path) and "/." not in path:
        return path
    raw = path.encode("utf-8", "surrogateescape")
    text = _NOT_IN_PATH.sub(_escape, _ESCAPE.sub(_unescape_unreserved, raw)).decode("ascii")
    return "/" + "/".join(_without_dots(text.removeprefix("/").split("/")))


def readings(path: str) -> tuple[tuple[str, ...], ...]:
    """Return every list of decoded segments that a server could read in this path, usually one.

    Empty segments and a trailing slash do not count, an escaped slash or a backslash may separate, dot
    segments may be resolved before or after empty ones are dropped, parameters of a segment (`;v=1`) may be part of it
    or not (RFC 3986 section 3.3; Servlet containers leave them out).
    """
    if _PLAIN_PATH.fullmatch(path) and "/." not in path and ";" not in path:
        return (tuple(filter(None, path.split("/"))),)
    path = path.partition("#")[0]
    separated = _SLASHES.sub("/", path)
    forms = dict.fromkeys((path, separated, *(_PARAMETERS.sub("", form) for form in (path, separated))))
    found: dict[tuple[str, ...], None] = {}
    for form in forms:
        segments = [decoded(segment) for segment in form.split("/")[1:]]
        found[tuple(filter(None, _without_dots(segments)))] = None
        found[tuple(_without_dots([segment for segment in segments if segment]))] = None
    return tuple(found)


def of_path[Found](read: Callable[[str, str, int, str], Found]) -> Callable[[Request], Found]:
    """Turn what reads scheme, host, port and path into what reads them of a request, and remembers its latest.

    Clients ask for few paths, again and again. Long ones are read anew each time: what is remembered stays small. Of
    queries, which mostly differ and may hold what is not to be kept anywhere, nothing is, nor of absolute-form targets.
    """
    known = lru_cache(maxsize=REMEMBERED)(read)

    @wraps(read)
    def reading(request: Request) -> Found:
        path = request.target.partition("?")[0]
        way = known if path.startswith("/") and len(path) <= LONGEST_REMEMBERED else read
        return way(request.scheme, request.host, request.port, path)

    return reading


class _Address(NamedTuple):
    """A URL up to its query. said: what of it enters an identity, encoded; stored: as it is stored."""

    said: tuple[Part, ...]
    stored: str


@of_path
def _address(scheme: str, host: str, port: int, path: str) -> _Address:
    said = scheme, normal_host(host), port, normal_path(split_target(path)[0])
    return _Address(tuple(map(part, said)), origin(scheme, normal_host(host), port) + path)


def identity(request: Request, ignore: frozenset[str] = frozenset()) -> tuple[object, ...]:
    """Return what identifies the URL, without the query parameters in `ignore`; any equal spelling gives the same."""
    path, query = split_target(request.target)
    return (request.scheme, normal_host(request.host), request.port, normal_path(path), _query(query, ignore))


def whole(request: Request) -> Part:
    """Return the `identity` of the URL, all of it, encoded."""
    query = request.target.partition("?")[2]
    return several(*_address(request).said, part(_query(query)) if query else _NO_PAIRS)


def _query(query: str, ignore: frozenset[str] = frozenset()) -> str | tuple[Pair, ...]:
    """Return what a query says; itself where it is malformed."""
    pairs = form_pairs(query)
    if pairs and ignore:
        pairs = tuple(pair for pair in pairs if pair[0] not in ignore)
    return query if pairs is None else sorted_pairs(pairs)


def masked(request: Request, names: frozenset[str]) -> str:
    """Return the URL for storing, the values of the query parameters in `names` (lower case) masked."""
    text = _address(request).stored
    _, mark, query = request.target.partition("?")
    if mark:
        text += mark + "&".join([_masked_piece(piece, names) for piece in query.split("&")])
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode("utf-8")


def _masked_piece(piece: str, names: frozenset[str]) -> str:
    name, equals, _ = piece.partition("=")
    return f"{name}={MASK}" if equals and _plain(name).lower() in names else piece


def _plain(text: str) -> str:
    return decoded(text.replace("+", " "))


def decoded(text: str) -> str:
    """Return a text with its escapes decoded once; undecodable bytes are kept as surrogates."""
    if "%" not in text:
        return text
    return unquote_to_bytes(text.encode("utf-8", "surrogateescape")).decode("utf-8", "surrogateescape")


def _unescape_unreserved(escape: re.Match[bytes]) -> bytes:
    byte = int(escape[1], 16)
    return bytes((byte,)) if byte in _UNRESERVED else escape[0].upper()


def _escape(character: re.Match[bytes]) -> bytes:
    return b"%%%02X" % character[0][0]


def _without_dots(segments: list[str]) -> list[str]:
    """RFC 3986 section 5.2.4, on segments."""
    kept: list[str] = []
    for segment in segments:
        if segment == "..":
            del kept[-1:]
        elif segment != ".":
            kept.append(segment)
    if segments and segments[-1] in (".", ".."):
        kept.append("")
    return kept
