"""What varies between two attempts, how it looks, and the rules that are proposed from it."""

from __future__ import annotations

import json
from email.utils import formatdate
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from ledger_rules.loader import loads
from ledger_rules.request import Request
from ledger_rules.rule import Fingerprint
from ledger_rules.shapes import MAX_FIELDS, VOLATILE, Shape, fields, shape
from ledger_rules.suggesting import Observed, as_yaml, propose
from ledger_rules.varying import to_ignore, variation

NOW = 1_790_000_000.0
SECRET = b"s" * 32


def request(body: Any, target: str = "/orders", headers: tuple[tuple[str, str], ...] = ()) -> Request:
    sent = json.dumps(body).encode()
    told = (("Content-Type", "application/json"), *headers)
    return Request("POST", "https", "api.example.com", 443, target, told, sent)


def observed(body: Any, at: float = NOW, target: str = "/orders", **headers: str) -> Observed:
    one = request(body, target, tuple((n.replace("_", "-"), v) for n, v in headers.items()))
    return Observed("POST", "https://api.example.com", target, at, fields(one, SECRET, at))


class TestShapes:
    def test_times_in_every_common_spelling(self) -> None:
        for value in (
            int(NOW),
            NOW + 0.25,
            NOW * 1e3,
            str(int(NOW)),
            f"{NOW:.6f}",
            "2026-11-24T10:00:00Z",
            formatdate(NOW),
        ):
            assert shape("sent", value, NOW) is Shape.TIME, value

    def test_a_number_that_is_not_about_now_is_a_number(self) -> None:
        assert shape("amount", 1_290_000_000, NOW) is Shape.NUMBER
        assert shape("phone", "4915112345678", NOW) is Shape.TEXT

    def test_random_ids_and_tokens(self) -> None:
        assert shape("id", "9f1c2e4a-7b1d-4c3a-9e55-0d2a6b7c8d9e", NOW) is Shape.UUID
        assert shape("id", "01ARZ3NDEKTSV4RRFFQ69G5FAV", NOW) is Shape.UUID
        assert shape("n", "k3J9xQ0zP8vL2mN7", NOW) is Shape.RANDOM

    def test_names_that_tell(self) -> None:
        assert shape("trace_id", "abc", NOW) is Shape.TRACE
        assert shape("X-Request-Id", "abc", NOW) is Shape.TRACE
        assert shape("retry_count", 2, NOW) is Shape.COUNTER

    def test_business_values_are_never_noise(self) -> None:
        for name, value in (
            ("amount", 1299),
            ("currency", "eur"),
            ("to", "ada@example.com"),
            ("paid", True),
            ("x", None),
        ):
            assert shape(name, value, NOW) not in VOLATILE

    @given(
        st.text(), st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.lists(st.integers()))
    )
    def test_no_value_is_too_strange(self, name: str, value: object) -> None:
        assert isinstance(shape(name, value, NOW), Shape)


class TestFields:
    def test_places_are_json_paths_and_no_value_is_kept(self) -> None:
        found = fields(request({"a": {"b c": [1, "secret-of-ada"]}}, "/o?ts=5"), SECRET, NOW)
        assert [f.place for f in found] == ["query.ts", "$.a['b c'][0]", "$.a['b c'][1]"]
        assert "secret-of-ada" not in repr(found)

    def test_equal_values_have_equal_digests_under_one_secret_only(self) -> None:
        one, same = fields(request({"a": 1}), SECRET, NOW), fields(request({"a": 1}), SECRET, NOW)
        assert one == same != fields(request({"a": 1}), b"t" * 32, NOW)

    def test_a_form_is_read_by_its_names(self) -> None:
        form = Request(
            "POST", "https", "h", 443, "/", (("Content-Type", "application/x-www-form-urlencoded"),), b"a=1&b=2&b=3"
        )
        assert [f.place for f in fields(form, SECRET, NOW)] == ["$.a", "$.b"]

    @given(
        st.binary(max_size=300),
        st.sampled_from(["application/json", "multipart/form-data; boundary=x", "text/xml", ""]),
    )
    def test_no_body_is_too_strange_and_none_too_large(self, body: bytes, kind: str) -> None:
        one = Request("POST", "https", "h", 443, "/?%zz", (("Content-Type", kind),), body)
        assert len(fields(one, SECRET, NOW)) <= MAX_FIELDS

    def test_it_stops_at_the_bound(self) -> None:
        assert len(fields(request(list(range(10_000))), SECRET, NOW)) == MAX_FIELDS


