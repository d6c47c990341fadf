"""From a file, a text or nothing at all to a Ruleset. Everything wrong with a file ends as one RulesError here."""

from __future__ import annotations

import os
from pathlib import Path
from types import MappingProxyType

from pydantic import ValidationError

from ledger_rules.compile import Compiler, tool_policy
from ledger_rules.complaints import did_you_mean, lines
from ledger_rules.errors import RulesError
from ledger_rules.patterns import UrlPattern
from ledger_rules.rule import ALWAYS_MASKED, Rule
from ledger_rules.ruleset import Ruleset
from ledger_rules.schema import Defaults, PackOptions, RulesFile
from ledger_rules.shipped import default_packs, expanded, needs_hosts, pack_names
from ledger_rules.yamltext import Document, parse

MAX_BYTES = 1 << 20


def load(path: str | os.PathLike[str]) -> Ruleset:
    """Return the rules of a file; raises RulesError for whatever keeps it from being used."""
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
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = error.start - data.rfind(b"\n", 0, error.start)
        raise RulesError(f"{name}:{line}:{column}: not UTF-8 text; save the file as UTF-8") from None
    return loads(text, name)


def loads(text: str, name: str = "ledger.yaml") -> Ruleset:
    """Return the rules of a text; raises RulesError, its lines naming `name`."""
    document = parse(text, name)
    spec = _validated(document)
    masked = ALWAYS_MASKED | {parameter.lower() for parameter in spec.redact.query}
    compiler = Compiler(document, spec.defaults, masked)
    own = compiler.rules(spec.rules)
    packed = _packed(spec, document, compiler)
    if compiler.problems:
        raise RulesError(compiler.problems)
    tools = {tool: tool_policy(policy) for tool, policy in spec.tools.items()}
    return Ruleset(spec.mode, (*own, *packed), MappingProxyType(tools))


def default() -> Ruleset:
    """Return what applies without a rules file: the payment and messaging packs."""
    return Ruleset(
        rules=tuple(rule for name in default_packs() for rule in _pack(name, None, Defaults(), ALWAYS_MASKED))
    )


def _validated(document: Document) -> RulesFile:
    try:
        return RulesFile.model_validate(document.data)
    except ValidationError as error:
        raise RulesError(lines(error, document, RulesFile)) from None


def _packed(spec: RulesFile, document: Document, compiler: Compiler) -> list[Rule]:
    rules: list[Rule] = []
    seen: set[str] = set()
    for index, entry in enumerate(spec.packs):
        (name, options), loc = next(iter(entry.items())), ("packs", index)
        problem = _pack_problem(name, options, seen)
        seen.add(name)
        if problem:
            compiler.problems.append(document.problem(loc, problem))
        else:
            rules += _pack(name, options.hosts, spec.defaults, compiler.masked)
    return rules


def _pack_problem(name: str, options: PackOptions, seen: set[str]) -> str | None:
    if name not in pack_names():
        hint = did_you_mean(name, pack_names()) or f"; expected one of {', '.join(pack_names())}"
        return f"unknown pack '{name}'{hint}"
    if name in seen:
        return f"pack '{name}' is listed twice; give all its hosts in one entry"
    if needs_hosts(name) and options.hosts is None:
        return f"pack '{name}' needs its hosts: write {{{name}: {{hosts: [hooks.example.com]}}}}"
    return None


def _pack(name: str, hosts: list[UrlPattern] | None, defaults: Defaults, masked: frozenset[str]) -> list[Rule]:
    document = expanded(name, hosts)
    compiler = Compiler(document, defaults, masked)
    rules = compiler.rules(_validated(document).rules)
    if compiler.problems:
        raise RulesError(compiler.problems)
    return rules
