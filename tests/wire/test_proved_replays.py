"""A provider that answers a repeat with an error and the id of what was created: proof, recorded as the true result.

And one whose 200 says no: in flight, come back later. Of the first send that proves nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.upstream import Upstream
from tests.wire.sidecars import Sidecar, running

# The pack's own rule, on paths of the oracle.
RULES = """
rules:
  - name: gocardless-like
    match: {method: POST, url: "https://api.stripe.com/**/payments"}
    idempotency_key: ignore-generated
    upstream_key: {header: Idempotency-Key, retention: 24h}
    outcomes:
      "409 $.error.errors[?@.reason == 'idempotent_creation_conflict'].links.conflicting_resource_id": success
    on_unknown: resend
  - name: answers-all-with-200
    match: {method: POST, url: "https://api.stripe.com/**/refunds"}
    upstream_key: {header: Idempotency-Key, retention: 24h}
    outcomes: {"200 $.error": failed}
    on_unknown: resend
"""


@pytest.fixture
def sidecar(tmp_path: Path, upstream: Upstream) -> Iterator[Sidecar]:
    with running(tmp_path / "sidecar", upstream, RULES) as made:
        yield made


def test_a_lost_answer_is_settled_by_the_conflict_and_stays_settled(sidecar: Sidecar, upstream: Upstream) -> None:
    path = "/conflict/lose-response/1/payments"
    assert sidecar.post(path).headers["Ledger-Outcome"] == "unknown"
    settled = sidecar.post(path)
    assert (settled.status_code, settled.headers["Ledger-Outcome"]) == (409, "executed")
    assert settled.json()["error"]["errors"][0]["links"]["conflicting_resource_id"].startswith("ch_")
    again = sidecar.post(path)
    assert (again.status_code, again.headers["Ledger-Outcome"]) == (409, "replayed")
    assert again.content == settled.content
    assert [line["kind"] for line in upstream.lines(path=path)] == ["effect", "replayed"]
    (record,) = sidecar.records()
    assert (record["status"], record["runs"]) == ("success", 1)


def test_a_200_that_says_no_leaves_a_lost_answer_unknown_and_its_key_in_use(
    sidecar: Sidecar, upstream: Upstream
) -> None:
    path = "/keyed/lose-response/1/refuse/200/2/refunds"
    lost, refused, settled = (sidecar.post(path) for _ in range(3))
    outcomes = [answer.headers["Ledger-Outcome"] for answer in (lost, refused, settled)]
    assert outcomes == ["unknown", "unknown", "executed"]
    sent = upstream.lines(path=path)
    assert [line["kind"] for line in sent] == ["refused", "refused", "effect"]
    assert len({line["key"] for line in sent}) == 1, "under another key the first send could have its effect, too"
    (record,) = sidecar.records()
    assert (record["status"], record["runs"]) == ("success", 1)
