"""A key of ours in a body: in its place, nothing else changed, never where it could do harm."""

from __future__ import annotations

import json
from typing import Any

import pytest
from graphql import FieldNode, OperationDefinitionNode, parse, print_ast
from hypothesis import given
from hypothesis import strategies as st

from ledger.policy import OnUnknown
from ledger_rules import identify
from ledger_rules.directives import directive_slot
from ledger_rules.slots import member_slot
from ledger_rules.upstream_keys import key_slot
from tests.rules.helpers import SECRET, json_request, one_rule, request

KEY = "1b4e28ba-2fa1-4d4b-883f-0016d3cca427"
OTHER = "6fa459ea-ee8a-4ca4-894e-db77e160355e"

names = st.text(max_size=6)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=8,
)
objects = st.dictionaries(names, values, max_size=5)
spellings = st.sampled_from(
    ({}, {"indent": 2}, {"separators": (",", ":")}, {"ensure_ascii": False}, {"separators": (" , ", " : ")})
)


class TestAMember:
    @given(objects, spellings, st.none() | st.just("") | st.text(min_size=1))
    def test_only_the_key_changes_and_only_there(self, document: dict[str, Any], how: Any, own: str | None) -> None:
        document.pop("idempotency_key", None)
        sent = document | ({} if own is None else {"idempotency_key": own})
        slot = member_slot(json.dumps(sent, **how).encode("utf-8", "surrogatepass"), ("idempotency_key",))
        if slot is None:  # a lone surrogate is no UTF-8
            assert any("\ud800" <= character <= "\udfff" for character in json.dumps(sent, ensure_ascii=False))
            return
        assert slot.found == (own or None)
        assert json.loads(slot.filled(KEY)) == document | {"idempotency_key": KEY}
        assert json.loads(slot.emptied) == document | {"idempotency_key": ""}

    @given(objects, objects)
    def test_inside_another_object(self, document: dict[str, Any], inner: dict[str, Any]) -> None:
        inner.pop("sendId", None)
        slot = member_slot(json.dumps(document | {"message": inner}).encode(), ("message", "sendId"))
        assert slot is not None
        assert json.loads(slot.filled(KEY)) == document | {"message": inner | {"sendId": KEY}}

    def test_numbers_and_spelling_stay_as_they_were_written(self) -> None:
        body = b'{\n  "amount": 10.00, "note": "caf\\u00e9", "big": 12345678901234567890.10\n}'
        slot = member_slot(body, ("key",))
        assert slot is not None
        assert slot.filled("k") == b'{"key":"k",' + body[1:]

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"[]",
            b'"text"',
            b'{"a": 1',
            b'{"a": 1} {}',
            b'{"a": NaN}',
            b'{"a": 1, "a": 2}',
            b'{"idempotency_key": "a", "idempotency_key": "b"}',
            b'{"idempotency_key": "a", "idempotency\\u005fkey": "b"}',
            b'{"idempotency_key": 7}',
            b'{"idempotency_key": {"a": 1}}',
            b'{"a": "\xff"}',
            b'\xef\xbb\xbf{"a": 1}',
            b"{a: 1}",
            b'{"a": 1,}',
            b'{"a": ' + b"[" * 100_000,
        ],
    )
    def test_what_is_not_plain_is_left_alone(self, body: bytes) -> None:
        assert member_slot(body, ("idempotency_key",)) is None

    @pytest.mark.parametrize("body", [b"{}", b'{"message": null}', b'{"message": ["sendId"]}'])
    def test_nothing_is_made_up_around_it(self, body: bytes) -> None:
        assert member_slot(body, ("message", "sendId")) is None

    @given(st.binary(max_size=60))
    def test_no_bytes_make_it_raise(self, body: bytes) -> None:
        member_slot(body, ("a", "b"))
        directive_slot(body, "idempotent")

    def test_a_key_that_would_need_escaping_is_refused(self) -> None:
        slot = member_slot(b"{}", ("key",))
        assert slot is not None
        with pytest.raises(ValueError, match="letters, digits"):
            slot.filled('"} ')


