"""Each provider's pack: the effects it covers and for how long, and what it leaves alone; its answers are elsewhere."""

from __future__ import annotations

import json

import pytest

from ledger.policy import OnUnknown
from ledger_rules import identify, loads, pack_names
from ledger_rules.shipped import OPT_IN, default_packs, facts, yaml_of
from tests.rules.helpers import SECRET, form_request, json_request, pack, the_rule, to

DAY, HOUR, CHANGE = 86400, 3600, 300
HOLD, RESEND = OnUnknown.HOLD, OnUnknown.RESEND

EFFECTS = [
    ("paypal/order", "https://api-m.paypal.com/v2/checkout/orders", DAY, RESEND),
    ("paypal/refund", "https://api-m.sandbox.paypal.com/v2/payments/captures/2GG27/refund", DAY, RESEND),
    ("paypal/subscription", "https://api-m.paypal.com/v1/billing/subscriptions", DAY, RESEND),
    ("paypal/payout", "https://api-m.paypal.com/v1/payments/payouts", DAY, RESEND),
    ("paypal/refund-or-referenced-payout", "https://api-m.paypal.com/v1/payments/sale/4RR9/refund", DAY, RESEND),
    ("paypal/refund-or-referenced-payout", "https://api-m.paypal.com/v1/payments/referenced-payouts", DAY, RESEND),
    ("paypal/send", "https://api-m.paypal.com/v2/invoicing/invoices/INV2/send", DAY, HOLD),
    ("paypal/update-order", "https://api-m.paypal.com/v2/checkout/orders/5O19/capture", CHANGE, RESEND),
    ("paypal/update-payment", "https://api-m.paypal.com/v2/payments/authorizations/0VF5/capture", CHANGE, RESEND),
    ("square/create", "https://connect.squareup.com/v2/payments", DAY, RESEND),
    ("square/create", "https://connect.squareupsandbox.com/v2/refunds", DAY, RESEND),
    ("square/create", "https://connect.squareup.com/v2/invoices/inv:1/publish", DAY, RESEND),
    ("square/update", "https://connect.squareup.com/v2/payments/p1/complete", CHANGE, HOLD),
    ("adyen/create", "https://checkout-test.adyen.com/v72/payments", DAY, RESEND),
    ("adyen/create", "https://a1b2-acme-checkout-live.adyenpayments.com/checkout/v71/payments", DAY, RESEND),
    ("adyen/create", "https://pal-test.adyen.com/pal/servlet/Payment/v68/authorise", DAY, RESEND),
    ("adyen/create", "https://balanceplatform-api-live.adyen.com/btl/v4/transfers", DAY, RESEND),
    ("adyen/create", "https://balanceplatform-api-live.adyen.com/btl/v4/cashouts", DAY, RESEND),
    ("adyen/create", "https://balanceplatform-api-live.adyen.com/btl/v4/grants", DAY, RESEND),
    ("adyen/update", "https://checkout-test.adyen.com/v72/payments/PSP1/captures", CHANGE, RESEND),
    ("adyen/update", "https://checkout-test.adyen.com/v72/cancels", CHANGE, RESEND),
    ("razorpay/payout", "https://api.razorpay.com/v1/payouts", DAY, RESEND),
    ("razorpay/refund", "https://api.razorpay.com/v1/payments/pay_1/refund", DAY, RESEND),
    ("razorpay/create", "https://api.razorpay.com/v1/transfers", DAY, HOLD),
    ("razorpay/update", "https://api.razorpay.com/v1/payments/pay_1/capture", CHANGE, HOLD),
    ("gocardless/create", "https://api.gocardless.com/payments", DAY, RESEND),
    ("gocardless/create", "https://api-sandbox.gocardless.com/refunds", DAY, RESEND),
    ("gocardless/create", "https://api.gocardless.com/instalment_schedules/create_with_dates", DAY, RESEND),
    ("gocardless/create", "https://api.gocardless.com/instalment_schedules/create_with_schedule", DAY, RESEND),
    ("gocardless/create", "https://api.gocardless.com/outbound_payment_imports", DAY, RESEND),
    ("gocardless/update", "https://api.gocardless.com/payments/PM1/actions/retry", CHANGE, HOLD),
    ("gocardless/update", "https://api.gocardless.com/instalment_schedules/IS1/actions/cancel", CHANGE, HOLD),
    ("checkout/create", "https://api.checkout.com/payments", DAY, HOLD),
    ("checkout/create", "https://abc123.api.sandbox.checkout.com/payments/pay_1/refunds", DAY, HOLD),
    ("checkout/create", "https://transfers.checkout.com/transfers", DAY, HOLD),
    ("checkout/update", "https://api.checkout.com/payments/pay_1/captures", CHANGE, HOLD),
    ("checkout/reverse", "https://api.checkout.com/payments/pay_1/reversals", CHANGE, HOLD),
    ("resend/send", "https://api.resend.com/emails", DAY, RESEND),
    ("resend/send", "https://api.resend.com/emails/batch", DAY, RESEND),
    ("resend/broadcast", "https://api.resend.com/broadcasts/b1/send", DAY, HOLD),
    ("sendgrid/send", "https://api.sendgrid.com/v3/mail/send", DAY, HOLD),
    ("postmark/send", "https://api.postmarkapp.com/email", DAY, HOLD),
    ("postmark/send", "https://api.postmarkapp.com/email/withTemplate/", DAY, HOLD),
    ("mailgun/send", "https://api.mailgun.net/v3/mg.example.com/messages", DAY, HOLD),
    ("mailgun/send", "https://api.eu.mailgun.net/v3/mg.example.com/messages.mime", DAY, HOLD),
    ("twilio/send", "https://api.twilio.com/2010-04-01/Accounts/AC1/Messages.json", DAY, HOLD),
    ("twilio/send", "https://api.dublin.ie1.twilio.com/2010-04-01/Accounts/AC1/Calls.json", DAY, HOLD),
    ("twilio/send", "https://studio.dublin.ie1.twilio.com/v2/Flows/FW1/Executions", DAY, HOLD),
    ("slack/send", "https://slack.com/api/chat.postMessage", HOUR, HOLD),
    ("slack/webhook", "https://hooks.slack.com/services/T1/B1/x", HOUR, HOLD),
    ("slack/update", "https://slack.com/api/chat.update", CHANGE, HOLD),
    ("discord/send", "https://discord.com/api/v10/channels/1/messages", HOUR, HOLD),
    ("discord/send", "https://discord.com/api/webhooks/1/token?wait=true", HOUR, HOLD),
    ("github/create", "https://api.github.com/repos/o/r/issues", HOUR, HOLD),
    ("github/create", "https://api.github.com/repos/o/r/issues/7/comments", HOUR, HOLD),
    ("github/update", "https://api.github.com/repos/o/r/pulls/7/merge", CHANGE, HOLD),
    ("hubspot/send", "https://api.hubapi.com/marketing/v3/transactional/single-email/send", DAY, RESEND),
    ("hubspot/create", "https://api.hubapi.com/crm/v3/objects/deals", DAY, HOLD),
    ("svix/send", "https://api.svix.com/api/v1/app/app_1/msg/", DAY, HOLD),
    ("svix/send", "https://api.eu.svix.com/api/v1/app/app_1/msg", DAY, HOLD),
    ("svix/again", "https://api.svix.com/api/v1/app/app_1/msg/msg_1/endpoint/ep_1/resend/", CHANGE, HOLD),
    ("svix/again", "https://api.svix.com/api/v1/app/app_1/endpoint/ep_1/recover", CHANGE, HOLD),
    ("svix/again", "https://api.svix.com/api/v1/app/app_1/endpoint/ep_1/replay-missing", CHANGE, HOLD),
    ("svix/again", "https://api.svix.com/api/v1/app/app_1/endpoint/ep_1/bulk-replay", CHANGE, HOLD),
    ("svix/again", "https://api.svix.com/api/v1/app/app_1/endpoint/ep_1/send-example", CHANGE, HOLD),
    ("openai/complete", "https://api.openai.com/v1/responses", CHANGE, HOLD),
    ("openai/complete", "https://eu.api.openai.com/v1/responses", CHANGE, HOLD),
    ("openai/job", "https://api.openai.com/v1/batches", DAY, HOLD),
    ("anthropic/complete", "https://api.anthropic.com/v1/messages", CHANGE, HOLD),
    ("anthropic/job", "https://api.anthropic.com/v1/messages/batches", DAY, HOLD),
    ("webhooks/send", "https://hooks.example.com/any/path", DAY, HOLD),
]

