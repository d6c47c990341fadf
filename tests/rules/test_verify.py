"""Asking the provider: which URL a request leads to, and what an answer proves."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from ledger_rules import loads
from ledger_rules.errors import RulesError
from ledger_rules.outcome import chosen, verified
from ledger_rules.rule import Rule, Verify
from tests.rules.helpers import form_request, json_request, one_rule, request

MATCH = "{url: 'https://hooks.example.com/shops/{shop}/orders'}"
TARGET = "/shops/berlin/orders?ref=r1"


PARTS = "fingerprint: {headers: [X-Tenant, X-None]}"


def asking(get: str, more: str = "done: '$.data[0]'", match: str = MATCH, parts: str = PARTS) -> tuple[Rule, Verify]:
    rule = one_rule(f"verify: {{get: '{get}', {more}}}, {parts}", match)
    assert rule.verify is not None
    return rule, rule.verify


def asked(get: str, **sent) -> str | None:
    rule, verify = asking(get)
    return verify.get.filled(request(**{"target": TARGET} | json_request('{"id": 7}') | sent), rule.urls)


def test_a_url_is_filled_from_body_path_query_and_header():
    get = "/shops/{path.shop}/orders/{$.id}?ref={query.ref}&tenant={header.X-Tenant}"
    sent = json_request('{"id": "a/b?c"}', headers={"X-Tenant": "ü"})
    assert asked(get, **sent) == "https://hooks.example.com/shops/berlin/orders/a%2Fb%3Fc?ref=r1&tenant=%C3%BC"


def test_numbers_and_form_fields_can_be_asked_for():
    assert asked("/orders/{$.id}") == "https://hooks.example.com/orders/7"
    assert asked("/orders/{$.id}", **form_request("id=7")) == "https://hooks.example.com/orders/7"


@pytest.mark.parametrize(
    "body", ["{}", "[]", "{", '{"id": null}', '{"id": ""}', '{"id": ".."}', '{"id": 1.5}', '{"id": true}',
             '{"id": [1, 2]}', '{"id": {}}', '{"id": 1, "id": 2}']
)  # fmt: skip
def test_without_one_plain_value_nothing_is_asked(body):
    assert asked("/orders/{$.id}", **json_request(body)) is None


def test_a_parameter_that_is_there_twice_has_no_value():
    assert asked("/orders?ref={query.ref}", target="/shops/berlin/orders?ref=1&ref=2") is None
    assert asked("/orders?ref={query.nope}") is None
    assert asked("/orders?ref={header.X-None}") is None


def test_only_the_requests_own_origin_is_asked():
    match = "{url: ['https://hooks.example.com/**', 'https://test.example.com/**']}"
    rule, verify = asking("https://hooks.example.com/orders", match=match)
    assert verify.get.filled(request(), rule.urls) == "https://hooks.example.com/orders"
    assert verify.get.filled(request(host="test.example.com"), rule.urls) is None


def test_the_key_that_the_provider_got_can_be_asked_for():
    _, verify = asking("/orders?key={key}", parts="upstream_key: {header: Idempotency-Key, retention: 24h}")
    assert verify.get.filled(request(), (), "k 1") == "https://hooks.example.com/orders?key=k%201"
    assert verify.get.filled(request(), ()) is None


@pytest.mark.parametrize(
    ("get", "parts", "why"),
    [
        ("/o/{$.id}", "fingerprint: {body: {only: [$.order]}}", "fingerprint.body.only does not name it"),
        ("/o?ref={query.ref}", "fingerprint: {query: {ignore: [ref]}}", "fingerprint.query.ignore names it"),
        ("/o/{path.shop}", "fingerprint: {path: {ignore: [shop]}}", "fingerprint.path.ignore names it"),
        ("/o?by={header.X-Request-Id}", "max: 1", "list the header in fingerprint.headers"),
        ("/o?key={key}", "max: 1", "without 'upstream_key' no key of the first attempt is known"),
    ],
)
def test_what_can_differ_between_two_attempts_cannot_be_asked_by(get, parts, why):
    """Asked by it, the provider would speak of another operation, and its "no" would run this one twice."""
    with pytest.raises(RulesError, match=re.escape(f"can differ between two attempts of one operation: {why}")):
        asking(get, parts=parts)


@pytest.mark.parametrize("ignored", ["$.sent", "$..sent", "$.*.sent", "$.meta", "$.meta.sent"])
def test_an_ignored_part_of_the_body_is_never_asked_by(ignored):
    rule, verify = asking("/o/{$.meta.sent}", parts=f"fingerprint: {{body: {{ignore: ['{ignored}']}}}}")
    sent = json_request('{"id": 7, "sent": 1, "meta": {"sent": 5}}')
    filled = verify.get.filled(request(**sent), rule.urls, None, rule.fingerprint.body.ignore)
    assert (filled is None) == (ignored != "$.sent")


def test_a_part_of_the_answer_can_be_the_result():
    _, verify = asking("/o", "done: '$.data[0]', result: '$.data[0]'")
    assert verify.result is not None
    assert chosen(verify.result, None, b'{"data": [{"b": 1, "a": 2.50}]}') == b'{"a":2.50,"b":1}'
    for body in (b'{"data": []}', b"{", b""):
        assert chosen(verify.result, None, body) is None


@given(st.text(min_size=1))
def test_no_value_leads_out_of_its_place(text):
    filled = asked("/orders/{$.id}/events?ref={$.id}", **json_request(json.dumps({"id": text})))
    if filled is not None:
        url = URL(filled, encoded=True)
        assert (url.host, url.raw_fragment, len(url.raw_parts)) == ("hooks.example.com", "", 4)
        assert url.raw_path.endswith("/events")
        assert list(url.query) == ["ref"]


PROOFS = "done: '$.data[0]', not_done: '$.data == []'"


def says(status: int, body: str, proofs: str = PROOFS) -> str | None:
    return verified(asking("/orders", proofs)[1], status, [("Content-Type", "application/json")], body.encode())


def test_an_answer_proves_what_its_conditions_say():
    assert says(200, '{"data": [{"id": 1}]}') == "success"
    assert says(200, '{"data": []}') == "failed"


@pytest.mark.parametrize(("status", "body"), [(200, '{"data": "x"}'), (200, "{"), (200, ""), (404, '{"data": []}'),
                                              (500, '{"data": [1]}'), (302, '{"data": [1]}')])  # fmt: skip
def test_any_other_answer_proves_nothing(status, body):
    assert says(status, body) is None


def test_a_status_can_be_the_proof():
    proofs = "done: '200', not_done: 404"
    assert [says(status, "", proofs) for status in (200, 404, 500)] == ["success", "failed", None]
    assert says(404, '{"code": "gone"}', "done: $.id, not_done: \"404 $.code == 'no_such_order'\"") is None


def test_an_answer_that_says_both_proves_nothing():
    assert says(200, '{"data": [1]}', "done: '$.data', not_done: '$.data'") is None


def test_a_verify_block_is_what_to_do_about_an_unknown():
    rule, verify = asking("/orders")
    assert verify.settle == 120
    assert rule.policy.on_unknown == "verify"
    said = "on_unknown: verify, verify: {get: /, done: $.a, settle: 5s}"
    text = f"defaults: {{on_unknown: hold}}\nrules: [{{name: a, match: {{url: 'https://x.com/'}}, {said}}}]"
    again = loads(text).rules[0].verify
    assert again is not None
    assert again.settle == 5
