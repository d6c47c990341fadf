"""Writes the tables of docs/packs.md from the packs themselves; `--check` only compares."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ledger_rules import Rule, loads, pack_names
from ledger_rules.shipped import default_packs, facts, needs_hosts, yaml_of

PAGE = Path(__file__).parent.parent / "docs" / "packs.md"
BEGIN, END = "<!-- packs:begin -->", "<!-- packs:end -->"
UNITS = ((86400, "d"), (3600, "h"), (60, "min"))


def duration(seconds: float) -> str:
    """Seconds as people say them; a day is 24 h."""
    size, unit = next(found for found in UNITS if seconds % found[0] == 0 and seconds > found[0])
    return f"{seconds / size:.0f} {unit}"


def compiled(name: str) -> tuple[Rule, ...]:
    """The rules of one pack, on one host of its own."""
    host = "hooks.example.com" if needs_hosts(name) else yaml_of(name)["hosts"][0]
    return loads(f"packs: [{{{name}: {{hosts: ['{host}']}}}}]").rules


def unknown(rule: Rule) -> str:
    """What becomes of an unknown outcome."""
    key = rule.upstream_key
    if key is None or rule.policy.on_unknown != "resend":
        return "held"
    place = f"header `{key.header}`" if key.header else f"`{'.'.join(key.member)}` in the body"
    if key.directive:
        place = f"directive `@{key.directive}`"
    return f"sent again for {duration(key.retention)}, under our key in {place}"


def conditions(match: dict[str, Any]) -> Iterator[str]:
    """What else must be true of a request."""
    for name, text in match.get("headers", {}).items():
        yield f"with `{name}: {text}`"
    if "body" in match:
        yield f"with a body of `{match['body']}`".replace("|", "\\|")
    if "graphql" in match:
        fields = match["graphql"]["field"]
        names = [fields] if isinstance(fields, str) else fields
        yield "asking for " + ", ".join(f"`{name}`" for name in names)


def overview() -> Iterator[str]:
    """One line per pack."""
    yield "| pack | provider | | its own idempotency | how long a key is kept |"
    yield "|---|---|---|---|---|"
    for name in pack_names():
        said = facts(name)
        default = "default" if name in default_packs() else ""
        yield f"| `{name}` | [{said.title}](#{name}) | {default} | {said.native} | {said.retention} |"


def section(name: str) -> Iterator[str]:
    """One pack: its hosts, its facts, its rules."""
    said = facts(name)
    hosts = ", ".join(f"`{host}`" for host in yaml_of(name)["hosts"]) or "you name them"
    yield from ("", f"### {name}", "", f"{said.title}. Hosts: {hosts}.", "")
    yield f"A repeat under one key is answered with: {said.replay}."
    yield "Sources: " + ", ".join(f"<{source}>" for source in said.sources) + "."
    yield from ("", "| rule | requests | a success counts for | an unknown outcome is |", "|---|---|---|---|")
    for written, rule in zip(yaml_of(name)["rules"], compiled(name), strict=True):
        methods = ", ".join(sorted(rule.methods))
        asked = "<br>".join([*(f"`{path}`" for path in written["match"]["url"]), *conditions(written["match"])])
        yield f"| `{rule.name}` | {methods} {asked} | {duration(rule.policy.window or 0)} | {unknown(rule)} |"


def tables() -> str:
    """The whole block, markers included."""
    sections = [line for name in pack_names() for line in section(name)]
    return "\n".join([BEGIN, "", *overview(), *sections, "", END])


def main() -> int:
    """Write or check; 1 when the page is out of date."""
    text = PAGE.read_text("utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    new = f"{before}{tables()}{after}"
    if "--check" in sys.argv[1:]:
        if new != text:
            print("docs/packs.md: the tables are out of date; run scripts/packs_page.py", file=sys.stderr)
        return int(new != text)
    PAGE.write_text(new, "utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
