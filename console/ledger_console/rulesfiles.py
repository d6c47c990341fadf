"""Which rules a command means, and `ledger rules`. Only this file knows how rules are loaded."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from ledger_console import options, screen
from ledger_console.problems import USAGE, Problem
from ledger_console.screen import Column

if TYPE_CHECKING:
    from ledger_rules.ruleset import Ruleset

DEFAULT = "ledger.yaml"
PACKS = "the default packs"

app = typer.Typer(help="Check and list rules.", no_args_is_help=True, rich_markup_mode=None)


def load(rules: str | None) -> tuple[str, Ruleset]:
    """The rules of `--rules`, else LEDGER_RULES, else ./ledger.yaml, else the packs; and where they came from.

    Raises Problem with the loader's own lines.
    """
    from ledger_rules import loader
    from ledger_rules.errors import RulesError

    path = rules if rules is not None else os.environ.get("LEDGER_RULES") or None
    if path is None and Path(DEFAULT).exists():
        path = DEFAULT
    try:
        return (PACKS, loader.default()) if path is None else (path, loader.load(path))
    except RulesError as error:
        raise Problem(str(error), USAGE, prefixed=False) from None


@app.command()
def check(rules: options.Rules = None) -> None:
    """Load the rules and say what is wrong with them, or what they cover."""
    source, ruleset = load(rules)
    hosts = ", ".join(sorted(ruleset.hosts())) or "no host"
    count = len(ruleset.rules)
    screen.line(f"{source}: {count} rule{'s' * (count != 1)} for {hosts}; mode {ruleset.mode}")


@app.command()
def packs() -> None:
    """List the rules that come with Ledger, by provider."""
    from ledger_rules.shipped import DEFAULT_PACKS, needs_hosts, pack_names, yaml_of

    rows = []
    for name in pack_names():
        pack = yaml_of(name)
        hosts = "yours" if needs_hosts(name) else ", ".join(pack["hosts"])
        rows.append((name, "yes" if name in DEFAULT_PACKS else "no", str(len(pack["rules"])), hosts))
    screen.table((Column("pack"), Column("default"), Column("rules", number=True), Column("hosts", long=True)), rows)
