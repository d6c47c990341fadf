"""Draws the table of ledger/lifecycle.py into docs/architecture.md; `--check` only compares."""

from __future__ import annotations

import sys
from pathlib import Path

from ledger.lifecycle import TABLE, Transition

PAGE = Path(__file__).parent.parent / "docs" / "architecture.md"
BEGIN, END = "<!-- lifecycle:begin -->", "<!-- lifecycle:end -->"


def edge(row: Transition) -> str:
    """One arrow: what moves it, and whether it is a new intended effect."""
    start = row.start.value if row.start else "[*]"
    more = " (new generation)" if row.new_generation and row.start else ""
    told = row.trigger.value.replace(":", " –")  # a second colon would end the label in mermaid
    return f"    {start} --> {row.end.value}: {told}{more}"


def diagram() -> str:
    """The whole block, markers included."""
    lines = [BEGIN, "```mermaid", "stateDiagram-v2", *map(edge, TABLE), "```", END]
    return "\n".join(lines)


def main() -> int:
    """Write or check; 1 when the page is out of date."""
    text = PAGE.read_text()
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    new = f"{before}{diagram()}{after}"
    if "--check" in sys.argv[1:]:
        if new != text:
            print("docs/architecture.md: the diagram is out of date; run scripts/lifecycle_diagram.py", file=sys.stderr)
        return int(new != text)
    PAGE.write_text(new)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
