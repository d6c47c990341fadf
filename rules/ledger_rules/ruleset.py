"""All rules of one configuration, in order, indexed by host: most traffic must be let go after one look-up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from ledger_rules.egress import OPEN, Egress
from ledger_rules.index import Index
from ledger_rules.matching import Sighting
from ledger_rules.notify import Notify
from ledger_rules.request import Request
from ledger_rules.rule import Rule
from ledger_rules.urls import normal_host


@dataclass(frozen=True, slots=True)
class Ruleset:
    """The rules of a file and its packs.

    mode: of the file: `enforce`, or `observe` (record and report only). Each rule has its own, too.
    rules: in the order they are tried; own rules before those of packs.
    tools: for guarded functions, by name: keyword arguments of `guard.policy`.
    egress: where requests may go at all. notify: who is told of an unknown outcome.
    """

    mode: str = "enforce"
    rules: tuple[Rule, ...] = ()
    tools: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: MappingProxyType({}))
    egress: Egress = OPEN
    notify: tuple[Notify, ...] = ()
    ports: frozenset[int] = field(init=False, repr=False, compare=False)
    """Those that any rule is about; at others nothing needs to be looked at."""
    _index: Index = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Build the index."""
        index = Index()
        for number, rule in enumerate(self.rules):
            index.add(number, rule.match.urls)
        object.__setattr__(self, "_index", index)
        object.__setattr__(self, "ports", index.ports())

    def intercepts(self, host: str, port: int) -> bool:
        """Say whether any rule could match something at this host and port; if not, its traffic is not touched."""
        return bool(self._index.at(normal_host(host), port))

    def candidates(self, request: Request) -> tuple[Rule, ...]:
        """Return the rules that can mean a request, as its head tells, in order; one that needs no body is the last.

        The request's body may be missing still. No candidates: no rule means it, whatever its body says.
        """
        numbers = self._index.meaning(request)
        if not numbers:
            return ()
        seen = Sighting(request)
        found: list[Rule] = []
        for number in numbers:
            rule = self.rules[number]
            if rule.match.fit_head(seen):
                if not rule.match.reads_body:
                    return (*found, rule)
                found.append(rule)
        return tuple(found)

    def match(self, request: Request) -> Rule | None:
        """Return the first rule that means this request."""
        return decide(self.candidates(request), request)

    def hosts(self) -> frozenset[str]:
        """Return the hosts the rules name, patterns such as `*.example.com` included."""
        return frozenset(url.host.text for rule in self.rules for url in rule.match.urls)

    @property
    def observes(self) -> bool:
        """Whether any rule records without enforcing."""
        return any(rule.mode == "observe" for rule in self.rules)

    def enforced(self) -> Ruleset:
        """Return those of the rules that are enforced."""
        if not self.observes:
            return self
        return replace(self, rules=tuple(rule for rule in self.rules if rule.mode != "observe"))

    def and_observing(self, rules: Iterable[Rule]) -> Ruleset:
        """Return the same rules, and further ones that observe what none of them means."""
        return replace(self, rules=(*self.rules, *(replace(rule, mode="observe") for rule in rules)))

    def observing(self) -> Ruleset:
        """Return the same rules, none of them enforced."""
        return replace(self, mode="observe", rules=tuple(replace(rule, mode="observe") for rule in self.rules))


def decide(candidates: Sequence[Rule], request: Request) -> Rule | None:
    """Return the first of a request's candidates that means it, now that its body is there."""
    if not candidates or not candidates[0].match.reads_body:
        return candidates[0] if candidates else None
    seen = Sighting(request)
    return next((rule for rule in candidates if rule.match.fit_body(seen)), None)
