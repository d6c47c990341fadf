"""`ledger rules packs`: what comes with Ledger, and what each pack knows of its provider and does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from ledger_console import options, screen
from ledger_console.problems import USAGE, Problem
from ledger_console.screen import Column


def packs(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Show this one.")] = None,
    json: options.Json = False,
) -> None:
    """List the rules that come with Ledger, by provider; or say what one of them knows and does.

    \b
    Examples:
      ledger rules packs
      ledger rules packs stripe
    """
    from difflib import get_close_matches

    from ledger_rules.shipped import pack_names

    if name is not None and name not in pack_names():
        near = get_close_matches(name, pack_names(), 1)
        there = f"did you mean '{near[0]}'? There are" if near else "there are"
        raise Problem(f"no pack '{name}'; {there} {', '.join(pack_names())}", USAGE)
    names = pack_names() if name is None else (name,)
    if json:
        for one in names:
            screen.json_line(_as_json(one))
    elif name is not None:
        _pack(name)
    else:
        _table(names)


def _table(names: Sequence[str]) -> None:
    from ledger_rules.shipped import default_packs, needs_hosts, yaml_of

    rows = []
    for name in names:
        pack = yaml_of(name)
        unknown = " or ".join(sorted({rule["on_unknown"] for rule in pack["rules"]}))
        hosts = "yours" if needs_hosts(name) else ", ".join(pack["hosts"])
        rows.append((name, "yes" if name in default_packs() else "no", str(len(pack["rules"])), unknown, hosts))
    columns = (Column("pack"), Column("default"), Column("rules", number=True), Column("unknown"))
    screen.table((*columns, Column("hosts", long=True)), rows)


def _as_json(name: str) -> dict[str, Any]:
    """Everything a pack says, its rules as they are written, their URLs being paths."""
    from ledger_rules.shipped import default_packs, yaml_of

    pack = yaml_of(name)
    known = {"pack": name, "default": name in default_packs(), **pack["about"]}
    return {**known, "hosts": pack["hosts"], "rules": pack["rules"]}


def _pack(name: str) -> None:
    from ledger_rules.shipped import facts, yaml_of

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