LEFT_ALONE = [
    ("paypal", "https://api-m.paypal.com/v1/oauth2/token"),
    ("paypal", "https://api-m.paypal.com/v1/notifications/webhooks"),
    ("square", "https://connect.squareup.com/oauth2/token"),
    ("square", "https://connect.squareup.com/v2/orders"),
    ("square", "https://connect.squareup.com/v2/payments/cancel"),
    ("square", "https://connect.squareup.com/v2/orders/search"),
    ("adyen", "https://checkout-test.adyen.com/v72/paymentMethods"),
    ("adyen", "https://checkout-test.adyen.com/v72/sessions"),
    ("adyen", "https://management-test.adyen.com/v3/payments"),
    ("razorpay", "https://api.razorpay.com/v1/orders"),
    ("razorpay", "https://api.razorpay.com/v1/payments/validate/vpa"),
    ("gocardless", "https://api.gocardless.com/redirect_flows"),
    ("gocardless", "https://api.gocardless.com/customers"),
    ("checkout", "https://api.checkout.com/payments/search"),
    ("checkout", "https://access.checkout.com/connect/token"),
    ("checkout", "https://api.checkout.com/tokens"),
    ("resend", "https://api.resend.com/api-keys"),
    ("sendgrid", "https://api.sendgrid.com/v3/templates"),
    ("postmark", "https://api.postmarkapp.com/templates/validate"),
    ("mailgun", "https://api.mailgun.net/v3/routes"),
    ("mailgun", "https://api.mailgun.net/v4/address/validate"),
    ("twilio", "https://verify.twilio.com/v2/Services/VA1/Verifications"),
    ("twilio", "https://api.twilio.com/2010-04-01/Accounts.json"),
    ("slack", "https://slack.com/api/oauth.v2.access"),
    ("slack", "https://slack.com/api/conversations.history"),
    ("slack", "https://slack.com/api/auth.test"),
    ("discord", "https://discord.com/api/v10/users/@me/channels"),
    ("discord", "https://discord.com/api/v10/oauth2/token"),
    ("github", "https://api.github.com/app/installations/1/access_tokens"),
    ("hubspot", "https://api.hubapi.com/crm/v3/objects/contacts/search"),
    ("hubspot", "https://api.hubapi.com/oauth/v1/token"),
    ("svix", "https://api.svix.com/api/v1/auth/app-portal-access/app_1"),
    ("openai", "https://api.openai.com/v1/embeddings"),
    ("openai", "https://api.openai.com/v1/moderations"),
    ("anthropic", "https://api.anthropic.com/v1/messages/count_tokens"),
]


