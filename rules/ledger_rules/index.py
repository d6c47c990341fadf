"""Finding the few rules that can mean a request among thousands: by how its host ends, then segment by segment.

Whether a URL fits is asked here, and nothing else about a request. Up to its first `**` a pattern lives in a tree of
segments; it is compared as a whole at the end, so the tree may offer too much and never too little.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from ledger_rules.globs import TextGlob
from ledger_rules.patterns import HostPattern, Place, UrlPattern

type Entry = tuple[int, UrlPattern]
"""Where a rule stands in the list, and one of its URLs."""
type Segment = str | TextGlob | None
"""One of a path, or one of a pattern."""


@dataclass(slots=True)
class _Node:
    """Where some first segments lead. here: patterns that end here; deep: patterns that go on with `**`."""

    literal: dict[str, _Node] = field(default_factory=dict)
    globs: dict[TextGlob, _Node] = field(default_factory=dict)
    here: list[Entry] = field(default_factory=list)
    deep: list[Entry] = field(default_factory=list)

    def add(self, entry: Entry) -> None:
        """Enter one URL of a rule below this node, the root."""
        node = self
        for segment in entry[1].path:
            if segment is None:
                node.deep.append(entry)
                return
            if segment.literal:
                node = node.literal.setdefault(str(segment), _Node())
            else:
                node = node.globs.setdefault(segment, _Node())
        node.here.append(entry)

    def entries(self, path: Sequence[Segment], at: int = 0) -> Iterator[Entry]:
        """Yield what can fit a path, or cover a pattern, from its segment `at` on."""
        yield from self.deep
        if at == len(path):
            yield from self.here
            return
        segment = path[at]
        if segment is None:
            return
        if isinstance(segment, str) and (child := self.literal.get(segment)) is not None:
            yield from child.entries(path, at + 1)
        for glob, child in self.globs.items():
            if glob.matches(segment) if isinstance(segment, str) else glob.covers(segment):
                yield from child.entries(path, at + 1)


@dataclass(slots=True)
class _Hosts:
    """All patterns whose hosts share an ending. ports: which hosts they are about at each port, each once."""

    ports: dict[int, dict[HostPattern, None]] = field(default_factory=dict)
    paths: _Node = field(default_factory=_Node)


class Index:
    """Rules by host and path."""

    def __init__(self) -> None:
        self._endings: dict[str, _Hosts] = {}

    def add(self, number: int, urls: Iterable[UrlPattern]) -> None:
        """Enter the rule with this number in the list."""
        for url in urls:
            hosts = self._endings.setdefault(url.host.ending, _Hosts())
            hosts.ports.setdefault(url.port, {})[url.host] = None
            hosts.paths.add((number, url))

    def ports(self) -> frozenset[int]:
        """Return the ports that any rule is about."""
        return frozenset(port for hosts in self._endings.values() for port in hosts.ports)

    def knows(self, host: str, port: int) -> bool:
        """Say whether any rule is about something at this host, in normal form, and port."""
        return next(self._at(host, port), None) is not None

    def matching(self, place: Place) -> Sequence[int]:
        """Return the numbers of the rules one of whose URLs means this place, in order."""
        at = self._at(place.host, place.port)
        near = (entry for hosts in at for path in place.paths for entry in hosts.paths.entries(path))
        return sorted({number for number, url in near if url.matches(place)})

    def covering(self, url: UrlPattern) -> Sequence[int]:
        """Return the numbers of the rules one of whose URLs certainly means all that this one means, in order."""
        path = [str(segment) if segment is not None and segment.literal else segment for segment in url.path]
        near = (entry for hosts in self._ending(url.host.ending) for entry in hosts.paths.entries(path))
        return sorted({number for number, other in near if other.covers(url)})

    def _at(self, host: str, port: int) -> Iterator[_Hosts]:
        for hosts in self._ending(host):
            if any(pattern.matches(host) for pattern in hosts.ports.get(port, ())):
                yield hosts

    def _ending(self, host: str) -> Iterator[_Hosts]:
        """Yield what is known of each ending of a host, the whole host first."""
        ending = host
        while True:
            if (hosts := self._endings.get(ending)) is not None:
                yield hosts
            if not ending:
                return
            ending = ending.partition(".")[2]
