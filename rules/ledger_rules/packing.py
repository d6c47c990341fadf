"""The packs that a file names: their rules, on the hosts it wants, with what it changes about them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Self

from ledger_rules.compile import Common, Compiler
from ledger_rules.complaints import did_you_mean, validated
from ledger_rules.errors import RulesError
from ledger_rules.jsonpaths import compiled_later
from ledger_rules.patterns import UrlPattern
from ledger_rules.rule import Rule
from ledger_rules.schema import PackOptions, RulesFile, RuleSpec
from ledger_rules.shipped import expanded, needs_hosts, pack_names
from ledger_rules.yamltext import Document, Loc

type Hosts = list[UrlPattern] | None
"""None: the pack's own."""


@dataclass(frozen=True, slots=True)
class Packs:
    """Packs by name, in order, and the hosts they are meant for."""

    hosts: Mapping[str, Hosts]

    @classmethod
    def chosen(cls, spec: RulesFile, compiler: Compiler) -> Self:
        """Return the packs of a file; those that cannot be used are noted and left out."""
        hosts: dict[str, Hosts] = {}
        for index, entry in enumerate(spec.packs):
            name, options = next(iter(entry.items()))
            if problem := _problem(name, options, hosts):
                compiler.problem(("packs", index), problem)
            else:
                hosts[name] = options.hosts
        return cls(hosts)

    def changed(self, said: RuleSpec, loc: Loc, compiler: Compiler) -> RuleSpec | None:
        """Return a rule of the file, whole: one that is named `PACK/RULE` changes that rule of a pack.

        None where it names no such rule, or has no `match` of its own: both are noted.
        """
        pack, slash, _ = said.name.partition("/")
        if not slash or pack not in self.hosts:
            if said.match is None:
                hint = f"; to change a rule of the pack '{pack}', list it in packs" if pack in pack_names() else ""
                compiler.problem(loc, f"missing key 'match' in 'rules'{hint}")
            return said
        theirs = {spec.name: spec for spec in self._specs(pack)[1]}
        if said.name not in theirs:
            hint = did_you_mean(said.name, list(theirs)) or f"; it has {', '.join(theirs)}"
            compiler.problem((*loc, "name"), f"name: the pack '{pack}' has no rule '{said.name}'{hint}")
            return None
        return theirs[said.name].model_copy(update={key: getattr(said, key) for key in said.model_fields_set})

    def rules(self, common: Common, without: Collection[str] = ()) -> list[Rule]:
        """Return the packs' rules in order, those with these names left out. Raises RulesError for a broken pack."""
        rules: list[Rule] = []
        for pack in self.hosts:
            document, specs = self._specs(pack)
            compiler = Compiler(document, common)
            with compiled_later():
                for index, spec in enumerate(specs):
                    if spec.match is not None and spec.name not in without:
                        rules.append(compiler.rule(spec, spec.match, ("rules", index)))
            if compiler.problems:
                raise RulesError(compiler.problems)
        return rules

    def _specs(self, pack: str) -> tuple[Document, list[RuleSpec]]:
        document = expanded(pack, self.hosts[pack])
        with compiled_later():
            return document, validated(document).rules


def _problem(name: str, options: PackOptions, seen: Collection[str]) -> str | None:
    if name not in pack_names():
        hint = did_you_mean(name, pack_names()) or f"; expected one of {', '.join(pack_names())}"
        return f"unknown pack '{name}'{hint}"
    if name in seen:
        return f"pack '{name}' is listed twice; give all its hosts in one entry"
    if needs_hosts(name) and options.hosts is None:
        return f"pack '{name}' needs its hosts: write {{{name}: {{hosts: [hooks.example.com]}}}}"
    return None