@pytest.mark.parametrize(("name", "url", "window", "on_unknown"), EFFECTS)
def test_an_effect_counts_for_its_time_and_its_unknown_is_settled_its_way(name, url, window, on_unknown):
    rule = the_rule(name.split("/")[0], url)
    assert (rule.name, rule.policy.window, rule.policy.on_unknown) == (name, window, on_unknown)
    assert pack(name.split("/")[0]).match(to(url, "GET")) is None


@pytest.mark.parametrize(("name", "url"), LEFT_ALONE)
def test_reads_authentication_and_what_moves_nothing_are_left_alone(name, url):
    assert pack(name).match(to(url)) is None


def test_every_rule_of_every_pack_is_among_the_effects():
    tried = {name for name, *_ in EFFECTS}
    rules = {f"{name}/{rule['name']}" for name in pack_names() for rule in yaml_of(name)["rules"]}
    elsewhere = {rule for rule in rules if rule.split("/")[0] in ("stripe", "shopify", "aws")}
    assert tried == rules - elsewhere - {"github/mutation", "resend/broadcast-at-once"}


class TestWithoutAFile:
    def test_payments_and_messaging_are_covered(self):
        assert set(default_packs()) == set(pack_names()) - OPT_IN

    @pytest.mark.parametrize("name", sorted(OPT_IN))
    def test_models_and_hosts_that_are_mostly_read_are_not(self, name):
        rules = loads("packs: [" + ", ".join(default_packs()) + "]")
        assert not any(rules.intercepts(host, 443) for host in yaml_of(name)["hosts"])


