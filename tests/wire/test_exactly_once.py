"""What the agent gets and what the upstream counts, when all goes well and when answers are lost."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.upstream import Upstream
from tests.wire.sidecars import RULES, Sidecar, ledger, running, start


def test_a_retry_gets_the_recorded_answer(sidecar: Sidecar, upstream: Upstream) -> None:
    first = sidecar.post("/ok/charges", {"amount": 5})
    again = sidecar.post("/ok/charges", {"amount": 5})
    assert first.status_code == again.status_code == 200
    assert again.content == first.content
    assert first.headers["ledger-outcome"] == "executed"
    assert again.headers["ledger-outcome"] == "replayed"
    assert again.headers["idempotent-replayed"] == "true"
    assert "ledger-recorded-at" in again.headers
    assert "set-cookie" in first.headers
    assert "set-cookie" not in again.headers
    assert len(upstream.effects()) == 1
    assert [(r["status"], r["attempts"], r["runs"], r["replayed"]) for r in sidecar.records()] == [("success", 2, 1, 1)]


def test_another_amount_is_another_operation(sidecar: Sidecar, upstream: Upstream) -> None:
    sidecar.post("/ok/charges", {"amount": 5})
    sidecar.post("/ok/charges", {"amount": 6})
    assert len(upstream.effects()) == 2


def test_what_no_rule_names_passes_every_time(sidecar: Sidecar, upstream: Upstream) -> None:
    answers = [sidecar.post("/ok/refunds", {"amount": 5}) for _ in range(2)]
    assert [a.status_code for a in answers] == [200, 200]
    assert all("ledger-outcome" not in a.headers for a in answers)
    assert len(upstream.effects()) == 2
    assert sidecar.records() == []


def test_a_lost_answer_is_held_and_never_sent_again(sidecar: Sidecar, upstream: Upstream) -> None:
    first = sidecar.post("/lose-response/1/charges")
    later = [sidecar.post("/lose-response/1/charges") for _ in range(3)]
    assert first.status_code == 504
    assert first.headers["ledger-outcome"] == "unknown"
    assert "may have happened" in first.json()["detail"]
    assert {(a.status_code, a.headers["ledger-outcome"]) for a in later} == {(409, "held")}
    assert later[0].headers["stripe-should-retry"] == later[0].headers["x-should-retry"] == "false"
    assert later[0].headers["content-type"] == "application/problem+json"
    assert len(upstream.effects()) == 1
    assert [(r["status"], r["attempts"], r["held"]) for r in sidecar.records()] == [("unknown", 4, 3)]


def test_a_lost_answer_is_fetched_again_under_the_same_upstream_key(sidecar: Sidecar, upstream: Upstream) -> None:
    first = sidecar.post("/keyed/lose-response/1/payments")
    second = sidecar.post("/keyed/lose-response/1/payments")
    third = sidecar.post("/keyed/lose-response/1/payments")
    assert first.status_code == 504
    assert "Repeat the identical request" in first.json()["detail"]
    assert second.status_code == third.status_code == 200
    assert second.headers["ledger-outcome"] == "executed"
    assert third.headers["ledger-outcome"] == "replayed"
    assert third.content == second.content
    assert len(upstream.effects()) == 1
    sent = upstream.lines()
    assert len(sent) == 2
    assert len({line["key"] for line in sent}) == 1
    assert sent[0]["key"]
    assert [(r["status"], r["runs"], r["unknown"]) for r in sidecar.records()] == [("success", 1, 0)]


def test_a_fresh_sdk_key_on_each_retry_is_still_one_effect(sidecar: Sidecar, upstream: Upstream) -> None:
    keys = ["0b5d3a52-9c8e-4a0e-8f1d-0d7f7d4f3a1b", "9d0ee9bc-3b1f-4d3e-9b62-95a3f9a2f3a8"]
    answers = [sidecar.post("/keyed/payments", Idempotency_Key=key) for key in keys]
    assert [a.headers["ledger-outcome"] for a in answers] == ["executed", "replayed"]
    assert len(upstream.effects()) == 1
    assert upstream.effects()[0]["key"] not in keys


def test_a_declined_payment_may_be_tried_again_under_a_new_key(sidecar: Sidecar, upstream: Upstream) -> None:
    declined = sidecar.post("/keyed/decline-then-ok/1/payments")
    paid = sidecar.post("/keyed/decline-then-ok/1/payments")
    assert (declined.status_code, paid.status_code) == (402, 200)
    assert declined.headers["ledger-outcome"] == "failed"
    assert len(upstream.effects()) == 1
    assert len({line["key"] for line in upstream.lines()}) == 2


def test_the_same_key_with_another_body_is_a_conflict(sidecar: Sidecar, upstream: Upstream) -> None:
    sidecar.post("/ok/charges", {"amount": 5}, Idempotency_Key="order-1")
    other = sidecar.post("/ok/charges", {"amount": 6}, Idempotency_Key="order-1")
    assert other.status_code == 422
    assert other.headers["ledger-outcome"] == "conflict"
    assert len(upstream.effects()) == 1


def test_the_correction_of_a_refused_request_may_use_its_key(sidecar: Sidecar, upstream: Upstream) -> None:
    """Nothing happened under it yet. From its success on the key stands for what was done."""
    path = "/refuse/400/1/charges"
    refused = sidecar.post(path, {"amount": "five"}, Idempotency_Key="order-1")
    corrected, again = (sidecar.post(path, {"amount": 5}, Idempotency_Key="order-1") for _ in range(2))
    other = sidecar.post(path, {"amount": "five"}, Idempotency_Key="order-1")
    told = [answer.headers["ledger-outcome"] for answer in (refused, corrected, again, other)]
    assert told == ["failed", "executed", "replayed", "conflict"]
    assert len(upstream.effects()) == 1


def test_a_reader_that_takes_no_gzip_gets_the_recorded_answer_plain(sidecar: Sidecar, upstream: Upstream) -> None:
    first = sidecar.post("/gzip/charges", Accept_Encoding="gzip")
    packed = sidecar.post("/gzip/charges", Accept_Encoding="gzip")
    plain = sidecar.post("/gzip/charges", Accept_Encoding="identity")
    assert first.headers["content-encoding"] == packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert plain.headers["ledger-outcome"] == "replayed"
    assert plain.content == first.content  # httpx has unpacked the first


def test_a_client_that_hangs_up_finds_the_outcome_when_it_returns(sidecar: Sidecar, upstream: Upstream) -> None:
    with pytest.raises(httpx.TimeoutException):
        sidecar.post("/slow/1500/charges", timeout=0.5)
    upstream.wait_for(lambda u: u.effects())
    answer = sidecar.post("/slow/1500/charges")
    assert answer.status_code == 200
    assert answer.headers["ledger-outcome"] == "replayed"
    assert len(upstream.effects()) == 1


def test_a_streamed_answer_waits_for_no_agent_that_left_before_it_began(sidecar: Sidecar, upstream: Upstream) -> None:
    with pytest.raises(httpx.TimeoutException):
        sidecar.post("/slow/1500/stream/9/20/charges", timeout=0.5)
    again = sidecar.post("/slow/1500/stream/9/20/charges")
    assert again.headers["Ledger-Outcome"] == "replayed"
    assert again.text.count("data: ") == 9
    assert len(upstream.effects()) == 1


def test_a_sidecar_that_is_stopped_drains_what_is_in_flight(tmp_path: Path, upstream: Upstream) -> None:
    sidecar = start(tmp_path / "s", upstream)
    answers: list[httpx.Response] = []
    agent = threading.Thread(target=lambda: answers.append(sidecar.post("/slow/1000/charges")))
    agent.start()
    upstream.wait_for(lambda u: u.effects())
    assert sidecar.stop() == 0
    agent.join()
    assert [a.status_code for a in answers] == [200]
    assert [r["status"] for r in sidecar.records()] == ["success"]


def test_what_the_drain_leaves_is_unknown(tmp_path: Path, upstream: Upstream) -> None:
    sidecar = start(tmp_path / "s", upstream, RULES, None, "--drain", "0.2")
    agent = threading.Thread(target=sidecar.try_post, args=("/hang/charges",))
    agent.start()
    upstream.wait_for(lambda u: u.effects())
    assert sidecar.stop() == 0
    agent.join()
    (record,) = sidecar.records()
    assert record["status"] == "unknown"
    assert "stopped" in record["error"]


def test_two_hundred_duplicates_over_two_sidecars_are_one_effect(tmp_path: Path, upstream: Upstream) -> None:
    with running(tmp_path / "s", upstream) as one, running(tmp_path / "s", upstream) as two:
        with ThreadPoolExecutor(200) as pool:
            asked = [pool.submit((one, two)[n % 2].post, "/slow/500/charges", {"amount": 7}) for n in range(200)]
            answers = [f.result() for f in asked]
        assert {a.status_code for a in answers} == {200}
        assert len({a.content for a in answers}) == 1
        assert sorted({a.headers["ledger-outcome"] for a in answers}) == ["executed", "replayed"]
        assert len(upstream.effects()) == 1
        time.sleep(0.3)  # counts may be written 100 ms late
        (record,) = one.records()
        assert (record["attempts"], record["runs"], record["blocked"]) == (200, 1, 199)


def test_a_renamed_rule_still_holds_an_unknown(tmp_path: Path, upstream: Upstream) -> None:
    with running(tmp_path / "s", upstream) as before:
        assert before.post("/lose-response/1/charges").status_code == 504
    with running(tmp_path / "s", upstream, RULES.replace("charges\n", "renamed\n")) as after:
        answer = after.post("/lose-response/1/charges")
    assert (answer.status_code, answer.headers["ledger-outcome"]) == (409, "held")
    assert len(upstream.effects()) == 1


def test_a_renamed_rule_still_answers_what_succeeded(tmp_path: Path, upstream: Upstream) -> None:
    with running(tmp_path / "s", upstream) as before:
        assert before.post("/ok/charges").status_code == 200
    with running(tmp_path / "s", upstream, RULES.replace("charges\n", "renamed\n")) as after:
        assert after.post("/ok/charges").headers["ledger-outcome"] == "replayed"
    assert len(upstream.effects()) == 1


def test_another_tenants_token_is_another_operation(sidecar: Sidecar, upstream: Upstream) -> None:
    sidecar.post("/ok/charges", X_Shopify_Access_Token="shop-a")
    other = sidecar.post("/ok/charges", X_Shopify_Access_Token="shop-b")
    assert other.headers["ledger-outcome"] == "executed"
    assert len(upstream.effects()) == 2


def test_headers_for_ledger_never_reach_an_upstream(sidecar: Sidecar, upstream: Upstream) -> None:
    for path in ("/ok/charges", "/ok/refunds"):
        sidecar.post(path, Ledger_Workflow="w", Ledger_Operation_Id="op", Ledger_Caller="c")
    sent = [name.lower() for line in upstream.lines() for name, _ in line["headers"]]
    assert not [name for name in sent if name.startswith("ledger-")]


def test_a_declined_recovery_send_is_not_shown_as_declined(sidecar: Sidecar, upstream: Upstream) -> None:
    first = sidecar.post("/lose-response/1/status/402/payments")
    second = sidecar.post("/lose-response/1/status/402/payments")
    assert first.status_code == 504
    assert (second.status_code, second.headers["ledger-outcome"]) == (504, "unknown")
    assert "402" in second.json()["detail"]


def test_a_person_settles_an_unknown(sidecar: Sidecar, upstream: Upstream) -> None:
    sidecar.post("/lose-response/1/charges")
    (record,) = sidecar.records()
    said = ledger("resolve", record["id"][:12], "--not-done", "--note", "checked at Stripe", "--db", sidecar.db)
    assert said.returncode == 0, said.stderr
    answer = sidecar.post("/lose-response/1/charges")
    assert answer.status_code == 200
    assert answer.headers["ledger-outcome"] == "executed"
