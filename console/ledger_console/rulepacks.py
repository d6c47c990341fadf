"""`ledger rules packs`: what comes with Ledger, and what each pack knows of its provider and does."""

from __future__ import annotations

from typing import Annotated

import typer

from ledger_console import screen
from ledger_console.problems import USAGE, Problem
from ledger_console.screen import Column


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
