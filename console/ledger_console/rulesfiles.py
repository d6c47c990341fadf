"""Which rules a command means, and `ledger rules`. Only this file knows how rules are loaded."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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
def packs(name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Show this one.")] = None) -> None:
    """List the rules that come with Ledger, by provider; or say what one of them knows and does."""
    from ledger_rules.shipped import default_packs, needs_hosts, pack_names, yaml_of

    if name is not None:
        _pack(name)
        return
    rows = []
    for one in pack_names():
        pack = yaml_of(one)
        hosts = "yours" if needs_hosts(one) else ", ".join(pack["hosts"])
        rows.append((one, "yes" if one in default_packs() else "no", str(len(pack["rules"])), hosts))
    screen.table((Column("pack"), Column("default"), Column("rules", number=True), Column("hosts", long=True)), rows)


def _pack(name: str) -> None:
    from ledger_rules.shipped import facts, pack_names, yaml_of

    if name not in pack_names():
        raise Problem(f"no pack '{name}'; there are {', '.join(pack_names())}", USAGE)
    said, pack = facts(name), yaml_of(name)
    screen.line(f"{said.title}: {', '.join(pack['hosts']) or 'on hosts that you name'}")
    screen.line(f"own idempotency   {said.native}")
    screen.line(f"key is kept       {said.retention}")
    screen.line(f"repeat is given   {said.replay}")
    for source in said.sources:
        screen.line(f"source            {source}")
    rows = [
        (f"{name}/{rule['name']}", str(rule["window"]), rule["on_unknown"], " ".join(rule["match"]["url"]))
        for rule in pack["rules"]
    ]
    screen.table((Column("rule"), Column("window"), Column("unknown"), Column("paths", long=True)), rows)