@pytest.mark.parametrize("name", pack_names())
class TestEveryPack:
    def test_says_what_is_known_of_its_provider_and_where_from(self, name):
        said = facts(name)
        assert all((said.title, said.native, said.retention, said.replay, said.sources))
        assert all(source.startswith("https://") for source in said.sources)

    def test_sends_again_only_under_a_key_of_its_own_provider(self, name):
        for rule in pack(name).rules:
            assert rule.policy.on_unknown is not RESEND or rule.upstream_key is not None

    def test_holds_where_nothing_native_is_promised(self, name):
        if facts(name).native.startswith("none"):
            assert {rule.policy.on_unknown for rule in pack(name).rules} == {HOLD}


FRESH = ("0f8fad5b-d9cb-469f-a165-70867728950e", "7c9e6679-7425-40de-944b-e07fc1f90ae7")
"""What SDKs and agents make up per call."""


def operation(name: str, url: str, body: object, **headers: str):
    sent = json_request(json.dumps(body)) if not isinstance(body, str) else form_request(body)
    sent["headers"] |= {"Authorization": "Bearer one"} | {
        key.replace("_", "-"): value for key, value in headers.items()
    }
    return identify(the_rule(name, url), to(url, **sent), SECRET)


class TestTheRetryOfAnAgent:
    @pytest.mark.parametrize(
        ("name", "url", "header"),
        [
            ("paypal", "https://api-m.paypal.com/v2/checkout/orders", "PayPal-Request-Id"),
            ("adyen", "https://checkout-test.adyen.com/v72/payments", "Idempotency-Key"),
            ("razorpay", "https://api.razorpay.com/v1/payouts", "X-Payout-Idempotency"),
            ("razorpay", "https://api.razorpay.com/v1/payments/pay_1/refund", "X-Refund-Idempotency"),
            ("gocardless", "https://api.gocardless.com/payments", "Idempotency-Key"),
            ("checkout", "https://api.checkout.com/payments", "Cko-Idempotency-Key"),
            ("resend", "https://api.resend.com/emails", "Idempotency-Key"),
        ],
    )
    def test_under_a_fresh_key_is_the_same_operation_and_goes_out_under_ours(self, name, url, header):
        first, again = (operation(name, url, {"amount": 1}, **{header: key}) for key in FRESH)
        assert first.id == again.id == operation(name, url, {"amount": 1}).id
        assert first.upstream_key_header == header
        assert operation(name, url, {"amount": 2}, **{header: FRESH[0]}).id != first.id

    def test_of_svix_is_known_though_its_sdk_marks_its_keys(self):
        url = "https://api.svix.com/api/v1/app/app_1/msg"
        first, again = (operation("svix", url, {"eventType": "a"}, idempotency_key=f"auto_{key}") for key in FRESH)
        assert first.id == again.id
        assert first.ignored_key

    def test_of_gocardless_is_known_though_its_sdk_for_php_makes_no_uuid(self):
        """It sends `uniqid("", true)`: https://github.com/gocardless/gocardless-pro-php/blob/master/lib/Core/ApiClient.php."""
        url = "https://api.gocardless.com/payments"
        keys = ("6929f3a81b2c35.70439186", "6929f3bf0004d8.01002750")
        first, again = (operation("gocardless", url, {"payments": {"amount": 1}}, idempotency_key=key) for key in keys)
        assert first.id == again.id
        assert first.takes_key

    @pytest.mark.parametrize("key", ["20261129014500.00000042", "order-6929f3a81b2c35.70439186", "6929f3a81b2c35"])
    def test_of_gocardless_under_a_key_that_somebody_chose_is_that_operation(self, key):
        url = "https://api.gocardless.com/payments"
        chosen = operation("gocardless", url, {"payments": {"amount": 1}}, idempotency_key=key)
        assert (chosen.keyed, chosen.passed_key) == (True, key)

    def test_of_square_carries_its_key_in_the_body(self):
        url = "https://connect.squareup.com/v2/payments"
        first, again, other = (
            operation("square", url, {"idempotency_key": key, "amount_money": {"amount": amount}})
            for key, amount in ((FRESH[0], 1), (FRESH[1], 1), (FRESH[0], 2))
        )
        assert first.id == again.id != other.id
        assert first.upstream_key_slot is not None

    def test_of_discord_carries_another_nonce(self):
        url = "https://discord.com/api/v10/channels/1/messages"
        sent = [{"content": "hi", "nonce": nonce, "enforce_nonce": True} for nonce in ("1", "2")]
        first, again = (operation("discord", url, body) for body in sent)
        assert first.id == again.id != operation("discord", url, {"content": "ho"}).id

    def test_of_discord_carries_it_beside_a_file_in_a_field_of_its_own(self):
        def sent(content: str, nonce: int, file: bytes = b"%PDF", boundary: str = "b"):
            message = json.dumps({"content": content, "nonce": nonce, "enforce_nonce": True})
            named = 'Content-Disposition: form-data; name="payload_json"', 'name="files[0]"; filename="a.pdf"'
            parts = (
                f"--{boundary}",
                named[0],
                "",
                message,
                f"--{boundary}",
                f"Content-Disposition: form-data; {named[1]}",
            )
            body = "\r\n".join((*parts, "", file.decode(), f"--{boundary}--", "")).encode()
            kind = {"Content-Type": f"multipart/form-data; boundary={boundary}", "Authorization": "Bot t"}
            url = "https://discord.com/api/v10/channels/1/messages"
            return identify(the_rule("discord", url), to(url, body=body, headers=kind), SECRET).id

        first = sent("hi", 1)
        assert first == sent("hi", 18446744073709551615, boundary="c")
        assert len({first, sent("ho", 1), sent("hi", 1, b"%PDF2")}) == 3

    def test_of_a_standard_webhook_has_a_new_timestamp_and_signature(self):
        url = "https://hooks.example.com/in"

        def sent(webhook_id: str, second: int):
            signed = {"webhook-id": webhook_id, "webhook-timestamp": str(second), "webhook-signature": f"v1,{second}"}
            return operation("webhooks", url, {"paid": True}, **signed)

        assert sent("msg_1", 1).id == sent("msg_1", 2).id != sent("msg_2", 1).id
        assert not sent("msg_1", 1).takes_key

    def test_of_a_form_says_the_same_in_another_order(self):
        url = "https://api.twilio.com/2010-04-01/Accounts/AC1/Messages.json"
        first = operation("twilio", url, "To=%2B15005550006&From=%2B15005550001&Body=hi")
        assert first.id == operation("twilio", url, "Body=hi&From=%2B15005550001&To=%2B15005550006").id
        assert first.id != operation("twilio", url, "To=%2B15005550006&From=%2B15005550001&Body=ho").id


