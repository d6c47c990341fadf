"""The shipped packs: which effects they cover, and what they leave alone."""

from __future__ import annotations

import subprocess
import sys
from importlib.resources import files

import pytest

from ledger.policy import OnUnknown
from ledger_rules import default, identify, loads, pack_names
from ledger_rules.shipped import default_packs
from ledger_rules.yamltext import parse
from tests.rules.helpers import SECRET, form_request, request

STRIPE = loads("packs: [stripe]")


def to_stripe(target: str, method: str = "POST", **changes):
    return request(method=method, target=target, host="api.stripe.com", **changes)


def rule_for(target: str, method: str = "POST") -> str | None:
    rule = STRIPE.match(to_stripe(target, method))
    return rule.name if rule else None


def test_without_a_file_the_default_packs_apply():
    rules = default()
    assert rules.hosts() > STRIPE.hosts() == {"api.stripe.com"}
    assert rules.mode == "enforce"
    assert {rule.name.split("/")[0] for rule in rules.rules} == set(default_packs())


@pytest.mark.parametrize(
    "path",
    [
        "/v1/charges",
        "/v1/payment_intents",
        "/v1/refunds",
        "/v1/transfers",
        "/v1/payouts",
        "/v1/invoices",
        "/v1/invoices/in_1/send",
        "/v1/subscriptions",
        "/v1/charges/ch_1/refunds",
        "/v1/climate/orders",
        "/v1/forwarding/requests",
        "/v1/invoices/in_1/add_lines",
        "/v1/treasury/credit_reversals",
        "/v1/treasury/debit_reversals",
    ],
)
def test_creating_an_effect_counts_for_a_day(path):
    rule = STRIPE.match(to_stripe(path))
    assert rule is not None
    assert (rule.name, rule.policy.window) == ("stripe/create", 86400)


@pytest.mark.parametrize(
    "path",
    [
        "/v1/payment_intents/pi_1/confirm",
        "/v1/payment_intents/pi_1/capture",
        "/v1/payment_intents/pi_1",
        "/v1/invoices/in_1/pay",
        "/v1/invoices/in_1/finalize",
        "/v1/subscriptions/sub_1",
        "/v1/terminal/readers/tmr_1/confirm_payment_intent",
    ],
)
def test_changing_one_counts_for_five_minutes(path):
    rule = STRIPE.match(to_stripe(path))
    assert rule is not None
    assert (rule.name, rule.policy.window) == ("stripe/update", 300)


@pytest.mark.parametrize(
    ("path", "method"),
    [
        ("/v1/charges", "GET"),
        ("/v1/charges/ch_1", "GET"),
        ("/v1/customers", "POST"),
        ("/v1/tokens", "POST"),
        ("/v1/checkout/sessions", "POST"),
        ("/v1/invoices/create_preview", "POST"),
        ("/v1/billing/meter_events", "POST"),
        ("/v1/subscriptions/sub_1", "DELETE"),
        ("/oauth/token", "POST"),
    ],
)
def test_reads_authentication_and_what_moves_nothing_are_left_alone(path, method):
    assert rule_for(path, method) is None


AGENT = {"Authorization": "Bearer sk_test_1", "Stripe-Version": "2025-01-27"}
CHARGE = "amount=2000&currency=usd&source=tok_visa"


class TestAStripeAgent:
    def charge(self, body=CHARGE, key="0f8fad5b-d9cb-469f-a165-70867728950e", **headers):
        sent = form_request(body)
        sent["headers"] |= AGENT | {"Idempotency-Key": key} | headers
        message = to_stripe("/v1/charges", **sent)
        rule = STRIPE.match(message)
        assert rule is not None
        return identify(rule, message, SECRET)

    def test_its_retry_under_a_fresh_sdk_key_is_the_same_charge(self):
        first, retry = (
            self.charge(),
            self.charge(key="ffffffff-0000-ffff-0000-ffffffffffff", **{"X-Stripe-Client-Telemetry": "x"}),
        )
        assert first.id == retry.id
        assert first.ignored_key
        assert first.upstream_key_header == "Idempotency-Key"

    def test_an_unknown_charge_is_sent_again_under_our_key(self):
        policy = self.charge().policy
        assert (policy.on_unknown, policy.key_retention, policy.replay) == (OnUnknown.RESEND, 86400, True)

    def test_the_order_number_it_chose_as_key_is_respected(self):
        assert self.charge(key="order-42").passed_key == "order-42"
        assert self.charge(key="order-42").id != self.charge(key="order-43").id

    @pytest.mark.parametrize("header", ["Stripe-Account", "Stripe-Context"])
    @pytest.mark.parametrize("key", ["order-42", "0f8fad5b-d9cb-469f-a165-70867728950e"])
    def test_another_connected_account_is_another_charge(self, header, key):
        assert len({self.charge(key=key, **{header: account}).id for account in ("acct_1", "acct_2")}) == 2

    def test_another_amount_or_api_version_is_another_charge(self):
        others = [self.charge(CHARGE.replace("2000", "2001")), self.charge(**{"Stripe-Version": "2024-01-01"})]
        assert len({self.charge().id, *(other.id for other in others)}) == 3


