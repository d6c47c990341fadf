"""A file may change a rule of a pack by its name, key by key."""

from __future__ import annotations

import pytest

from ledger_rules import RulesError, loads
from tests.rules.helpers import request

CHARGE = request(host="api.stripe.com", target="/v1/charges")


def test_the_keys_that_are_given_change_and_the_others_stay():
    rules = loads("packs: [stripe]\nrules:\n  - {name: stripe/create, window: 1h, max: 2}\n")
    rule = rules.match(CHARGE)
    assert rule is not None
    assert (rule.name, rule.policy.window, rule.policy.max) == ("stripe/create", 3600, 2)
    assert rule.upstream_key is not None
    assert rule.source == "ledger.yaml:3"
    assert [rule.name for rule in rules.rules].count("stripe/create") == 1


def test_a_match_of_its_own_replaces_that_of_the_pack():
    rules = loads(
        "packs: [stripe]\nrules:\n  - {name: stripe/create, match: {url: 'https://api.stripe.com/v1/payouts'}}\n"
    )
    assert rules.match(CHARGE) is None
    assert rules.match(request(host="api.stripe.com", target="/v1/payouts")) is not None


def test_hosts_that_were_chosen_for_the_pack_hold():
    rules = loads("packs: [{stripe: {hosts: [pay.internal]}}]\nrules:\n  - {name: stripe/create, window: 1h}\n")
    rule = rules.match(request(host="pay.internal", target="/v1/charges"))
    assert rule is not None
    assert rule.policy.window == 3600


WRONG = {
    "packs: [stripe]\nrules:\n  - {name: stripe/creat, window: 1h}": (
        "3:12: name: the pack 'stripe' has no rule 'stripe/creat'; did you mean 'stripe/create'?"
    ),
    "rules:\n  - {name: stripe/create, window: 1h}": (
        "2:5: missing key 'match' in 'rules'; to change a rule of the pack 'stripe', list it in packs"
    ),
    "rules:\n  - {name: mine/create, window: 1h}": "2:5: missing key 'match' in 'rules'",
    "packs: [stripe]\nrules:\n  - {name: stripe/create, fingerprint: {body: {ignore: [$.id]}}}": (
        "3:56: 'ignore' in the body and on_unknown: resend exclude each other: "
        "the provider would see another payload under one key; use on_unknown: hold"
    ),
    "packs: [stripe]\nrules:\n  - {name: stripe/create, max: 2}\n  - {name: stripe/create, max: 3}": (
        "4:12: name: 'stripe/create' is already the name of the rule on line 3; rename one"
    ),
}


@pytest.mark.parametrize("text", WRONG)
def test_a_change_that_goes_nowhere_is_refused(text):
    with pytest.raises(RulesError) as caught:
        loads(text)
    assert f"ledger.yaml:{WRONG[text]}" in str(caught.value).splitlines()
