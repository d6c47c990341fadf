"""Which attempts are one operation: keys, accounts, workflows, and what survives a renamed rule."""

from __future__ import annotations

import sys
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger_rules import LEDGER_HEADERS, MissingKey, identify
from ledger_rules.canonical import part
from ledger_rules.operation import VERSION, digest, read_body
from ledger_rules.urls import LONGEST_REMEMBERED, REMEMBERED, identity, whole
from tests.rules.helpers import SECRET, json_request, one_rule, operation, request, ruleset

RANDOM = "0f8fad5b-d9cb-469f-a165-70867728950e"
OTHER = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
PAID = json_request('{"amount": 5}')


def keyed(mode: str, key: str | None, body: str = '{"amount": 5}', **headers: str):
    rule = one_rule(f"idempotency_key: {mode}, upstream_key: {{header: Idempotency-Key, retention: 24h}}")
    sent = headers | ({"Idempotency-Key": key} if key is not None else {})
    return operation(rule, **json_request(body, headers=sent))


class TestWithoutAKey:
    def test_the_content_is_the_identity(self):
        one, other = operation(**PAID), operation(**json_request('{ "amount" : 5 }'))
        assert one.id == other.id
        assert (one.keyed, one.ignored_key, one.passed_key) == (False, None, None)

    @pytest.mark.parametrize(
        "change",
        [
            {"body": b'{"amount": 6}'},
            {"method": "PUT"},
            {"target": "/refunds"},
            {"target": "/orders?test=1"},
            {"port": 8443},
            {"host": "other.example.com"},
            {"headers": {"Content-Type": "application/vnd.api+json"}},
            {"headers": {"Content-Type": "application/json", "Authorization": "Bearer x"}},
            {"headers": {"Content-Type": "application/json", "Ledger-Workflow": "order-2"}},
            {"headers": {"Content-Type": "application/json", "Ledger-Operation-Id": "7"}},
        ],
    )
    def test_any_single_difference_is_another_operation(self, change):
        assert operation(**PAID).id != operation(**PAID | change).id

    @pytest.mark.parametrize(
        "noise",
        [
            {"User-Agent": "x"},
            {"traceparent": "00-1"},
            {"X-Request-Id": RANDOM},
            {"Date": "today"},
            {"Cookie": "a=b"},
            {"Ledger-Caller": "agent-b"},
            {"Host": "elsewhere.example.com"},
        ],
    )
    def test_headers_that_vary_between_attempts_do_not_matter(self, noise):
        assert operation(**PAID).id == operation(**json_request('{"amount": 5}', headers=noise)).id

    @pytest.mark.parametrize("name", ["X-HTTP-Method-Override", "x-http-method", "X-Method-Override"])
    def test_a_header_that_makes_it_another_method_does(self, name):
        plain, deleted = (operation(**json_request("{}", headers=h)) for h in ({}, {name: "DELETE"}))
        assert plain.id != deleted.id
        assert plain.content_id != deleted.content_id
        assert operation(**json_request("{}", headers={name: "delete"})).id == deleted.id

    def test_headers_the_rule_lists_do(self):
        rule = one_rule("fingerprint: {headers: [X-Tenant]}")
        ids = {operation(rule, headers={"X-Tenant": t}).id for t in ("a", "b")} | {operation(rule).id}
        assert len(ids) == 3

    def test_ignored_query_parameters_do_not(self):
        rule = one_rule("fingerprint: {query: {ignore: [ts]}}")
        assert operation(rule, target="/a?ts=1&x=1").id == operation(rule, target="/a?x=1&ts=2").id
        assert operation(rule, target="/a?ts=1&x=1").id != operation(rule, target="/a?ts=1&x=2").id

    def test_another_ledger_cannot_guess_it(self):
        assert identify(one_rule(), request(), SECRET).id != identify(one_rule(), request(), b"other").id


