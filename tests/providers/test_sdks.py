"""Each provider's own SDK under `ledger run`, run, and run again from the start: the same call has one effect.

The second run is a new process, so everything an SDK or an agent makes up per call is fresh. One sidecar and one
counting upstream serve them all; nobody is configured but by the environment.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from ledger_rules.shipped import OPT_IN, default_packs
from tests.providers.answers import EFFECTS, table
from tests.providers.running import HOSTS, arrivals, run
from tests.upstream import Line, Upstream, running_upstream

PACKS = [*default_packs(), *sorted(OPT_IN - {"webhooks"}), {"webhooks": {"hosts": ["hooks.example.com"]}}]


@dataclass
class Days:
    """What each agent was told: on the first run, when it ran again, and for another amount."""

    first: dict[str, Line]
    again: dict[str, Line]
    other: dict[str, Line]
    upstream: Upstream


@pytest.fixture(scope="module")
def days(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Days]:
    folder = tmp_path_factory.mktemp("sdks")
    (folder / "ledger.yaml").write_text(f"packs: {json.dumps(PACKS)}")
    with running_upstream(folder / "upstream", hosts=HOSTS, answers=table()) as upstream:
        first = run(folder, upstream, EFFECTS, 4900)
        yield Days(*first, *run(folder, upstream, EFFECTS, 4900, 5000), upstream)


@pytest.mark.parametrize("name", EFFECTS)
def test_the_same_call_has_one_effect_and_another_amount_is_another(name: str, days: Days) -> None:
    first, again, other = days.first[name], days.again[name], days.other[name]
    assert "failed" not in {**first, **again, **other}, (first, again, other)
    assert first == again
    assert first["gave"] != other["gave"]
    assert len(arrivals(days.upstream, name, effect=True)) == 2
