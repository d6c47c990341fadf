"""A guarded function that sends through the sidecar, both on one ledger file: neither trips over the other."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from ledger import Guard, OutcomeUnknown, SqliteStore
from tests.upstream import Upstream
from tests.wire.sidecars import Sidecar


@pytest.fixture
def guard(sidecar: Sidecar) -> Iterator[Guard]:
    store = SqliteStore(sidecar.db)
    made = Guard(store=store).quiet()
    yield made
    made.close()
    store.close()


def records(sidecar: Sidecar) -> list[tuple[str, str, int]]:
    return sorted((r["kind"], r["status"], r["runs"]) for r in sidecar.records())


def test_each_has_a_record_of_its_own_and_there_is_one_effect(
    guard: Guard, sidecar: Sidecar, upstream: Upstream
) -> None:
    def charge(amount: int) -> int:
        return sidecar.post("/ok/charges", {"amount": amount}).status_code

    guard.policy(charge, replay=True)
    assert [guard(charge, 5), guard(charge, 5), guard.force(charge, 5)] == [200, 200, 200]
    assert len(upstream.effects()) == 1, "even what is forced past the guard is answered by the sidecar"
    assert records(sidecar) == [("call", "success", 2), ("http", "success", 1)]


def test_a_function_that_gave_up_waiting_is_held_until_someone_says_what_the_sidecar_knows(
    guard: Guard, sidecar: Sidecar, upstream: Upstream
) -> None:
    def charge(amount: int) -> int:
        return sidecar.post("/slow/2500/charges", {"amount": amount}, timeout=1.0).status_code

    with pytest.raises(httpx.ReadTimeout):
        guard(charge, 5)
    with pytest.raises(OutcomeUnknown):
        guard(charge, 5)
    assert len(upstream.effects()) == 1


def test_where_all_it_does_goes_through_the_sidecar_it_may_simply_run_again(
    guard: Guard, sidecar: Sidecar, upstream: Upstream
) -> None:
    """`on_unknown="retry"` accepts a second run, and the sidecar makes it no second effect."""
    patience = iter([1.0, 30.0])

    def charge(amount: int) -> int:
        return sidecar.post("/slow/2500/charges", {"amount": amount}, timeout=next(patience)).status_code

    guard.policy(charge, on_unknown="retry")
    with pytest.raises(httpx.ReadTimeout):
        guard(charge, 5)
    assert guard(charge, 5) == 200
    assert guard(charge, 5) is None
    assert len(upstream.effects()) == 1
    assert records(sidecar) == [("call", "success", 1), ("http", "success", 1)]
