"""What docs/rules.md shows must work, and the packs it lists are the packs there are."""

from __future__ import annotations

import re
from pathlib import Path

from ledger_rules import loads, pack_names

PAGE = (Path(__file__).parents[2] / "docs" / "rules.md").read_text("utf-8")


def test_every_example_loads():
    examples = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert examples
    for example in examples:
        assert loads(example).rules


def test_every_pack_is_listed():
    assert tuple(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE)) == pack_names()
