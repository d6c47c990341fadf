"""Every `ledger` command line that README and docs tell people to type is one: its command and its options exist."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.commands import check_command

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def command_lines(text: str) -> Iterator[str]:
    """Those in shell blocks, and those in backticks that have more than a word."""
    for block in re.findall(r"^```(?:sh|bash|console)\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            typed = re.sub(r"^\s*(?:\$ )?(?:[A-Z_]+=\S+ )*", "", line)
            if typed.startswith("ledger "):
                yield typed
    plain = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    yield from re.findall(r"`(ledger [a-z][^`]*)`", plain)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_line_parses(page: Path) -> None:
    for line in command_lines(page.read_text()):
        # `ledger show|tail` names two.
        first, *rest = line.split(" ", 2)[1:]
        for word in first.split("|"):
            check_command(" ".join(["ledger", word, *rest]))


def test_they_are_found_and_a_wrong_one_fails() -> None:
    assert sum(1 for page in PAGES for _ in command_lines(page.read_text())) > 60
    for wrong in ("ledger shwo", "ledger show --nonsense", "ledger rules chek"):
        with pytest.raises(AssertionError, match=r"there is no command|has no"):
            check_command(wrong)


def test_metrics_and_pages_are_those_that_are_served() -> None:
    """The tables of docs/operations.md against the code."""
    text = (ROOT / "docs" / "operations.md").read_text()
    told = set(re.findall(r"^\| `(ledger_\w+)` \|", text, re.MULTILINE))
    metrics = (ROOT / "proxy" / "ledger_proxy" / "metrics.py").read_text()
    kinds = re.findall(r'(Counter|Gauge|Histogram)MetricFamily\(\s*"(ledger_\w+)"', metrics)
    assert told == {name + "_total" * (kind == "Counter") for kind, name in kinds}
    admin = (ROOT / "proxy" / "ledger_proxy" / "admin.py").read_text()
    assert set(re.findall(r"^\| `(/\w+)` \|", text, re.MULTILINE)) == set(re.findall(r'add_get\("(/\w+)"', admin))
