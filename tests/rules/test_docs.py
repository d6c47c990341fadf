"""What docs/rules.md shows must work, its tests included, and docs/packs.md lists the packs there are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ledger_rules import loads, pack_names, testing

DOCS = Path(__file__).parents[2] / "docs"
PAGE, PACKS = ((DOCS / name).read_text("utf-8") for name in ("rules.md", "packs.md"))
EXAMPLES = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_says_something_that_works(example):
    made = loads(example)
    assert made.rules or made.tools
    assert not [check for check in testing.run(example) if not check.passed]


def test_the_examples_show_what_tests_are():
    assert sum(len(testing.run(example)) for example in EXAMPLES) >= 8


def test_every_pack_is_listed():
    assert tuple(re.findall(r"^\| `(\w+)` \|", PACKS, re.MULTILINE)) == pack_names()
