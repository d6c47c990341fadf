"""What docs/rules.md shows must work, and the packs that docs/packs.md lists are the packs there are."""

from __future__ import annotations

import re
from pathlib import Path

from ledger_rules import loads, pack_names

DOCS = Path(__file__).parents[2] / "docs"
PAGE, PACKS = ((DOCS / name).read_text("utf-8") for name in ("rules.md", "packs.md"))


def test_every_example_loads():
    examples = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert examples
    for example in examples:
        assert loads(example).rules


def test_every_pack_is_listed():
    assert tuple(re.findall(r"^\| `(\w+)` \|", PACKS, re.MULTILINE)) == pack_names()
