"""URL patterns: scheme, host, port and path with `*` and `**`. Compiled once; no regular expressions from users."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

from ledger_rules.globs import ANY_DEPTH, TextGlob, segments_match
from ledger_rules.request import DEFAULT_PORTS, origin
from ledger_rules.urls import decoded, normal_host

_FORM = re.compile(r"(?P<scheme>https?)://(?P<host>\[[^\]]*\]|[^/:]*)(?::(?P<port>[^/]*))?(?P<path>/.*)?")
_STRAY = re.compile(r"[\s{}\\<>^|`\"]")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a request goes, read once for all the patterns it is held against."""

    scheme: str
    host: str
    port: int
    paths: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class HostPattern:
    """A host name; `*` stands for (part of) one label."""

    text: str
    labels: tuple[TextGlob, ...]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Compile a host; raises ValueError that says what was expected."""
        if "**" in text or text == "*":
            raise ValueError("expected a host name, in which '*' stands for one label, such as *.example.com")
        host = normal_host(text)
        if not host or ".." in host or _STRAY.search(host) or any(c in host for c in "@?#%,/"):
            raise ValueError("expected a host name, such as api.example.com")
        return cls(host, tuple(TextGlob.parse(label) for label in host.split(".")))

    @property
    def literal(self) -> bool:
        """True without any `*`."""
        return "*" not in self.text

    def matches(self, host: str) -> bool:
        """Say whether a normalised host fits."""
        if self.literal:
            return host == self.text
        labels = host.split(".")
        return len(labels) == len(self.labels) and all(
            glob.matches(label) for glob, label in zip(self.labels, labels, strict=True)
        )


@dataclass(frozen=True, slots=True)
class UrlPattern:
    """A pattern about scheme, host, port and path; the query is no part of it.

    In the path `*` stays inside one segment and `**`, a whole segment, stands for any number of them.
    """

    scheme: str
    host: HostPattern
    port: int
    path: tuple[TextGlob | None, ...]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Compile a pattern; raises ValueError that says what was expected."""
        if "?" in text or "#" in text:
            raise ValueError("expected no '?' or '#': the pattern ignores the query, use match.query")
        form = _FORM.fullmatch(text)
        if form is None or "@" in form["host"]:
            example = "https://api.example.com/orders/**"
            raise ValueError(f"expected http:// or https://, a host and a path, such as {example}")
        if stray := _STRAY.search(text):
            raise ValueError(f"expected no {stray[0]!r}: the wildcards are '*' (within a segment) and '**' (across)")
        return cls(form["scheme"], HostPattern.parse(form["host"]), _port(form), _segments(form["path"] or "/"))

    @property
    def origin(self) -> str:
        """Scheme, host and port as text."""
        return origin(self.scheme, self.host.text, self.port)

    def matches(self, place: Place) -> bool:
        """Say whether a request that goes there is meant."""
        return (
            place.port == self.port
            and place.scheme == self.scheme
            and self.host.matches(place.host)
            and any(segments_match(self.path, path) for path in place.paths)
        )


def _port(form: re.Match[str]) -> int:
    text = form["port"]
    if text is None:
        return DEFAULT_PORTS[form["scheme"]]
    if not (text.isascii() and text.isdigit() and 0 < int(text[:6]) < 65536):
        raise ValueError("expected a port from 1 to 65535 after the host's ':'")
    return int(text)


def _segments(path: str) -> tuple[TextGlob | None, ...]:
    segments = [segment for segment in path.split("/") if segment not in ("", ".")]
    if ".." in segments:
        raise ValueError("expected a path without '..'")
    if any("**" in segment and segment != "**" for segment in segments):
        raise ValueError("expected '**' to be a whole path segment, such as /orders/**")
    return tuple(ANY_DEPTH if segment == "**" else _segment(segment) for segment in segments)


def _segment(text: str) -> TextGlob:
    return TextGlob(tuple(decoded(piece) for piece in text.split("*")))
