"""The provider did it, and its answer was lost. The agent runs again, and is told what happened: it happened once.

With the real SDKs, and with each way of carrying our key: a header, a body, a GraphQL directive, none at all.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.providers.answers import EFFECTS, table
from tests.providers.running import HOSTS, arrivals, run
from tests.upstream import Line, Upstream, running_upstream

RECOVERED = ("gocardless", "resend", "shopify", "square")
HELD = ("sendgrid", "twilio")

CONFLICT = {"reason": "idempotent_creation_conflict", "links": {"conflicting_resource_id": "PM1"}}
GOCARDLESS = [
    {
        "request": EFFECTS["gocardless"],
        "status": 409,
        "body": {"error": {"type": "invalid_state", "code": 409, "message": "already created", "errors": [CONFLICT]}},
        "kind": "replayed",
    },
    {"request": "GET api-sandbox.gocardless.com/payments/PM1", "status": 200, "body": {"payments": {"id": "PM1"}}},
]


def unlucky() -> list[dict[str, Any]]:
    """The usual answers, but the first of each is lost; what then comes under the same key is a replay."""
    usual = [entry for entry in table() if entry["request"] in {EFFECTS[name] for name in (*RECOVERED, *HELD)}]
    lost = [{**entry, "lost": True, "times": 1} for entry in usual]
    return [*lost, *GOCARDLESS, *({**entry, "kind": "replayed"} for entry in usual)]


@dataclass
class Days:
    """What each agent was told on the second run, and what its provider saw."""

    again: dict[str, Line]
    upstream: Upstream


@pytest.fixture(scope="module")
def days(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Days]:
    folder = tmp_path_factory.mktemp("lost")
    (folder / "ledger.yaml").write_text(f"packs: [{', '.join((*RECOVERED, *HELD))}]")
    with running_upstream(folder / "upstream", hosts=HOSTS, answers=unlucky()) as upstream:
        run(folder, upstream, (*RECOVERED, *HELD), 4900)
        yield Days(*run(folder, upstream, (*RECOVERED, *HELD), 4900), upstream)


def sent_under(line: Line) -> tuple[str | None, str]:
    """The key in the header and the digest of the body: together, what a provider goes by."""
    return line["key"], line["sha256"]


@pytest.mark.parametrize("name", RECOVERED)
def test_where_the_provider_honours_our_key_the_agent_is_told_what_happened(name: str, days: Days) -> None:
    assert days.again[name].get("gave"), days.again[name]
    first, second = arrivals(days.upstream, name)
    assert (first["kind"], second["kind"]) == ("effect", "replayed")
    assert sent_under(first) == sent_under(second)


def test_gocardless_own_sdk_fetches_what_the_conflict_names(days: Days) -> None:
    assert days.again["gocardless"]["gave"] == "PM1"


@pytest.mark.parametrize("name", HELD)
def test_where_it_honours_none_nothing_is_sent_again(name: str, days: Days) -> None:
    assert "failed" in days.again[name]
    assert [line["kind"] for line in arrivals(days.upstream, name)] == ["effect"]