def test_a_pack_can_speak_to_another_host():
    rules = loads("packs: [{stripe: {hosts: ['http://localhost:12111', stripe.internal]}}]")
    assert rules.hosts() == {"localhost", "stripe.internal"}
    assert rules.match(request(scheme="http", host="localhost", port=12111, target="/v1/charges"))
    assert rules.match(request(host="stripe.internal", target="/v1/charges"))
    assert not rules.intercepts("api.stripe.com", 443)


def test_webhooks_are_held_for_a_person():
    rules = loads("packs: [{webhooks: {hosts: [hooks.example.com]}}]")
    rule = rules.match(request(target="/any/path"))
    assert rule is not None
    assert (rule.name, rule.policy.on_unknown, rule.upstream_key) == ("webhooks/send", OnUnknown.HOLD, None)
    assert rules.match(request(method="GET")) is None


def test_own_rules_go_before_packs_and_may_replace_theirs():
    rules = loads("""
packs: [stripe]
rules:
  - name: my-charges
    match: {url: "https://api.stripe.com/v1/charges", method: POST}
    window: 1h
""")
    names = [rules.match(to_stripe(path)) for path in ("/v1/charges", "/v1/refunds")]
    assert [rule and rule.name for rule in names] == ["my-charges", "stripe/create"]


def test_a_files_defaults_and_masks_reach_its_packs_but_do_not_overrule_them():
    rules = loads("packs: [stripe]\ndefaults: {wait: 5s, window: 1s, on_unknown: hold}\nredact: {query: [card]}")
    rule = rules.rules[0]
    assert (rule.policy.wait, rule.policy.window, rule.policy.on_unknown) == (5, 86400, OnUnknown.RESEND)
    assert "card" in rule.masked


@pytest.mark.parametrize("name", pack_names())
def test_every_shipped_pack_loads_and_never_reads(name):
    rules = loads(f"packs: [{{{name}: {{hosts: [api.example.com]}}}}]").rules
    assert rules
    assert all(rule.name.startswith(f"{name}/") and rule.policy.replay for rule in rules)
    assert not any(rule.methods & {"GET", "HEAD", "OPTIONS"} for rule in rules)


@pytest.mark.parametrize("name", pack_names())
def test_every_path_and_condition_of_a_pack_compiles(name):
    """It happens when one is first used: here, before anybody uses it."""
    for rule in loads(f"packs: [{{{name}: {{hosts: [api.example.com]}}}}]").rules:
        prints = rule.fingerprint
        parts = [one.body for one in prints.only if one.body]
        assert all(path.query for path in (*prints.body.ignore, *prints.body.only, *parts, *rule.redact))
        conditions = [*rule.match.body, *(case.condition for case in rule.outcomes if case.condition)]
        assert all(condition.filter for condition in conditions)
        assert rule.verify is None


def test_the_default_rules_load_without_what_they_need_late_or_never():
    script = "import sys, ledger_rules; ledger_rules.default(); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "ledger_rules.packing" in loaded
    assert not loaded & {"jsonpath", "graphql", "brotli", "zstandard", "ledger_rules.testcases"}


@pytest.mark.parametrize("name", pack_names())
def test_the_fast_parser_reads_a_pack_as_the_careful_one_does(name):
    text = files("ledger_rules").joinpath("packs", f"{name}.yaml").read_text("utf-8")
    assert parse(text, name, ours=True) == parse(text, name)
