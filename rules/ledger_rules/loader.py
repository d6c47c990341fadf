"""From a file, a text or nothing at all to a Ruleset. Everything wrong with a file ends as one RulesError here."""

from __future__ import annotations

import os
from pathlib import Path
from types import MappingProxyType

from ledger_rules import installed
from ledger_rules.compile import Common, Compiler, egress, notifications, tool_keywords
from ledger_rules.complaints import validated
from ledger_rules.errors import RulesError
from ledger_rules.packing import Packs
from ledger_rules.reachable import never_reached
from ledger_rules.rule import Rule
from ledger_rules.ruleset import Ruleset
from ledger_rules.schema import RulesFile
from ledger_rules.shipped import default_packs
from ledger_rules.yamltext import Loc, parse

MAX_BYTES = 1 << 20


def load(path: str | os.PathLike[str]) -> Ruleset:
    """Return the rules of a file; raises RulesError for whatever keeps it from being used."""
    return loads(read(path), os.fspath(path))


def read(path: str | os.PathLike[str]) -> str:
    """Return the text of a rules file; raises RulesError for what is none."""
    name = os.fspath(path)
    try:
        data = Path(name).read_bytes()
    except FileNotFoundError:
        raise RulesError(f"{name}: no such rules file; create it, or name none to use the default packs") from None
    except OSError as error:
        raise RulesError(f"{name}: the rules file cannot be read: {error.strerror or error}") from None
    if len(data) > MAX_BYTES:
        raise RulesError(f"{name}: larger than {MAX_BYTES // 1024} KiB; expected a rules file")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = error.start - data.rfind(b"\n", 0, error.start)
        raise RulesError(f"{name}:{line}:{column}: not UTF-8 text; save the file as UTF-8") from None


def loads(text: str, name: str = "ledger.yaml") -> Ruleset:
    """Return the rules of a text; raises RulesError, its lines naming `name`."""
    installed.check()
    document = parse(text, name)
    spec = validated(document)
    common = Common.of(spec.mode, spec.defaults, spec.redact)
    compiler = Compiler(document, common)
    packs = Packs.chosen(spec, compiler)
    own = _own(spec, packs, compiler)
    packed = packs.rules(common, {rule.name for rule in own})
    _check_reached(own, packed, spec, compiler)
    _check_told_once(spec, compiler)
    if compiler.problems:
        raise RulesError(compiler.problems)
    tools = {tool: MappingProxyType(tool_keywords(said)) for tool, said in spec.tools.items()}
    told = notifications(spec.notify)
    return Ruleset(spec.mode, (*own, *packed), MappingProxyType(tools), egress(spec.egress), told)


def default() -> Ruleset:
    """Return what applies without a rules file: the payment and messaging packs. Raises RulesError: see `installed`."""
    installed.check()
    return Ruleset(rules=tuple(Packs(dict.fromkeys(default_packs())).rules(Common())))


def _own(spec: RulesFile, packs: Packs, compiler: Compiler) -> list[Rule]:
    """Return the file's own rules that are as they should be; what is wrong with the others is noted."""
    rules: list[Rule] = []
    lines: dict[str, int] = {}
    for index, said in enumerate(spec.rules):
        loc: Loc = ("rules", index)
        whole = packs.changed(said, loc, compiler)
        if said.name in lines:
            text = f"name: '{said.name}' is already the name of the rule on line {lines[said.name]}; rename one"
            compiler.problem((*loc, "name"), text)
        lines.setdefault(said.name, compiler.document.line((*loc, "name")))
        if whole is not None and whole.match is not None:
            rules.append(compiler.rule(whole, whole.match, loc))
    return rules


def _check_told_once(spec: RulesFile, compiler: Compiler) -> None:
    """The name is part of a notification's identity: two of one name would be one."""
    names: set[str] = set()
    for index, said in enumerate(spec.notify):
        if said.name in names:
            compiler.problem(
                ("notify", index, "name"), f"name: '{said.name}' is already the name of another; rename one"
            )
        names.add(said.name)


def _check_reached(own: list[Rule], packed: list[Rule], spec: RulesFile, compiler: Compiler) -> None:
    """Refuse rules that another of the same kind takes everything from. An own rule may replace a pack's."""
    places = {said.name: index for index, said in enumerate(spec.rules)}
    for rule, first in never_reached(own):
        line = compiler.document.line(("rules", places[first.name]))
        text = f"rule '{rule.name}' is never reached: '{first.name}' on line {line} matches all it matches"
        compiler.problem(("rules", places[rule.name]), f"{text}; put it first or delete it")
    packs = {name: index for index, entry in enumerate(spec.packs) for name in entry}
    for rule, first in never_reached(packed):
        text = f"'{rule.name}' is never reached: '{first.name}' matches all it matches; put it first"
        compiler.problem(("packs", packs[rule.name.partition("/")[0]]), text)