class TestABroadcastOfResend:
    """Made with `send: true` it goes out at once: https://resend.com/docs/api-reference/broadcasts/create-broadcast."""

    URL = "https://api.resend.com/broadcasts"

    def test_counts_where_it_is_sent_as_it_is_made(self):
        rule = the_rule("resend", self.URL, **json_request('{"segment_id": "s1", "send": true}'))
        assert (rule.name, rule.policy.window, rule.policy.on_unknown) == ("resend/broadcast-at-once", DAY, HOLD)

    def test_is_left_alone_where_it_is_only_drafted(self):
        assert pack("resend").match(to(self.URL, **json_request('{"segment_id": "s1"}'))) is None


class TestABusinessKey:
    def test_of_a_payout_is_what_accounting_finds_it_by_and_stays(self):
        url = "https://api-m.paypal.com/v1/payments/payouts"
        one = operation("paypal", url, {"sender_batch_header": {"sender_batch_id": FRESH[0]}, "items": []})
        assert (one.keyed, one.passed_key, one.takes_key) == (True, FRESH[0], False)
        without = operation("paypal", url, {"sender_batch_header": {}, "items": []})
        assert without.takes_key

    def test_of_a_mail_is_its_send_id(self):
        url = "https://api.hubapi.com/marketing/v3/transactional/single-email/send"
        one, other = (
            operation("hubspot", url, {"emailId": 1, "message": {"to": "a@example.com", "sendId": send_id}})
            for send_id in ("welcome-1", "welcome-2")
        )
        assert one.id != other.id
        assert one.passed_key == "welcome-1"

    @pytest.mark.parametrize(
        ("name", "url", "header"),
        [
            ("paypal", "https://api-m.paypal.com/v2/checkout/orders", "PayPal-Auth-Assertion"),
            ("sendgrid", "https://api.sendgrid.com/v3/mail/send", "On-Behalf-Of"),
            ("mailgun", "https://api.mailgun.net/v3/mg.example.com/messages", "X-Mailgun-On-Behalf-Of"),
            ("razorpay", "https://api.razorpay.com/v1/payment_links", "X-Razorpay-Account"),
            ("postmark", "https://api.postmarkapp.com/email", "X-Postmark-Server-Token"),
            ("adyen", "https://checkout-test.adyen.com/v72/payments", "X-API-Key"),
            ("openai", "https://api.openai.com/v1/responses", "OpenAI-Project"),
            ("anthropic", "https://api.anthropic.com/v1/messages", "X-Api-Key"),
        ],
    )
    def test_another_tenant_is_another_operation(self, name, url, header):
        assert len({operation(name, url, {"a": 1}, **{header: tenant}).id for tenant in ("one", "two")}) == 2


