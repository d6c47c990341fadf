"""Each provider's own SDK under `ledger run`, run, and run again from the start: the same call has one effect.

The second run is a new process, so everything an SDK or an agent makes up per call is fresh. One sidecar and one
counting upstream serve them all; nobody is configured but by the environment.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from ledger_rules.shipped import OPT_IN, default_packs
from tests.providers.answers import EFFECTS, table
from tests.upstream import Line, Upstream, running_upstream
from tests.wire.sidecars import ledger

AGENT = Path(__file__).with_name("agent.py")
PACKS = [*default_packs(), *sorted(OPT_IN - {"webhooks"}), {"webhooks": {"hosts": ["hooks.example.com"]}}]
HOSTS = tuple(sorted({entry["request"].split()[1].partition("/")[0] for entry in table()}))


@dataclass
class Days:
    """What each agent was told: on the first run, when it ran again, and for another amount."""

    first: dict[str, Line]
    again: dict[str, Line]
    other: dict[str, Line]
    upstream: Upstream

    def effects(self, name: str) -> list[Line]:
        """What reached the provider."""
        return [line for line in self.upstream.effects() if fnmatchcase(called(line), EFFECTS[name])]


def called(line: Line) -> str:
    host = next(value for name, value in line["headers"] if name.lower() == "host")
    return f"{line['method']} {host}{line['path']}"


@pytest.fixture(scope="module")
def days(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Days]:
    folder = tmp_path_factory.mktemp("sdks")
    (folder / "ledger.yaml").write_text(f"packs: {json.dumps(PACKS)}")
    with running_upstream(folder / "upstream", hosts=HOSTS, answers=table()) as upstream:
        runs = [run(folder, upstream, amount) for amount in (4900, 4900, 5000)]
        yield Days(*runs, upstream)


def run(folder: Path, upstream: Upstream, amount: int) -> dict[str, Line]:
    """One run of the agent through every SDK."""
    options = [word for host in HOSTS for word in ("--resolve", upstream.resolve(host))]
    ended = ledger(
        *["run", "--rules", folder / "ledger.yaml", "--db", folder / "ledger.db", *options],
        *["--upstream-ca", upstream.ca_file, "--", sys.executable, "-W", "ignore", AGENT, amount, *EFFECTS],
    )
    assert ended.returncode == 0, ended.stderr
    said = [json.loads(line) for line in ended.stdout.splitlines() if line.startswith("{")]
    return {line["name"]: line for line in said}


@pytest.mark.parametrize("name", EFFECTS)
def test_the_same_call_has_one_effect_and_another_amount_is_another(name: str, days: Days) -> None:
    first, again, other = days.first[name], days.again[name], days.other[name]
    assert "failed" not in {**first, **again, **other}, (first, again, other)
    assert first == again != other
    assert len(days.effects(name)) == 2