class TestVariation:
    def test_noise_alone(self) -> None:
        one = fields(request({"order": 1, "sent_at": NOW}), SECRET, NOW)
        other = fields(request({"order": 1, "sent_at": NOW + 2}), SECRET, NOW + 2)
        found = variation(one, other)
        assert found is not None
        assert found.noise
        assert to_ignore(found.fields, Fingerprint()) == 'fingerprint: {body: {ignore: ["$.sent_at"]}}'

    def test_another_amount_is_not_noise(self) -> None:
        one, other = (fields(request({"order": 1, "amount": n}), SECRET, NOW) for n in (100, 200))
        found = variation(one, other)
        assert found is not None
        assert not found.noise

    def test_equal_and_unlike_requests_say_nothing(self) -> None:
        one = fields(request({"a": 1, "b": 2}), SECRET, NOW)
        assert variation(one, one) is None
        assert variation(one, fields(request({"a": 3, "b": 4}), SECRET, NOW)) is None
        assert variation(one, fields(request({"a": 1}), SECRET, NOW)) is None


class TestProposals:
    def test_noise_is_ignored_and_business_is_kept_each_with_its_evidence(self) -> None:
        seen = [observed({"order": 7, "amount": 5, "sent_at": NOW + n}, NOW + n) for n in range(3)]
        seen.append(observed({"order": 7, "amount": 6, "sent_at": NOW + 3}, NOW + 3))
        text = as_yaml(propose(seen))
        assert '- "$.sent_at"  # $.sent_at varied 3 times and is a time' in text
        assert "# kept: $.amount varied 3 times and is a number" in text
        assert loads(text).rules[0].name == "post-api-example-com-orders"

    def test_minted_keys_are_not_respected(self) -> None:
        keys = ("0f8fad5b-d9cb-469f-a165-70867728950e", "7c9e6679-7425-40de-944b-e07fc1f90ae7")
        seen = [observed({"order": 7, "amount": 5}, Idempotency_Key=key) for key in keys]
        assert "idempotency_key: ignore-generated" in as_yaml(propose(seen))

    def test_ids_in_paths_are_one_endpoint(self) -> None:
        seen = [observed({"a": 1}, target=f"/orders/{n}/refunds?x=1") for n in (17, 18)]
        assert [p.url for p in propose(seen)] == ["https://api.example.com/orders/*/refunds"]

    def test_spellings_of_one_path_are_one_endpoint(self) -> None:
        targets = ("/", "//", "/./", "/orders", "/%6frders", "/a/../orders")
        assert [p.url for p in propose([observed({"a": 1}, target=t) for t in targets])] == [
            "https://api.example.com/",
            "https://api.example.com/%6frders",
        ]

    def test_far_apart_is_no_retry(self) -> None:
        seen = [observed({"a": 1, "sent_at": at}, at) for at in (NOW, NOW + 3600)]
        (found,) = propose(seen)
        assert not found.ignored

    @given(
        st.lists(
            st.tuples(
                st.dictionaries(
                    st.text(max_size=6), st.one_of(st.integers(), st.text(max_size=6), st.just(NOW)), max_size=4
                ),
                st.text(st.characters(codec="ascii", exclude_characters="#"), max_size=12),
            ),
            min_size=1,
            max_size=6,
        )
    )
    @example([({}, ".")])
    @example([({}, ""), ({}, "/")])
    @example([({}, ""), ({}, "0"), ({}, "2.")])
    def test_whatever_was_observed_the_proposal_can_be_loaded(self, seen: list[tuple[dict[str, Any], str]]) -> None:
        loads(as_yaml(propose([observed(body, target="/" + target) for body, target in seen])))
