"""Finding the few rules that can mean a request among thousands: by how its host ends, then segment by segment.

Whether a URL fits is asked here, and nothing else about a request. Up to its first `**` a pattern lives in a tree of
segments; one that goes on behind it is compared as a whole at the end, so the tree may offer too much of these and
never too little.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from ledger_rules.globs import TextGlob
from ledger_rules.patterns import HostPattern, Place, UrlPattern
from ledger_rules.urls import normal_host, of_path

type Entry = tuple[int, UrlPattern, bool]
"""Where a rule stands in the list, one of its URLs, and whether the tree tells all of its path."""
type Segment = str | TextGlob | None
"""One of a path, or one of a pattern."""


@dataclass(slots=True)
class _Node:
    """Where some first segments lead. here: patterns that end here; deep: patterns that go on with `**`."""

    literal: dict[str, _Node] = field(default_factory=dict)
    globs: dict[TextGlob, _Node] = field(default_factory=dict)
    here: list[Entry] = field(default_factory=list)
    deep: list[Entry] = field(default_factory=list)

    def add(self, number: int, url: UrlPattern) -> None:
        """Enter one URL of a rule below this node, the root."""
        node = self
        for index, segment in enumerate(url.path, 1):
            if segment is None:
                node.deep.append((number, url, index == len(url.path)))
                return
            if segment.literal:
                node = node.literal.setdefault(str(segment), _Node())
            else:
                node = node.globs.setdefault(segment, _Node())
        node.here.append((number, url, True))

    def collect(self, found: list[Entry], path: Sequence[Segment], at: int = 0) -> None:
        """Add what can fit a path, or cover a pattern, from its segment `at` on."""
        found += self.deep
        if at == len(path):
            found += self.here
            return
        segment = path[at]
        if segment is None:
            return
        if isinstance(segment, str) and (child := self.literal.get(segment)) is not None:
            child.collect(found, path, at + 1)
        for glob, child in self.globs.items():
            if glob.matches(segment) if isinstance(segment, str) else glob.covers(segment):
                child.collect(found, path, at + 1)


@dataclass(slots=True)
class Hosts:
    """All patterns whose hosts share an ending. ports: which hosts they are about at each port, each once."""

    ports: dict[int, dict[HostPattern, None]] = field(default_factory=dict)
    paths: _Node = field(default_factory=_Node)


class Index:
    """Rules by host and path."""

    def __init__(self) -> None:
        self._endings: dict[str, Hosts] = {}
        self.at = lru_cache(maxsize=1024)(self._at)
        """What rules say of a host, in normal form, and port; nothing where no rule is about anything there."""
        self.meaning = of_path(self._meaning)
        """The numbers of the rules one of whose URLs means a request's, in order."""

    def add(self, number: int, urls: Iterable[UrlPattern]) -> None:
        """Enter the rule with this number in the list."""
        self.at.cache_clear()
        self.meaning = of_path(self._meaning)
        for url in urls:
            hosts = self._endings.setdefault(url.host.ending, Hosts())
            hosts.ports.setdefault(url.port, {})[url.host] = None
            hosts.paths.add(number, url)

    def ports(self) -> frozenset[int]:
        """Return the ports that any rule is about."""
        return frozenset(port for hosts in self._endings.values() for port in hosts.ports)

    def _at(self, host: str, port: int) -> Sequence[Hosts]:
        return [
            hosts
            for hosts in self._ending(host)
            if port in hosts.ports and any(pattern.matches(host) for pattern in hosts.ports[port])
        ]

    def _meaning(self, scheme: str, host: str, port: int, target: str) -> Sequence[int]:
        at = self.at(normal_host(host), port)
        if not at:
            return ()
        place = Place.of(scheme, host, port, target)
        near: list[Entry] = []
        for hosts in at:
            for path in place.paths:
                hosts.paths.collect(near, path)
        found = {number for number, url, told in near if (url.at(place) if told else url.matches(place))}
        return tuple(sorted(found))

    def covering(self, url: UrlPattern) -> Sequence[int]:
        """Return the numbers of the rules one of whose URLs certainly means all that this one means, in order."""
        path = [str(segment) if segment is not None and segment.literal else segment for segment in url.path]
        near: list[Entry] = []
        for hosts in self._ending(url.host.ending):
            hosts.paths.collect(near, path)
        return sorted({number for number, other, _ in near if other.covers(url)})

    def _ending(self, host: str) -> Sequence[Hosts]:
        """Return what is known of each ending of a host, the whole host first."""
        found: list[Hosts] = []
        ending = host
        while True:
            if (hosts := self._endings.get(ending)) is not None:
                found.append(hosts)
            if not ending:
                return found
            ending = ending.partition(".")[2]
