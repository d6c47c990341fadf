"""Rules that look into the body: JSON, forms and GraphQL. What a server may read as the effect must not slip past."""

from __future__ import annotations

import gzip
import json

import pytest

from ledger_rules import Ruleset, loads
from ledger_rules.ruleset import decide
from tests.rules.helpers import form_request, json_request, request, ruleset

CHARGE = ruleset(match="""{url: 'https://hooks.example.com/**', body: "$.kind == 'charge'"}""")


def means(rules: Ruleset, **sent) -> bool:
    return rules.match(request(**sent)) is not None


@pytest.mark.parametrize(
    "sent",
    [
        json_request('{"kind": "charge", "amount": 1}'),
        json_request('{"kind": "\\u0063harge"}'),
        {"body": b'{"kind": "charge"}'},
        json_request(b'{"kind": "charge"}', headers={"Content-Type": "text/plain"}),
        json_request(b'{"kind": "charge"}', headers={"Content-Type": "application/vnd.api+json"}),
        json_request(gzip.compress(b'{"kind": "charge"}'), headers={"Content-Encoding": "gzip"}),
        json_request('{"kind": "charge"}'.encode("utf-16")),
        form_request('{"kind": "charge"}'),
        form_request('{"kind": "charge", "rate": "5%"}'),
        json_request(b'{"kind": "charge"}', headers={"Content-Type": "application/xml"}),
    ],
)
def test_a_condition_is_held_against_json_however_it_is_sent(sent):
    assert means(CHARGE, **sent)


@pytest.mark.parametrize("body", ['{"kind": "quote"}', "{}", "[]", "7", '"charge"', '{"kind": ["charge"]}'])
def test_a_body_that_says_something_else_is_not_meant(body):
    assert not means(CHARGE, **json_request(body))


def test_a_body_that_is_no_data_is_not_meant():
    assert not means(CHARGE)
    assert not means(CHARGE, **json_request(b"\x00\x01", headers={"Content-Type": "application/octet-stream"}))
    assert not means(CHARGE, **json_request(b"<kind>charge</kind>", headers={"Content-Type": "application/xml"}))


@pytest.mark.parametrize(
    "body",
    [
        b'{"kind": "charge"',
        b'{"kind": "charge", }',
        b"\xff\xfe\xfa",
        b'{"a": ' + b"[" * 10_000 + b"]" * 10_000 + b"}",
        b'{"n": ' + b"9" * 5000 + b"}",
    ],
)
def test_json_that_cannot_be_read_counts_as_meant(body):
    assert means(CHARGE, **json_request(body))


def test_an_encoding_that_cannot_be_undone_counts_as_meant():
    assert means(CHARGE, **json_request(b"{}", headers={"Content-Encoding": "gzip"}))
    assert means(CHARGE, **json_request(b"{}", headers={"Content-Encoding": "rot13"}))


def test_of_a_key_that_is_there_twice_either_value_counts():
    assert means(CHARGE, **json_request('{"kind": "charge", "kind": "quote"}'))
    assert means(CHARGE, **json_request('{"kind": "quote", "kind": "charge"}'))


def test_the_fields_of_forms_are_lists():
    rules = ruleset(match="""{url: 'https://hooks.example.com/**', body: "$.kind[0] == 'charge'"}""")
    assert means(rules, **form_request("amount=1&kind=charge"))
    assert not means(rules, **form_request("kind=quote"))
    boundary = {"Content-Type": "multipart/form-data; boundary=b"}
    part = b'--b\r\nContent-Disposition: form-data; name="kind"\r\n\r\n%s\r\n--b--\r\n'
    assert means(rules, **json_request(part % b"charge", headers=boundary))
    assert not means(rules, **json_request(part % b"quote", headers=boundary))


def test_all_of_several_conditions_must_hold():
    rules = ruleset(match="{url: 'https://hooks.example.com/**', body: ['$.amount > 10', '$.live']}")
    assert means(rules, **json_request('{"amount": 11, "live": false}'))
    assert not means(rules, **json_request('{"amount": 11}'))
    assert not means(rules, **json_request('{"amount": 9, "live": true}'))


def test_rules_of_one_place_are_told_apart_by_their_bodies_in_the_order_of_the_file():
    rules = loads("""
rules:
  - {name: charge, match: {url: "https://x.com/rpc", body: "$.kind == 'charge'"}}
  - {name: refund, match: {url: "https://x.com/rpc", body: "$.kind == 'refund'"}}
  - {name: other, match: {url: "https://x.com/rpc"}}
  - {name: elsewhere, match: {url: "https://x.com/**"}}
""")
    for kind, name in {"charge": "charge", "refund": "refund", "quote": "other"}.items():
        found = rules.match(request(host="x.com", target="/rpc", **json_request(json.dumps({"kind": kind}))))
        assert found is not None
        assert found.name == name