def graphql(query: str, **more: Any) -> bytes:
    return json.dumps({"query": query, **more}).encode()


def directive_keys(body: bytes) -> list[str]:
    """The keys of @idempotent as a server reads them."""
    sent = json.loads(body)
    found = []
    for definition in parse(sent["query"]).definitions:
        assert isinstance(definition, OperationDefinitionNode)
        for field in definition.selection_set.selections:
            assert isinstance(field, FieldNode)
            for directive in field.directives or ():
                if directive.name.value != "idempotent":
                    continue
                value = (directive.arguments or ())[0].value
                name = getattr(getattr(value, "name", None), "value", None)
                found.append(sent["variables"][name] if name else getattr(value, "value", None))
    return found


WITHOUT_A_KEY = [
    "mutation { refundCreate(ids: [1, 2] # )\n, on: {a: 1}) { refund { id } } }",
    'mutation { refundCreate(input: {orderId: "gid://1", note: "a (b) {c} # d"}) { refund { id } } }',
    "mutation Refund($input: RefundInput!) { refundCreate(input: $input) { refund { id } } }",
    "mutation { refundCreate }",
    "mutation {\n  mine: refundCreate(\n    input: {}, # why\n  ) @include(if: true) { refund { id } }\n}",
]


class TestADirective:
    @pytest.mark.parametrize("query", WITHOUT_A_KEY)
    def test_is_added_to_the_field(self, query: str) -> None:
        slot = directive_slot(graphql(query, variables={"input": {"n": 1}}), "idempotent")
        assert slot is not None
        assert slot.found is None
        sent = slot.filled(KEY)
        assert directive_keys(sent) == [KEY]
        assert json.loads(sent)["variables"] == {"input": {"n": 1}}
        without = json.loads(sent)["query"].replace(f' @idempotent(key: "{KEY}")', "")
        assert print_ast(parse(without)) == print_ast(parse(query))

    def test_that_is_there_has_its_key_replaced(self) -> None:
        body = graphql(f'mutation {{ refundCreate(input: {{}}) @idempotent(key: "{OTHER}") {{ refund {{ id }} }} }}')
        slot = directive_slot(body, "idempotent")
        assert slot is not None
        assert slot.found == OTHER
        assert directive_keys(slot.filled(KEY)) == [KEY]
        assert slot.filled(OTHER) == body

    def test_that_takes_a_variable_has_the_variable_set(self) -> None:
        query = "mutation R($in: RefundInput!, $k: String!) { refundCreate(input: $in) @idempotent(key: $k) { ok } }"
        slot = directive_slot(graphql(query, variables={"in": {}, "k": OTHER}), "idempotent")
        assert slot is not None
        assert slot.found == OTHER
        assert json.loads(slot.filled(KEY)) == {"query": query, "variables": {"in": {}, "k": KEY}}

    def test_of_the_operation_that_runs(self) -> None:
        query = "mutation A { refundCreate { id } } mutation B { orderCreate { id } }"
        assert directive_slot(graphql(query), "idempotent") is None
        slot = directive_slot(graphql(query, operationName="B"), "idempotent")
        assert slot is not None
        assert b"orderCreate @idempotent" in slot.filled(KEY)

    @pytest.mark.parametrize(
        "query",
        [
            "query { orders { id } }",
            "mutation { a: refundCreate { id } b: refundCreate { id } }",
            "mutation { ...all } fragment all on Mutation { refundCreate { id } }",
            'mutation { refundCreate @idempotent(key: """block""") { id } }',
            "mutation { refundCreate @idempotent { id } }",
            'mutation { refundCreate @idempotent(key: "a") @idempotent(key: "b") { id } }',
            "mutation R($k: String!) { refundCreate(note: $k) @idempotent(key: $k) { id } }",
            "mutation R($k: String!) { refundCreate @idempotent(key: $k) { id } }",
            "mutation {",
            "",
        ],
    )
    def test_is_not_added_where_it_is_unclear_what_it_would_mean(self, query: str) -> None:
        assert directive_slot(graphql(query), "idempotent") is None


