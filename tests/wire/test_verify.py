"""An unknown outcome that the provider is asked about: settled by what it says, never by a guess."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.upstream import Line, Upstream
from tests.wire.sidecars import Sidecar, running, start

ORDER = {"reference": "A-7", "amount": 49}
LOST = "/lose-response/1/charges"
NEVER_ARRIVES = "/drop-request/1/charges"


def rule(get: str, name: str = "orders", path: str = "/charges", more: str = "settle: 0s") -> str:
    verify = f'{{get: "{get}", done: "$.data[0]", not_done: "2xx length($.data) == 0", {more}}}'
    return f"""
  - name: {name}
    match: {{method: POST, url: "https://api.stripe.com/**{path}"}}
    verify: {verify}
"""


def rules(more: str = "settle: 0s") -> str:
    return 'redact: {response: ["$.sha256"]}\nrules:' + rule("/lookup/{$.reference}", more=more)


@pytest.fixture
def sidecar(tmp_path: Path, upstream: Upstream) -> Iterator[Sidecar]:
    with running(tmp_path / "s", upstream, rules()) as made:
        yield made


def outcomes(*answers: httpx.Response) -> list[str]:
    return [answer.headers["ledger-outcome"] for answer in answers]


def questions(upstream: Upstream) -> list[Line]:
    return upstream.lines(method="GET")


def test_what_happened_is_not_done_again(sidecar: Sidecar, upstream: Upstream) -> None:
    first, again, third = (sidecar.post(LOST, ORDER) for _ in range(3))
    assert outcomes(first, again, third) == ["unknown", "not-kept", "not-kept"]
    assert "asked first whether it happened" in first.json()["detail"]
    assert (again.status_code, again.json()["type"]) == (409, "urn:ledger:problem:result-not-kept")
    assert len(upstream.effects()) == len(questions(upstream)) == 1
    assert [(r["status"], r["runs"], r["unknown"]) for r in sidecar.records()] == [("success", 1, 0)]
    (resolved,) = sidecar.events("resolved")
    assert resolved["detail"]["by"] == "verify"
    assert resolved["detail"]["note"] == "verify: GET /lookup/{$.reference} answered 200: it happened"


def test_what_did_not_happen_is_done_now(sidecar: Sidecar, upstream: Upstream) -> None:
    answers = [sidecar.post(NEVER_ARRIVES, ORDER) for _ in range(3)]
    assert outcomes(*answers) == ["unknown", "executed", "replayed"]
    assert len(upstream.effects()) == 1
    assert [line["detail"]["done"] for line in sidecar.events("resolved")] == [False]


def test_the_answer_is_the_result_where_the_rule_says_so(tmp_path: Path, upstream: Upstream) -> None:
    with running(tmp_path / "s", upstream, rules(more="settle: 0s, result: '$.data[0]'")) as sidecar:
        first, again = (sidecar.post(LOST, ORDER) for _ in range(2))
    assert outcomes(first, again) == ["unknown", "replayed"]
    assert (again.status_code, again.headers["content-type"]) == (200, "application/json")
    assert again.json() == {"object": "charge", "sha256": "***"}
    assert len(upstream.effects()) == 1


def test_it_is_asked_as_whoever_asks_now_and_with_nothing_else(sidecar: Sidecar, upstream: Upstream) -> None:
    sent = {"Authorization": "Basic YWdlbnQ6b25l", "Idempotency_Key": "k", "Stripe_Version": "2025-01-01"}
    sidecar.post(LOST, ORDER, **sent)
    sidecar.post(LOST, ORDER, **sent | {"Authorization": "Basic YWdlbnQ6dHdv"})
    (asked,) = questions(upstream)
    headers = {name.lower(): value for name, value in asked["headers"]}
    assert headers["authorization"] == "Basic YWdlbnQ6dHdv"
    assert headers["stripe-version"] == "2025-01-01"
    assert not headers.keys() & {"idempotency-key", "content-type", "content-length", "ledger-outcome"}
    assert b"YWdlbnQ6" not in sidecar.db.read_bytes()


def test_an_answer_that_proves_nothing_settles_nothing(tmp_path: Path, upstream: Upstream) -> None:
    asked = {
        "/status/403/charge/{$.reference}": "answered 403, which proves neither",
        "/bytes/64/lookup-{$.reference}": "answered 200, which proves neither",
        "/bytes/2000000/{$.reference}": "answered 200 with more than 1 MiB",
        "/drop-request/{$.reference}": "GET /drop-request/{$.reference}: ",
        "/lookup/{$.order_id}": "a value that the question needs is not in this request once",
    }
    file = "rules:" + "".join(rule(get, f"case-{n}", f"/charges/{n}") for n, get in enumerate(asked))
    with running(tmp_path / "s", upstream, file) as sidecar:
        for n, why in enumerate(asked.values()):
            first, *later = (sidecar.post(f"{NEVER_ARRIVES}/{n}", ORDER) for _ in range(3))
            assert outcomes(first, *later) == ["unknown", "held", "held"]
            assert why in later[0].json()["detail"]
            assert later[0].headers["retry-after"] == "30"
        held = [line["detail"]["why"] for line in sidecar.events("held")]
    assert all(why in told for why, told in zip([w for w in asked.values() for _ in "12"], held, strict=True))
    assert upstream.effects() == []


def test_not_done_counts_only_when_the_request_can_no_longer_be_queued(tmp_path: Path, upstream: Upstream) -> None:
    with running(tmp_path / "s", upstream, rules(more="settle: 120s")) as sidecar:
        first, again = (sidecar.post(NEVER_ARRIVES, ORDER) for _ in range(2))
        assert outcomes(first, again) == ["unknown", "held"]
        assert "may be queued there for another" in again.json()["detail"]
        done_first, done_again = (sidecar.post(LOST, ORDER) for _ in range(2))
        assert outcomes(done_first, done_again) == ["unknown", "not-kept"]  # a "done" needs no patience
    assert len(upstream.effects()) == 1


def test_what_a_killed_sidecar_left_is_asked_about(tmp_path: Path, upstream: Upstream) -> None:
    first = start(tmp_path / "s", upstream, rules())
    agent = threading.Thread(target=first.try_post, args=("/hang/charges", ORDER))
    agent.start()
    upstream.wait_for(lambda u: u.effects())
    first.kill()
    agent.join()
    with running(tmp_path / "s", upstream, rules()) as second:
        assert outcomes(second.post("/hang/charges", ORDER)) == ["not-kept"]
    assert len(upstream.effects()) == 1


def test_fifty_who_ask_at_once_through_two_sidecars_cause_one_effect(tmp_path: Path, upstream: Upstream) -> None:
    with running(tmp_path / "s", upstream, rules()) as one, running(tmp_path / "s", upstream, rules()) as two:
        assert outcomes(one.post(NEVER_ARRIVES, ORDER)) == ["unknown"]
        with ThreadPoolExecutor(50) as pool:
            asked = [pool.submit((one, two)[n % 2].post, NEVER_ARRIVES, ORDER) for n in range(50)]
            answers = [future.result() for future in asked]
    assert {answer.status_code for answer in answers} == {200}
    assert sorted(outcomes(*answers)).count("executed") == 1
    assert len(upstream.effects()) == 1


def test_who_come_at_once_with_one_unknown_ask_once(tmp_path: Path, upstream: Upstream) -> None:
    slowly = "rules:" + rule("/slow/2000/lookup/{$.reference}")
    with running(tmp_path / "s", upstream, slowly) as sidecar:
        assert outcomes(sidecar.post(LOST, ORDER)) == ["unknown"]
        with ThreadPoolExecutor(10) as pool:
            answers = list(pool.map(lambda _: sidecar.post(LOST, ORDER), range(10)))
    assert outcomes(*answers) == ["not-kept"] * 10
    assert len(upstream.effects()) == len(questions(upstream)) == 1


def test_who_leaves_takes_no_answer_from_the_others(tmp_path: Path, upstream: Upstream) -> None:
    slowly = "rules:" + rule("/slow/2000/lookup/{$.reference}")
    with running(tmp_path / "s", upstream, slowly) as sidecar:
        sidecar.post(LOST, ORDER)
        with ThreadPoolExecutor(2) as pool:
            leaves = pool.submit(sidecar.post, LOST, ORDER, timeout=1)
            upstream.wait_for(lambda _: leaves.running())
            stays = pool.submit(sidecar.post, LOST, ORDER)
            with pytest.raises(httpx.TimeoutException):
                leaves.result()
            assert outcomes(stays.result()) == ["not-kept"]
    assert len(upstream.effects()) == len(questions(upstream)) == 1
