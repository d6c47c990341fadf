"""All rules of one configuration, in order, indexed by host: most traffic must be let go after one look-up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from ledger.policy import Policy
from ledger_rules.request import Request
from ledger_rules.rule import Rule, sight
from ledger_rules.urls import normal_host

type _Index = Mapping[str, tuple[Rule, ...]]


@dataclass(frozen=True, slots=True)
class Ruleset:
    """The rules of a file and its packs.

    mode: `enforce`, or `observe` (record and report only).
    rules: in the order they are tried; own rules before those of packs.
    tools: policies for guarded functions, by tool name.
    """

    mode: str = "enforce"
    rules: tuple[Rule, ...] = ()
    tools: Mapping[str, Policy] = field(default_factory=lambda: MappingProxyType({}))
    _literal: _Index = field(init=False, repr=False, compare=False)
    _wild: tuple[Rule, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Build the index; a literal host's entry also holds the wildcard rules that cover it, in file order."""
        names = {url.host.text for rule in self.rules for url in rule.urls if url.host.literal}
        object.__setattr__(self, "_literal", {name: self._rules_for(name) for name in names})
        wild = (rule for rule in self.rules if any(not url.host.literal for url in rule.urls))
        object.__setattr__(self, "_wild", tuple(wild))

    def _rules_for(self, host: str) -> tuple[Rule, ...]:
        return tuple(rule for rule in self.rules if any(url.host.matches(host) for url in rule.urls))

    def intercepts(self, host: str, port: int) -> bool:
        """Say whether any rule could match something at this host and port; if not, its traffic is not touched."""
        name = normal_host(host)
        rules = self._literal.get(name, self._wild)
        return any(url.port == port and url.host.matches(name) for rule in rules for url in rule.urls)

    def match(self, request: Request) -> Rule | None:
        """Return the first rule that means this request."""
        rules = self._literal.get(normal_host(request.host), self._wild)
        if not rules:
            return None
        seen = sight(request)
        return next((rule for rule in rules if rule.matches(seen)), None)

    def hosts(self) -> frozenset[str]:
        """Return the hosts the rules name, patterns such as `*.example.com` included."""
        return frozenset(url.host.text for rule in self.rules for url in rule.urls)