SQUARE = (
    "upstream_key: {body: $.idempotency_key, retention: 24h}, on_unknown: resend, idempotency_key: ignore-generated"
)


def operation(rule: str = SQUARE, body: Any = None, **headers: str):
    sent = json_request(json.dumps({"amount": 1} if body is None else body))
    sent["headers"] |= {name.replace("_", "-"): value for name, value in headers.items()}
    return identify(one_rule(rule), request(**sent), SECRET)


class TestAnOperation:
    def test_is_one_whatever_fresh_key_its_attempts_carry(self) -> None:
        first, again = (operation(body={"amount": 1, "idempotency_key": key}) for key in (KEY, OTHER))
        without = operation(body={"amount": 1})
        assert first.id == again.id == without.id
        assert first.ignored_key
        assert not without.ignored_key
        assert operation(body={"amount": 2, "idempotency_key": KEY}).id != first.id

    def test_goes_upstream_under_our_key(self) -> None:
        slot = operation(body={"amount": 1, "idempotency_key": OTHER}).upstream_key_slot
        assert slot is not None
        assert json.loads(slot.filled(KEY)) == {"amount": 1, "idempotency_key": KEY}

    def test_that_carries_a_chosen_key_is_named_by_it_and_keeps_it(self) -> None:
        one = operation(body={"amount": 1, "idempotency_key": "order-42"})
        assert (one.keyed, one.passed_key, one.takes_key) == (True, "order-42", False)
        assert one.policy.on_unknown is OnUnknown.RESEND
        changed = operation(body={"amount": 2, "idempotency_key": "order-42"})
        assert (changed.id, changed.payload != one.payload) == (one.id, True)
        assert operation(body={"amount": 1, "idempotency_key": "order-43"}).id != one.id

    @pytest.mark.parametrize(
        "headers",
        [
            {"Content_Encoding": "gzip"},
            {"Content_Type": "text/plain"},
            {"Authorization": "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20240101/us-east-1/x/aws4_request"},
            {"Webhook_Signature": "v1,abc"},
            {"X_Hub_Signature_256": "sha256=1"},
            {"Signature_Input": "sig1=()"},
            {"Content_Digest": "sha-256=:x:"},
            {"Content_MD5": "x"},
        ],
    )
    def test_whose_body_is_not_ours_to_edit_is_held_instead_of_sent_again(self, headers: dict[str, str]) -> None:
        one = operation(**headers)
        assert (one.takes_key, one.policy.on_unknown) == (False, OnUnknown.HOLD)

    @pytest.mark.parametrize(
        "headers",
        [
            {"Signature_Input": 'sig1=("@method" "idempotency-key");created=1'},
            {"Authorization": "AWS4-HMAC-SHA256 Credential=A/1/r/s/t, SignedHeaders=host;idempotency-key, Signature=1"},
        ],
    )
    def test_whose_signature_covers_the_header_keeps_it_and_is_held(self, headers: dict[str, str]) -> None:
        header = "upstream_key: {header: Idempotency-Key, retention: 24h}, on_unknown: resend"
        rule = f"{header}, idempotency_key: ignore-generated"
        one = operation(rule, Idempotency_Key=KEY, **headers)
        assert (one.takes_key, one.policy.on_unknown) == (False, OnUnknown.HOLD)
        assert operation(rule, Idempotency_Key=KEY, Signature_Input='sig1=("@method")').takes_key

    def test_a_body_too_long_to_look_through_is_left_alone(self) -> None:
        sent = request(**json_request(b'{"a": "' + b"x" * (1 << 20) + b'"}'))
        assert key_slot(sent, ("idempotency_key",), None) is None

    def test_a_mutation_is_one_whatever_key_its_directive_carries(self) -> None:
        rule = "upstream_key: {directive: idempotent, retention: 24h}, idempotency_key: ignore-generated"
        query = 'mutation {{ refundCreate(id: {}) @idempotent(key: "{}") {{ id }} }}'
        first, again, other = (
            operation(rule, body={"query": query.format(number, key)})
            for number, key in ((1, KEY), (1, OTHER), (2, KEY))
        )
        assert first.id == again.id != other.id