class TestWhatIsRememberedOfUrls:
    """It saves time and changes nothing: for more URLs than are remembered, and for those too long for it."""

    TARGETS = [f"/orders/%7e{n}{query}" for n in range(2 * REMEMBERED) for query in ("", "?a=%7e")] + [
        f"/{'x' * LONGEST_REMEMBERED}{n}" for n in "12"
    ]

    def test_urls_stay_themselves(self):
        first, again = ([operation(target=target) for target in self.TARGETS] for _ in range(2))
        assert first == again
        assert len({one.id for one in first}) == len({one.content_id for one in first}) == len(self.TARGETS)
        assert [one.about["url"] for one in first] == [f"https://hooks.example.com{target}" for target in self.TARGETS]

    def test_equal_spellings_stay_one(self):
        for target in self.TARGETS:
            spelled = target.replace("o", "%6f").replace("x", "%78").replace("%7e", "~")
            assert operation(target=spelled).id == operation(target=target).id

    @given(
        st.sampled_from(["/", "*", "?", "http://a.example.com", "http://a.example.com/"]),
        st.text(max_size=30) | st.text("aB/.?&=%2~+[]#;é", max_size=30),
    )
    def test_put_together_of_what_is_remembered_a_url_is_all_of_it(self, start, text):
        one = request(target=start + text.encode("utf-8", "replace").decode())
        assert whole(one) == whole(one) == part(identity(one))

    def test_two_sets_of_rules_remember_each_for_itself(self):
        sent = request(target="/orders/7")
        orders, all_but = ruleset(match="{url: 'https://hooks.example.com/orders/*'}"), ruleset("max: 2")
        found = [rules.match(sent) for rules in (orders, all_but, orders, all_but)]
        assert found == [orders.rules[0], all_but.rules[0]] * 2

    def test_of_one_with_a_query_nothing_stays_in_memory(self):
        rule = one_rule()
        target = "".join(("/orders", "?token=", "s3cret"))
        before = sys.getrefcount(target)
        rules = ruleset()
        rules.match(request(target=target))
        operation(rule, target=target)
        assert sys.getrefcount(target) == before


class TestRespectedKeys:
    def test_the_key_is_the_identity_and_the_payload_is_there_to_compare(self):
        one, other = keyed("respect", "order-42"), keyed("respect", "order-42", '{"amount": 6}')
        assert one.id == other.id
        assert one.payload != other.payload
        assert one.keyed

    def test_another_key_is_another_operation(self):
        assert keyed("respect", "order-42").id != keyed("respect", "order-43").id

    def test_a_key_and_a_body_of_the_same_text_are_not_confused(self):
        assert keyed("respect", "order-42").id != keyed("respect", None).id

    def test_bare_and_quoted_are_one_key(self):
        assert keyed("respect", "order-42").id == keyed("respect", '"order-42"').id == keyed("respect", " order-42 ").id

    @pytest.mark.parametrize("strange", ['"open', '"a" b', '"a";x=1', '"a", "b"', "order,42", '"é"', "?1"])
    def test_what_is_no_string_is_taken_as_it_stands(self, strange):
        assert keyed("respect", strange).keyed
        assert keyed("respect", strange).id not in {keyed("respect", "a").id, keyed("respect", "open").id}

    def test_an_empty_key_is_none(self):
        assert not keyed("respect", "").keyed
        assert not keyed("respect", '""').keyed

    def test_it_is_passed_through_never_overwritten(self):
        respected = keyed("respect", '"order-42"')
        assert (respected.upstream_key_header, respected.passed_key) == (None, '"order-42"')

    def test_without_one_our_key_goes_up(self):
        assert keyed("respect", None).upstream_key_header == "Idempotency-Key"

    def test_a_key_in_a_header_the_provider_does_not_read_names_the_operation_but_ours_goes_up_beside_it(self):
        rule = one_rule("upstream_key: {header: PayPal-Request-Id, retention: 6h}")
        standard = operation(rule, headers={"Idempotency-Key": "order-42"})
        own = operation(rule, headers={"paypal-request-id": "order-42"})
        assert (standard.keyed, standard.upstream_key_header) == (True, "PayPal-Request-Id")
        assert (own.keyed, own.upstream_key_header) == (True, None)

    def test_another_value_of_a_listed_header_under_the_same_key_is_a_conflict(self):
        rule = one_rule("fingerprint: {headers: [X-Campaign]}")
        one, other = (operation(rule, headers={"Idempotency-Key": "7", "X-Campaign": c}) for c in "ab")
        assert one.id == other.id
        assert one.payload != other.payload

    def test_another_tenant_under_the_same_key_is_another_operation(self):
        one, other = (operation(headers={"Idempotency-Key": "7", "X-Tenant": t}) for t in "ab")
        assert one.id != other.id


