"""Which rules a command means. Only this file knows how rules are loaded."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ledger_console.problems import USAGE, Problem

if TYPE_CHECKING:
    from ledger_rules.rule import Rule
    from ledger_rules.ruleset import Ruleset

DEFAULT = "ledger.yaml"
MISNAMED = "ledger.yml"
PACKS = "the default packs"


def path(rules: str | None) -> str | None:
    """The rules file that is meant; None for the default packs.

    Raises Problem where a file is nearly called as the one that is looked for: who wrote it means it to be read.
    """
    named = rules if rules is not None else os.environ.get("LEDGER_RULES") or None
    if named is not None:
        return named
    if Path(DEFAULT).exists():
        return DEFAULT
    if Path(MISNAMED).exists():
        raise Problem(f"{MISNAMED} is not read by itself; call it {DEFAULT}, or give --rules {MISNAMED}", USAGE)
    return None


def load(rules: str | None) -> tuple[str, Ruleset]:
    """The rules of `--rules`, else LEDGER_RULES, else ./ledger.yaml, else the packs; and where they came from.

    Raises Problem with the loader's own lines.
    """
    from ledger_rules import loader
    from ledger_rules.errors import RulesError

    file = path(rules)
    try:
        return (PACKS, loader.default()) if file is None else (file, loader.load(file))
    except RulesError as error:
        raise Problem(str(error), USAGE, prefixed=False) from None


def reloading(source: str, also: Sequence[Rule] = ()) -> dict[str, Any]:
    """What a sidecar needs to read its rules again; nothing for the default packs. also: rules that only observe."""
    from ledger_rules import loader

    if source == PACKS:
        return {}
    return {"reload": lambda: loader.load(source).and_observing(also), "rules_file": Path(source)}


def whole_host(host: str) -> Rule:
    """The rule that means whatever may have an effect at HOST[:PORT]. Raises Problem."""
    import json

    from ledger_rules import loader
    from ledger_rules.errors import RulesError

    match = {"url": [f"{scheme}://{host}/**" for scheme in ("https", "http")]}
    try:
        return loader.loads(json.dumps({"rules": [{"name": f"observed/{host}", "match": match}]})).rules[0]
    except RulesError:
        text = f"--observe-host '{host}' is not a host, such as api.example.com or api.example.com:8443"
        raise Problem(text, USAGE) from None
