"""What a GraphQL request asks for, and that its text has one spelling."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger_rules.graphql import Operation, read, read_all

PAY = "mutation Pay($input: PayInput!) { paymentCreate(input: $input) { id } }"


def asked(query: object, **parts: object) -> Operation | None:
    return read(json.dumps({"query": query} | parts).encode())


def found(query: object, **parts: object) -> Operation:
    one = asked(query, **parts)
    assert one is not None
    return one


class TestWhatIsAsked:
    def test_type_name_and_root_fields(self):
        one = found(PAY, variables={"input": {"amount": 5}})
        assert (one.type, one.name, one.fields) == ("mutation", "Pay", ("paymentCreate",))

    def test_an_anonymous_query(self):
        one = found("{ me: user { id } shop { name } }")
        assert (one.type, one.name, one.fields) == ("query", None, ("user", "shop"))

    def test_fields_are_found_through_fragments_even_when_these_go_in_circles(self):
        one = found("mutation { ...A ... on Mutation { b } } fragment A on Mutation { a ...A ...Gone }")
        assert one.fields == ("a", "b")

    def test_the_operation_name_chooses_among_several(self):
        several = f"query Look {{ shop {{ id }} }} {PAY}"
        assert found(several, operationName="Look").type == "query"
        assert found(several, operationName="Pay").type == "mutation"

    @pytest.mark.parametrize("name", [None, "", "Other"])
    def test_where_the_choice_is_unclear_a_mutation_counts(self, name):
        one = found(f"query Look {{ shop {{ id }} }} {PAY}", operationName=name)
        assert (one.type, one.name, one.fields) == ("mutation", "Pay", ("shop", "paymentCreate"))

    def test_further_keys_hide_no_mutation(self):
        assert found(PAY, doc_id="7").type == "mutation"

    def test_a_persisted_query_has_a_name_and_no_type(self):
        body = {"operationName": "Pay", "extensions": {"persistedQuery": {"version": 1, "sha256Hash": "ab"}}}
        assert read(json.dumps(body).encode()) == Operation(None, "Pay", (), "")

    def test_a_batch_is_several_operations_and_not_one(self):
        body = json.dumps([{"query": PAY}, {"query": "{ shop { id } }"}]).encode()
        assert [one.type for one in read_all(body)] == ["mutation", "query"]
        assert read(body) is None

    def test_a_batch_with_anything_else_in_it_is_none(self):
        assert read_all(json.dumps([{"query": PAY}, {"amount": 5}]).encode()) == ()


class TestWhatIsNoGraphQL:
    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"{",
            b"7",
            b"null",
            b"[]",
            b"\xff",
            b'{"query": 5}',
            b'{"query": "shoes"}',
            b'{"query": "{ a }", "operationName": 5}',
            b'{"query": "type A { b: Int }"}',
            b'{"query": "mutation {"}',
            b'{"variables": {}}',
            b"[" * 100_000,
        ],
    )
    def test_other_bodies(self, body):
        assert read(body) is None

    def test_documents_made_to_keep_the_parser_busy(self):
        assert asked("{" * 50_000) is None
        assert asked("{ a " * 5_000 + "}" * 5_000) is None
        assert asked("{ " + "a " * 30_000 + "}") is None
        assert asked("{ a " + " " * (256 << 10) + "}") is None

    @given(st.binary(max_size=100) | st.text(max_size=60).map(lambda text: json.dumps({"query": text}).encode()))
    def test_nothing_is_too_strange(self, body):
        assert read_all(body) == read_all(body)


NOISE = st.sampled_from([" ", "\n", "\t", ",", " # why\n", "\ufeff", "\r\n"])
TOKENS = ["mutation", "Pay", "(", "$a", ":", "Int", "=", "3", ")", "{", "x", ":", "pay", "(", "a", ":", "$a", "n", ":"]
TOKENS += ['"two words, # kept"', ")", "@idempotent", "(", "key", ":", '"k"', ")", "{", "id", "...", "F", "}", "}"]
TOKENS += ["fragment", "F", "on", "P", "{", "amount", "}"]


class TestOneSpelling:
    @given(st.lists(NOISE, min_size=len(TOKENS), max_size=len(TOKENS)))
    def test_white_space_commas_and_comments_do_not_matter(self, noise):
        spelled = "".join(token + gap for token, gap in zip(TOKENS, noise, strict=True))
        assert found(spelled) == found(" ".join(TOKENS))

    @pytest.mark.parametrize("place", [n for n, token in enumerate(TOKENS) if token.isalnum() or '"' in token])
    def test_every_name_and_value_does(self, place):
        token = TOKENS[place]
        changed = f'{token[:-1]}X"' if token.endswith('"') else f"{token}1"
        assert asked(" ".join([*TOKENS[:place], changed, *TOKENS[place + 1 :]])) != found(" ".join(TOKENS))

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            ("mutation { a b }", "mutation { b a }"),
            ('mutation { a(n: "x  y") }', 'mutation { a(n: "x y") }'),
            ('mutation { a(n: "1") }', "mutation { a(n: 1) }"),
            ("mutation { a(n: 1.0) }", "mutation { a(n: 1) }"),
            ("mutation { a(n: [1, 2]) }", "mutation { a(n: [12]) }"),
            ('mutation { a(n: """x\n  y""") }', 'mutation { a(n: """x\n    y\nz""") }'),
            ("mutation { x: a }", "mutation { a }"),
        ],
    )
    def test_what_could_be_two_payments_is_two(self, one, other):
        assert found(one).document != found(other).document
