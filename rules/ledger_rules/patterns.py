"""URL patterns: scheme, host, port and path with `*`, `**` and `{name}`. No regular expressions from users."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Self

from ledger_rules.globs import ANY_DEPTH, TextGlob, segments_bound, segments_cover, segments_match
from ledger_rules.request import DEFAULT_PORTS, origin
from ledger_rules.urls import decoded, normal_host, readings, split_target

_FORM = re.compile(r"(?P<scheme>https?)://(?P<host>\[[^\]]*\]|[^/:]*)(?::(?P<port>[^/]*))?(?P<path>/.*)?")
MAX_SEGMENTS = 100
_STRAY = re.compile(r"[\s{}\\<>^|`\"]")
_NAMED = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]{0,49})\}")
_ROUTE = re.compile(r":[A-Za-z_]\w*", re.A)
"""What web frameworks call a segment that is named; here it would be a text that no path has."""


class Place(NamedTuple):
    """Where a request goes, read once for all the patterns it is held against."""

    scheme: str
    host: str
    port: int
    paths: tuple[tuple[str, ...], ...]

    @classmethod
    def of(cls, scheme: str, host: str, port: int, target: str) -> Self:
        """Return where a URL leads; target: as in a request, its query does not matter."""
        return cls(scheme, normal_host(host), port, readings(split_target(target)[0]))


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
        host = _address(text) if "[" in text or "]" in text else normal_host(text)
        if not host or ".." in host or _STRAY.search(host) or any(c in host for c in "@?#%,/"):
            raise ValueError("expected a host name, such as api.example.com")
        return cls(host, tuple(TextGlob.parse(label) for label in host.split(".")))

    @property
    def literal(self) -> bool:
        """True without any `*`."""
        return "*" not in self.text

    def matches(self, host: str) -> bool:
        """Say whether a normalised host fits."""
        if host == self.text or self.literal:
            return host == self.text
        labels = host.split(".")
        return len(labels) == len(self.labels) and all(
            glob.matches(label) for glob, label in zip(self.labels, labels, strict=True)
        )

    def covers(self, other: HostPattern) -> bool:
        """Say whether this certainly fits every host that the other fits."""
        return len(self.labels) == len(other.labels) and all(
            mine.covers(theirs) for mine, theirs in zip(self.labels, other.labels, strict=True)
        )

    @property
    def ending(self) -> str:
        """What every host that fits ends with: its last labels, up to the last that is no literal; may be empty."""
        literal: list[str] = []
        for label in reversed(self.labels):
            if not label.literal:
                break
            literal.insert(0, str(label))
        return ".".join(literal)


@dataclass(frozen=True, slots=True)
class UrlPattern:
    """A pattern about scheme, host, port and path; the query is no part of it.

    In the path `*` stays inside one segment and `**`, a whole segment, stands for any number of them. `{name}` is a
    whole segment that can be referred to.

    names: for each of them its place in `path`.
    """

    scheme: str
    host: HostPattern
    port: int
    path: tuple[TextGlob | None, ...]
    names: Mapping[str, int] = field(default_factory=dict, compare=False, hash=False)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Compile a pattern; raises ValueError that says what was expected."""
        if "?" in text or "#" in text:
            raise ValueError("expected no '?' or '#': the pattern ignores the query, use match.query")
        form = _FORM.fullmatch(text)
        if form is None or "@" in form["host"]:
            example = "https://api.example.com/orders/**"
            raise ValueError(f"expected http:// or https://, a host and a path, such as {example}")
        path, names = _named(form["path"] or "/")
        if stray := _STRAY.search(text.removesuffix(form["path"] or "") + path):
            wildcards = "'*' (within a segment), '**' (across) and '{name}' (a whole segment)"
            raise ValueError(f"expected no {stray[0]!r}: the wildcards are {wildcards}")
        return cls(form["scheme"], HostPattern.parse(form["host"]), _port(form), _segments(path), names)

    @property
    def origin(self) -> str:
        """Scheme, host and port as text."""
        return origin(self.scheme, self.host.text, self.port)

    def __str__(self) -> str:
        names = {index: f"{{{name}}}" for name, index in self.names.items()}
        segments = (names.get(index) or ("**" if one is None else str(one)) for index, one in enumerate(self.path))
        return f"{self.origin}/{'/'.join(segments)}"

    def matches(self, place: Place) -> bool:
        """Say whether a request that goes there is meant."""
        return self.at(place) and any(segments_match(self.path, path) for path in place.paths)

    def at(self, place: Place) -> bool:
        """Say whether scheme, host and port fit."""
        if place.port != self.port or place.scheme != self.scheme:
            return False
        return place.host == self.host.text or self.host.matches(place.host)

    def covers(self, other: UrlPattern) -> bool:
        """Say whether this certainly means every request that the other means."""
        return (
            self.port == other.port
            and self.scheme == other.scheme
            and self.host.covers(other.host)
            and segments_cover(self.path, other.path)
        )

    def named(self, place: Place, name: str) -> str | None:
        """Return the path's segment that `{name}` stands for; None where it is not named here, or nothing fits."""
        found = self._bound(place) if name in self.names else None
        return found[0][found[1][self.names[name]]] if found else None

    def without(self, place: Place, names: Iterable[str]) -> tuple[str | None, ...] | None:
        """Return the path's segments, None for those that these names stand for; None where nothing fits."""
        found = self._bound(place)
        if found is None:
            return None
        path, bound = found
        gone = {bound[self.names[name]] for name in names}
        return tuple(None if index in gone else segment for index, segment in enumerate(path))

    def _bound(self, place: Place) -> tuple[tuple[str, ...], Sequence[int]] | None:
        """Return the first reading of a path that fits, and which of its segments each of the pattern's took."""
        for path in place.paths if self.matches(place) else ():
            if (bound := segments_bound(self.path, path)) is not None:
                return path, bound
        return None


