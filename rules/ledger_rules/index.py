"""Finding the few rules that can mean a request among thousands, by what its host ends and its path begins with.

Whether a URL fits is asked here, and nothing else about a request.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from ledger_rules.patterns import HostPattern, Place, UrlPattern

type Entry = tuple[int, UrlPattern]
"""Where a rule stands in the list, and one of its URLs."""


@dataclass(slots=True)
class _Hosts:
    """All patterns whose hosts share an ending. ports: which (host, port) they are about."""

    ports: dict[tuple[HostPattern, int], None] = field(default_factory=dict)
    paths: dict[tuple[str, ...], list[Entry]] = field(default_factory=dict)
    deepest: int = 0


class Index:
    """Rules by host and path."""

    def __init__(self) -> None:
        self._endings: dict[str, _Hosts] = {}

    def add(self, number: int, urls: Iterable[UrlPattern]) -> None:
        """Enter the rule with this number in the list."""
        for url in urls:
            hosts = self._endings.setdefault(url.host.ending, _Hosts())
            hosts.ports[url.host, url.port] = None
            beginning = url.beginning
            hosts.deepest = max(hosts.deepest, len(beginning))
            hosts.paths.setdefault(beginning, []).append((number, url))

    def knows(self, host: str, port: int) -> bool:
        """Say whether any rule is about something at this host, in normal form, and port."""
        return any(at == port and pattern.matches(host) for hosts in self._ending(host) for pattern, at in hosts.ports)

    def matching(self, place: Place) -> Sequence[int]:
        """Return the numbers of the rules one of whose URLs means this place, in order."""
        found = {number for path in place.paths for number, url in self._near(place.host, path) if url.matches(place)}
        return sorted(found)

    def covering(self, url: UrlPattern) -> Sequence[int]:
        """Return the numbers of the rules one of whose URLs certainly means all that this one means, in order."""
        near = self._near(url.host.ending, url.beginning)
        return sorted({number for number, other in near if other.covers(url)})

    def _near(self, host: str, path: tuple[str, ...]) -> Iterator[Entry]:
        """Yield what can mean a host and a path that end and begin so."""
        for hosts in self._ending(host):
            for depth in range(min(len(path), hosts.deepest) + 1):
                yield from hosts.paths.get(path[:depth], ())

    def _ending(self, host: str) -> Iterator[_Hosts]:
        ending = host
        while True:
            if (hosts := self._endings.get(ending)) is not None:
                yield hosts
            if not ending:
                return
            ending = ending.partition(".")[2]
