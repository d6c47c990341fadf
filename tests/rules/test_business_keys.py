"""Business keys and what else of a request does not count: agents reword texts and make up ids."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger_rules import Rule
from tests.rules.helpers import json_request, one_rule, operation

ORDERS = "{url: 'https://hooks.example.com/orders/{order}/attempts/{attempt}', method: POST}"
TARGET = "/orders/42/attempts/1"


def ids(rule: Rule, *requests) -> int:
    """How many operations these requests are."""
    return len({operation(rule, **{"target": TARGET} | sent).id for sent in requests})


def body(text: str, **headers: str):
    return json_request(text, headers=headers)


class TestElsewhere:
    BY_HEADER = one_rule("fingerprint: {body: {only: [header.X-Order]}}", ORDERS)
    BY_PATH = one_rule("fingerprint: {body: {only: [path.order]}}", ORDERS)
    BY_QUERY = one_rule("fingerprint: {body: {only: [query.ref]}}", ORDERS)
    BY_BOTH = one_rule("fingerprint: {body: {only: [$.order, header.X-Tenant]}}", ORDERS)

    def test_a_header_names_the_operation_whatever_the_body_says(self):
        first, reworded = body('{"text": "Hello"}', **{"X-Order": "7"}), body('{"text": "Hi!"}', **{"X-Order": "7"})
        assert ids(self.BY_HEADER, first, reworded) == 1
        assert ids(self.BY_HEADER, first, body('{"text": "Hello"}', **{"X-Order": "8"})) == 2

    def test_without_its_header_the_whole_body_counts(self):
        assert ids(self.BY_HEADER, body('{"text": "Hello"}'), body('{"text": "Hi!"}')) == 2
        assert ids(self.BY_HEADER, body('{"a": 1}'), body('{"a": 1}', **{"X-Order": ""})) == 1

    def test_a_segment_of_the_path_names_the_operation(self):
        assert ids(self.BY_PATH, body('{"text": "Hello"}'), body('{"text": "Hi!"}')) == 1
        assert ids(self.BY_PATH, body("{}"), body("{}") | {"target": "/orders/43/attempts/1"}) == 2

    def test_a_query_parameter_names_the_operation(self):
        first = body("{}") | {"target": TARGET + "?ref=7"}
        assert ids(self.BY_QUERY, first, body('{"a": 1}') | {"target": TARGET + "?ref=7"}) == 1
        assert ids(self.BY_QUERY, first, body("{}") | {"target": TARGET + "?ref=8"}) == 2

    def test_all_parts_of_a_key_count_and_one_that_is_missing_unmakes_it(self):
        first = body('{"order": 7, "text": "Hello"}', **{"X-Tenant": "a"})
        assert ids(self.BY_BOTH, first, body('{"order": 7, "text": "Hi!"}', **{"X-Tenant": "a"})) == 1
        assert ids(self.BY_BOTH, first, body('{"order": 8, "text": "Hello"}', **{"X-Tenant": "a"})) == 2
        assert ids(self.BY_BOTH, first, body('{"order": 7, "text": "Hello"}', **{"X-Tenant": "b"})) == 2
        assert ids(self.BY_BOTH, body('{"order": 7, "text": "Hello"}'), body('{"order": 7, "text": "Hi!"}')) == 2


class TestPath:
    RULE = one_rule("fingerprint: {path: {ignore: [attempt]}}", ORDERS)

    @pytest.mark.parametrize("target", ["/orders/42/attempts/2", "/orders/42/attempts/x/", "/orders//42/attempts/3"])
    def test_a_named_segment_can_be_left_out(self, target):
        assert ids(self.RULE, {}, {"target": target}) == 1

    @pytest.mark.parametrize("target", ["/orders/43/attempts/1", "/orders/42/attempts/1?x=1"])
    def test_the_rest_of_the_url_counts(self, target):
        assert ids(self.RULE, {}, {"target": target}) == 2

    def test_the_content_id_still_tells_urls_apart(self):
        found = {operation(self.RULE, target=f"/orders/42/attempts/{n}").content_id for n in (1, 2)}
        assert len(found) == 2


@given(st.text(max_size=20), st.text(max_size=20))
def test_two_orders_are_never_one(one, other):
    rule = one_rule("fingerprint: {body: {only: [$.order]}}", ORDERS)
    requests = [json_request(json.dumps({"order": order})) for order in (one, other)]
    assert (ids(rule, *requests) == 1) == (one == other)