@pytest.mark.parametrize(
    ("name", "url", "stored"),
    [
        ("slack", "https://hooks.slack.com/services/T1/B1/s3cret", "https://hooks.slack.com/services/T1/B1/***"),
        (
            "discord",
            "https://discord.com/api/webhooks/1/s3cret?wait=1",
            "https://discord.com/api/webhooks/1/***?wait=1",
        ),
        (
            "discord",
            "https://discord.com/api/v10/channels/1/messages",
            "https://discord.com/api/v10/channels/1/messages",
        ),
    ],
)
def test_a_url_that_is_a_credential_is_not_stored(name, url, stored):
    assert operation(name, url, {"content": "hi"}).about["url"] == stored


KEYED = [
    (name, written, rule)
    for name in default_packs()
    for written, rule in zip(yaml_of(name)["rules"], pack(name).rules, strict=True)
    if rule.upstream_key is not None and rule.upstream_key.header
]


@pytest.mark.parametrize(("name", "written", "rule"), KEYED, ids=[rule.name for *_, rule in KEYED])
def test_wherever_a_header_carries_our_key_a_fresh_one_of_the_client_gives_way_and_a_chosen_one_stays(
    name, written, rule
):
    host, path = yaml_of(name)["hosts"][0].replace("*", "acme"), written["match"]["url"][0].replace("*", "v1")
    header = rule.upstream_key.header

    def sent(key: str):
        return operation(name, f"https://{host}{path}", {"amount": 1}, **{header: key})

    first, again = (sent(key) for key in FRESH)
    assert first.rule == rule.name
    assert (first.id, first.upstream_key_header, first.passed_key) == (again.id, header, None)
    chosen = sent("order-42")
    assert (chosen.keyed, chosen.passed_key, chosen.takes_key) == (True, "order-42", False)