def test_the_head_alone_tells_what_can_still_be_meant():
    head = request(headers={"Content-Type": "application/json"})
    candidates = CHARGE.candidates(head)
    assert [rule.name for rule in candidates] == ["order"]
    assert decide(candidates, request(**json_request('{"kind": "charge"}'))) is candidates[0]
    assert decide(candidates, request(**json_request('{"kind": "quote"}'))) is None
    assert not CHARGE.candidates(request(method="GET"))
    assert not CHARGE.candidates(request(host="elsewhere.example.com"))


class TestGraphql:
    PAY = ruleset(
        match="{url: 'https://hooks.example.com/graphql', graphql: {field: ['payment*', refundCreate], name: 'Do*'}}"
    )
    ANY = ruleset(match="{url: 'https://hooks.example.com/graphql', graphql: {}}")

    def means(self, query: str, rules: Ruleset = PAY, **more) -> bool:
        return means(rules, target="/graphql", **json_request(json.dumps({"query": query, **more})))

    def test_a_mutation_is_known_by_its_fields_and_name(self):
        assert self.means("mutation DoIt { paymentCreate(amount: 1) { id } }")
        assert self.means("mutation DoIt { hidden: refundCreate { id } }")
        assert self.means("mutation DoIt { ...F } fragment F on Mutation { paymentCreate { id } }")
        assert not self.means("mutation DoIt { orderCreate { id } }")
        assert not self.means("mutation Other { paymentCreate { id } }")
        assert not self.means("query DoIt { payments { id } }")

    def test_without_more_every_mutation_is_meant_and_no_query(self):
        assert self.means("mutation { anything }", self.ANY)
        assert not self.means("{ shop { name } }", self.ANY)
        assert not self.means("subscription { orders }", self.ANY)

    def test_other_types_on_request(self):
        both = ruleset(match="{url: 'https://hooks.example.com/graphql', graphql: {type: [query, mutation]}}")
        assert self.means("{ shop { name } }", both)

    def test_one_mutation_in_a_batch_is_enough(self):
        batch = [{"query": "{ shop { name } }"}, {"query": "mutation DoIt { paymentCreate { id } }"}]
        assert means(self.PAY, target="/graphql", **json_request(json.dumps(batch)))
        assert means(self.PAY, target="/graphql", **json_request(json.dumps([{"query": "{ a }"}] * 1_001)))
        assert not means(self.PAY, target="/graphql", **json_request(json.dumps(batch[:1])))

    def test_a_persisted_operation_may_be_the_one(self):
        persisted = {"extensions": {"persistedQuery": {"sha256Hash": "00"}}}
        assert means(self.PAY, target="/graphql", **json_request(json.dumps(persisted)))
        known = persisted | {"operationName": "Elsewhere"}
        assert not means(self.PAY, target="/graphql", **json_request(json.dumps(known)))

    @pytest.mark.parametrize("body", [b"{", b"", b'{"query": "mutation {"}', b'{"foo": 1}'])
    def test_what_cannot_be_read_may_be_the_one(self, body):
        assert means(self.PAY, target="/graphql", **json_request(body))

    def test_the_bare_text_and_the_upload_format_are_read(self):
        mutation, query = "mutation DoIt { paymentCreate { id } }", "{ shop { name } }"
        for text, meant in ((mutation, True), (query, False)):
            bare = json_request(text, headers={"Content-Type": "application/graphql"})
            assert means(self.PAY, target="/graphql", **bare) == meant
            part = '--b\r\nContent-Disposition: form-data; name="operations"\r\n\r\n%s\r\n--b--\r\n'
            upload = json_request(
                part % json.dumps({"query": text}), headers={"Content-Type": "multipart/form-data; boundary=b"}
            )
            assert means(self.PAY, target="/graphql", **upload) == meant

    def test_a_query_in_the_url_is_read(self):
        rules = ruleset(match="{url: 'https://hooks.example.com/graphql', method: GET, graphql: {type: query}}")
        assert means(rules, method="GET", target="/graphql?query=%7B%20shop%20%7D")
        assert not means(rules, method="GET", target="/graphql?query=mutation%20%7B%20a%20%7D")