def _port(form: re.Match[str]) -> int:
    text = form["port"]
    if text is None:
        return DEFAULT_PORTS[form["scheme"]]
    if not (text.isascii() and text.isdigit() and 0 < int(text[:6]) < 65536):
        raise ValueError("expected a port from 1 to 65535 after the host's ':'")
    return int(text)


def _address(text: str) -> str:
    """Return what stands in brackets: an IPv6 address (RFC 3986 section 3.2.2); empty for anything else."""
    try:
        return str(ipaddress.IPv6Address(text[1:-1])) if text.startswith("[") and text.endswith("]") else ""
    except ValueError:
        return ""


def _named(path: str) -> tuple[str, dict[str, int]]:
    """Return the path with `*` for every `{name}`, and the place of each name among its segments."""
    segments = [segment for segment in path.split("/") if segment not in ("", ".")]
    found = {segment: _NAMED.fullmatch(segment) for segment in segments}
    names = [(form[1], index) for index, segment in enumerate(segments) if (form := found[segment])]
    if len(dict(names)) != len(names):
        raise ValueError("expected every '{name}' once")
    return "/" + "/".join("*" if found[segment] else segment for segment in segments), dict(names)


def _segments(path: str) -> tuple[TextGlob | None, ...]:
    segments = [segment for segment in path.split("/") if segment not in ("", ".")]
    if ".." in segments:
        raise ValueError("expected a path without '..'")
    if len(segments) > MAX_SEGMENTS:
        raise ValueError(f"expected no more than {MAX_SEGMENTS} segments")
    if colon := next((segment for segment in segments if _ROUTE.fullmatch(segment)), None):
        name = colon[1:]
        raise ValueError(
            f"expected '{{{name}}}' for a whole segment in place of '{colon}' (%3A{name} is that text itself)"
        )
    if any("**" in segment and segment != "**" for segment in segments):
        raise ValueError("expected '**' to be a whole path segment, such as /orders/**")
    return tuple(ANY_DEPTH if segment == "**" else _segment(segment) for segment in segments)


def _segment(text: str) -> TextGlob:
    return TextGlob(tuple(decoded(piece) for piece in text.split("*")))
