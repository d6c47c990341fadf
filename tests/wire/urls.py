"""URLs that mean a ruled endpoint to some server, and look as if they did not. Shares no code with Ledger."""

from __future__ import annotations

import itertools
import posixpath
import random
from urllib.parse import unquote_to_bytes

RULED = ("v1", "charges")
"""The segments of the endpoint; one more behind them is its number."""
_SEPARATORS = ("/",) * 12 + (
    "//",
    "/./",
    "/%2e/",
    "/x/../",
    "/x/%2E%2e/",
    "/x/.%2e/",
    "%2F",
    "%2f",
    "\\",
    "%5c",
    "/%2F",
    ";v=1/",
    "/x/..;/",
)
_BEFORE = ("",) * 12 + ("/..", "/%2e%2e", "//..", "/x/..", "/x//../..", "/.", "/%2F..", "/ü/..", "/%zz/..")
_BEHIND = ("",) * 12 + (
    "/",
    "//",
    "/.",
    "/x/..",
    "?",
    "?a=/../..",
    "#x",
    "?a#b",
    "#/..",
    "%23",
    "%3F",
    ";a=b",
    "%00",
    "%2e",
)
_OTHER = ("charge", "refunds", "chargess", "CHARGES", "%43harges", "charges%20", "%2563harges", "v1")
_HOSTS = ("api.test",) * 6 + ("API.test", "Api.Test", "api.test.")


def host(chance: random.Random) -> str:
    """A spelling of the host."""
    return chance.choice(_HOSTS)


def target(chance: random.Random, number: int) -> str:
    """A request target: mostly the endpoint, spelled somehow, sometimes one that is near it."""
    words = [*RULED, str(number)]
    if chance.random() < 0.2:
        words[chance.randrange(2)] = chance.choice(_OTHER)
    elif chance.random() < 0.1:
        words.insert(chance.randrange(3), "more")
    told = "".join(chance.choice(_SEPARATORS) + _spelled(chance, word) for word in words).removeprefix("/")
    start = chance.choice(_BEFORE)
    return f"{start}/{told}{chance.choice(_BEHIND)}"


def readings(path: str) -> set[tuple[bytes, ...]]:
    """What servers take a target's path for: they unescape, and separate at what they think separates.

    Empty segments go before or after dot segments are resolved (RFC 3986 section 5.2.4); a fragment has no place in it.
    Some take `;` and what follows in a segment for parameters of it (section 3.3), and go by the rest.
    """
    path = path.partition("?")[0].partition("#")[0]
    found = set()
    for separated, merged, dropped in itertools.product((False, True), repeat=3):
        form = path.replace("\\", "/") if separated else path
        for escape in ("%2F", "%2f", "%5C", "%5c") if separated else ():
            form = form.replace(escape, "/")
        if dropped:
            form = "/".join(segment.partition(";")[0] for segment in form.split("/"))
        segments = [unquote_to_bytes(segment) for segment in form.split("/")[1:]]
        if merged:
            # What a separator in a segment would be taken for is not asked here: it stands for itself.
            kept = [segment.replace(b"/", b"\0slash") for segment in segments]
            clean = posixpath.normpath(b"/" + b"/".join(filter(None, kept)))
            whole = [segment.replace(b"\0slash", b"/") for segment in clean.split(b"/")]
        else:
            whole = _resolved(segments)
        found.add(tuple(filter(None, whole)))
    return found


def ruled(path: str) -> bool:
    """Whether some server takes it for the endpoint."""
    endpoint = tuple(word.encode() for word in RULED)
    return any(len(one) == len(RULED) + 1 and one[: len(RULED)] == endpoint for one in readings(path))


def _spelled(chance: random.Random, word: str) -> str:
    if chance.random() < 0.6:
        return word
    return "".join(chance.choice((f"%{ord(c):02x}", f"%{ord(c):02X}", c, c)) for c in word)


def _resolved(segments: list[bytes]) -> list[bytes]:
    done: list[bytes] = []
    for segment in segments:
        if segment == b"..":
            done = done[:-1]
        elif segment != b".":
            done = [*done, segment]
    return done