class TestGeneratedKeys:
    @pytest.mark.parametrize(
        "key",
        [
            RANDOM,
            RANDOM.upper(),
            RANDOM.replace("-", ""),
            "ffffffff-ffff-ffff-ffff-ffffffffffff",  # stripe-python: random bytes, no version bits
            f'"{RANDOM}"',
            f"stripe-node-retry-{RANDOM}",
            f"stainless-python-retry-{RANDOM}",
            "1700000000123456789_a-B_9z",
        ],
    )
    def test_a_key_an_sdk_made_up_is_noise_and_replaced_by_ours(self, key):
        found, fresh = keyed("ignore-generated", key), keyed("ignore-generated", OTHER)
        assert (found.id, found.content_id) == (fresh.id, fresh.content_id)
        assert not found.keyed
        assert found.about["ignored_key"] == found.ignored_key not in (None, fresh.ignored_key, key)
        assert (found.upstream_key_header, found.passed_key) == ("Idempotency-Key", None)

    @pytest.mark.parametrize(
        "key", ["order-42", f"order-{RANDOM}", f"{RANDOM}-1", "2024-01-01", RANDOM[:-1], "deadbeef", "x" * 32]
    )
    def test_a_key_with_a_meaning_is_respected(self, key):
        found = keyed("ignore-generated", key)
        assert (found.keyed, found.ignored_key, found.passed_key) == (True, None, key)
        assert found.id != keyed("ignore-generated", None).id

    def test_no_key_is_not_an_ignored_key(self):
        assert not keyed("ignore-generated", None).ignored_key
        assert keyed("ignore-generated", None).id == keyed("ignore-generated", RANDOM).id


def test_ignore_makes_every_key_noise():
    assert keyed("ignore", "order-42").id == keyed("ignore", None).id
    assert keyed("ignore", "order-42").upstream_key_header == "Idempotency-Key"


class TestRequiredKeys:
    def test_a_missing_key_is_refused_by_name(self):
        with pytest.raises(MissingKey, match="rule 'order' requires the header Idempotency-Key"):
            keyed("require", None)

    def test_any_key_will_do_also_a_generated_one(self):
        assert keyed("require", RANDOM).keyed

    def test_so_will_an_operation_id(self):
        assert keyed("require", None, **{"Ledger-Operation-Id": "7"}).keyed


class TestLedgerHeaders:
    def test_an_operation_id_overrides_key_and_content(self):
        one = keyed("respect", "a", '{"amount": 5}', **{"Ledger-Operation-Id": "7"})
        other = keyed("respect", "b", '{"amount": 6}', **{"ledger-operation-id": " 7 "})
        assert one.id == other.id
        assert one.keyed
        assert one.upstream_key_header == "Idempotency-Key"  # the client's keys differ, ours stays
        assert one.id != keyed("respect", "7").id

    def test_workflow_and_caller_come_from_headers_first(self):
        headers = {"Ledger-Workflow": "order-42", "Ledger-Caller": "agent-A"}
        found = identify(one_rule(), request(headers=headers), SECRET, wf="w", caller="c")
        assert (found.wf, found.caller) == ("order-42", "agent-A")
        plain = identify(one_rule(), request(), SECRET, wf="w", caller="c")
        assert (plain.wf, plain.caller) == ("w", "c")
        assert plain.id == identify(one_rule(), request(headers={"Ledger-Workflow": "w"}), SECRET).id

    def test_they_are_listed_for_stripping(self):
        assert {"ledger-workflow", "ledger-caller", "ledger-operation-id"} == LEDGER_HEADERS


