"""How traffic reaches the sidecar: the values of `--mode`. Parsing only; the engine makes a front of them."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from yarl import URL

from ledger_proxy.chaining import parse_proxy


class Kind(StrEnum):
    """What clients take the sidecar for."""

    REGULAR = "regular"
    SOCKS5 = "socks5"
    REVERSE = "reverse"
    UPSTREAM = "upstream"
    TRANSPARENT = "transparent"


@dataclass(frozen=True, slots=True)
class Mode:
    """A front. origin: whom a reverse one stands for, without path. chained: the proxy behind one, with credentials."""

    kind: Kind = Kind.REGULAR
    origin: URL | None = None
    chained: str | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `regular`, `socks5`, `transparent`, `reverse:URL` or `upstream:URL`.

        Raises ValueError, without credentials in it.
        """
        word, _, rest = text.partition(":")
        if text == "transparent":
            if sys.platform != "linux":
                raise ValueError("transparent needs Linux, whose nftables redirect connections")
            return cls(Kind.TRANSPARENT)
        if text in ("regular", "socks5"):
            return cls(Kind(text))
        if word == "reverse":
            return cls(Kind.REVERSE, origin=_origin(rest))
        if word == "upstream" and rest:
            parse_proxy(rest)
            return cls(Kind.UPSTREAM, chained=rest)
        raise ValueError(f"'{word}' is not regular, socks5, transparent, reverse:URL or upstream:URL")


REGULAR, TRANSPARENT = Mode(), Mode(Kind.TRANSPARENT)


def _origin(text: str) -> URL:
    try:
        url = URL(text)
    except ValueError:
        url = URL()
    if url.scheme not in ("http", "https") or not url.host or url.user or url.path_qs not in ("", "/"):
        raise ValueError("reverse: takes an origin such as reverse:https://api.example.com, without path or user")
    return url.origin()