class TestContent:
    """What an open record is found by when rules were renamed or Ledger was upgraded."""

    def rename(self, rule: str = ""):
        return replace(one_rule(rule), name="renamed")

    def test_a_renamed_rule_names_the_same_operations(self):
        one, other = operation(**PAID), operation(self.rename(), **PAID)
        assert one.id == other.id
        assert (one.content_id, one.payload_id, one.payload) == (other.content_id, other.payload_id, other.payload)

    def test_a_renamed_rule_finds_bodies_that_vary_in_ignored_fields(self):
        spec = "fingerprint: {body: {ignore: ['$.at']}, query: {ignore: [ts]}}"
        one = operation(one_rule(spec), target="/orders?ts=1", **json_request('{"n": 1, "at": 1}'))
        other = operation(self.rename(spec), target="/orders?ts=2", **json_request('{"n": 1, "at": 2}'))
        assert one.content_id != other.content_id
        assert one.payload_id == other.payload_id

    def test_a_rule_that_reads_bodies_otherwise_finds_the_very_same_request(self):
        one = operation(one_rule("fingerprint: {body: {ignore: ['$.at']}}"), **PAID)
        other = operation(one_rule("fingerprint: {body: {only: ['$.amount']}}"), **PAID)
        assert one.payload_id != other.payload_id
        assert one.content_id == other.content_id

    @pytest.mark.parametrize("mode", ["ignore", "ignore-generated"])
    def test_noise_is_in_none_of_them(self, mode):
        one, other = keyed(mode, RANDOM), keyed(mode, OTHER)
        assert (one.content_id, one.payload_id) == (other.content_id, other.payload_id)

    @pytest.mark.parametrize(
        "change",
        [
            {"body": b'{"amount": 6}'},
            {"target": "/refunds"},
            {"method": "PUT"},
            {"headers": {"Authorization": "Bearer x"}},
            {"headers": {"Ledger-Workflow": "w"}},
            {"headers": {"Idempotency-Key": "7"}},
        ],
    )
    def test_other_content_is_never_confused(self, change):
        one, other = operation(**PAID), operation(**PAID | change)
        assert one.content_id != other.content_id
        assert one.payload_id != other.payload_id

    def test_the_three_never_coincide(self):
        one = operation(**PAID)
        assert len({one.id, one.content_id, one.payload_id, one.payload}) == 4


class TestBodiesInFiles:
    """What is too large to hold waits in a file while it is read."""

    RULE = one_rule("fingerprint: {body: {ignore: ['$.at']}, headers: [X-Tenant]}")

    @pytest.mark.parametrize("kind", ["application/json", "text/plain", "multipart/form-data; boundary=b"])
    def test_they_name_the_operation_they_name_in_memory(self, kind, tmp_path):
        body = b'{"n": 1, "at": 2}'
        head = {"headers": {"Content-Type": kind, "Content-Length": "17", "X-Tenant": "a"}}
        (tmp_path / "body").write_bytes(body)
        with (tmp_path / "body").open("rb") as file:
            reading = read_body(self.RULE, request(**head), file)
        in_memory = identify(self.RULE, request(body=body, **head), SECRET)
        assert identify(self.RULE, request(**head), SECRET, body=reading) == in_memory
        assert in_memory.about["request_bytes"] == 17

    @pytest.mark.parametrize("order", [{}, {"X-Order": "7"}])
    def test_also_where_the_business_key_is_in_the_head_or_missing_there(self, order):
        rule = one_rule("fingerprint: {body: {only: [$.order, header.X-Order]}}")
        body = b'{"order": 7, "text": "a"}'
        head = {"headers": {"Content-Type": "application/json"} | order}
        arriving = digest(rule, request(**head))
        for byte in body:
            arriving.feed(bytes((byte,)))
        in_memory = identify(rule, request(body=body, **head), SECRET)
        assert identify(rule, request(**head), SECRET, body=arriving.finish()) == in_memory


class TestWhatIsStored:
    def test_neither_credentials_nor_body(self):
        secret = "sk_live_secret"
        headers = {"Authorization": f"Bearer {secret}", "X-Api-Key": secret, "Content-Type": "text/plain; charset=x"}
        found = operation(target=f"/a?api_key={secret}&n=1", body=b"card 4242", headers=headers)
        assert found.about == {
            "method": "POST",
            "url": "https://hooks.example.com/a?api_key=***&n=1",
            "media_type": "text/plain",
            "request_bytes": 9,
            "normaliser": VERSION,
        }
        assert secret not in repr(found)

    def test_redacted_parameters_are_masked_however_they_are_spelled(self):
        rule = one_rule(top="redact: {query: [Card]}")
        found = operation(rule, target="/a?card=1&c%61rd=2&CARD=3&cards=4&card")
        assert found.about["url"] == "https://hooks.example.com/a?card=***&c%61rd=***&CARD=***&cards=4&card"

    def test_masked_parameters_still_tell_operations_apart(self):
        assert operation(target="/a?token=1").id != operation(target="/a?token=2").id
