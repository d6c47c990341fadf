"""Whose account a request acts for: the same where one signs afresh, another for everybody else."""

from __future__ import annotations

import base64
import json

import pytest

from ledger_rules import account
from tests.rules.helpers import one_rule, operation, request


def bearer(claims: dict[str, str], signature: str = "sig") -> str:
    def part(value):
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    return f"Bearer {part({'alg': 'RS256'})}.{part(claims)}.{signature}"


def basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


def sigv4(key: str, signature: str) -> str:
    scope = f"Credential={key}/20250101/eu-west-1/ses/aws4_request"
    return f"AWS4-HMAC-SHA256 {scope}, SignedHeaders=host, Signature={signature}"


def oauth(consumer: str, token: str, nonce: str) -> str:
    given = f'oauth_consumer_key="{consumer}", oauth_token="{token}"'
    return f'OAuth {given}, oauth_nonce="{nonce}", oauth_signature="s{nonce}%3D", oauth_timestamp="17{nonce}"'


ONE_ACCOUNT = {
    "the password changed": (basic("ann:old"), basic("ann:new")),
    "the token was refreshed": (
        bearer({"iss": "i", "sub": "ann", "exp": "1"}),
        bearer({"iss": "i", "sub": "ann", "exp": "2"}, "other"),
    ),
    "signed afresh": (sigv4("AKIAIOSFODNN7EXAMPLE", "1"), sigv4("AKIAIOSFODNN7EXAMPLE", "2")),
    "OAuth 1.0 signed afresh": (oauth("k", "t", "1"), oauth("k", "t", "2")),
    "digest authentication, once more": (
        'Digest username="ann", realm="r", nonce="n", nc=00000001, cnonce="1", response="a"',
        'Digest username="ann", realm="r", nonce="m", nc=00000002, cnonce="2", response="b"',
    ),
    "a shared key, signed afresh": ("SharedKey shop:c2lnMQ==", "SharedKey shop:c2lnMg=="),
    "the scheme is spelled otherwise": ("Bearer sk_1", "bearer sk_1"),
}
TWO_ACCOUNTS = {
    "another user": (basic("ann:x"), basic("bob:x")),
    "a user that every customer has": (basic("api:key-1"), basic("api:key-2")),
    "a user that does not matter": (basic("anystring:key-us1"), basic("anystring:other-us1")),
    "no user": (basic(":key-1"), basic(":key-2")),
    "another subject": (bearer({"iss": "i", "sub": "ann"}), bearer({"iss": "i", "sub": "bob"})),
    "another issuer": (bearer({"iss": "i", "sub": "ann"}), bearer({"iss": "j", "sub": "ann"})),
    "the same person for another organisation": tuple(
        bearer({"iss": "i", "sub": "ann", "org_id": org}) for org in ("1", "2")
    ),
    "the same person for another merchant": tuple(
        bearer({"iss": "i", "sub": "ann", "merchant_id": name}) for name in ("1", "2")
    ),
    "the same person through another application": tuple(
        bearer({"iss": "i", "sub": "ann", "azp": app}) for app in ("1", "2")
    ),
    "another consumer": (oauth("k", "t", "1"), oauth("l", "t", "1")),
    "another OAuth token": (oauth("k", "t", "1"), oauth("k", "u", "1")),
    "OAuth without a consumer": ('OAuth a="1"', 'OAuth a="2"'),
    "another digest user": ('Digest username="ann", realm="r"', 'Digest username="bob", realm="r"'),
    "another digest realm": ('Digest username="ann", realm="r"', 'Digest username="ann", realm="s"'),
    "another shared key": ("SharedKey shop:c2ln", "SharedKey mall:c2ln"),
    "a token without subject": (bearer({"iss": "i"}, "1"), bearer({"iss": "i"}, "2")),
    "another access key": (sigv4("AKIAIOSFODNN7EXAMPLE", "1"), sigv4("AKIAI44QH8DHBEXAMPLE", "1")),
    "another role session": (sigv4("ASIAIOSFODNN7EXAMPLE", "1"), sigv4("ASIAI44QH8DHBEXAMPLE", "1")),
    "another opaque token": ("Bearer sk_1", "Bearer sk_2"),
    "another bare token": ("sk_Ab", "sk_aB"),
    "no scheme": ("Token a", "Other a"),
    "no credentials": ("Bearer sk_1", ""),
    "broken base64": ("Basic !!", "Basic !?"),
    "one text under two kinds": ("Bearer ann", basic("ann:x")),
}

NAMED_LIKE_A_TENANT = (
    *("X-Tenant", "X-Tenant-Id", "Xero-tenant-id", "TenantID", "X-Razorpay-Account", "Account-Id", "X-MSYS-SUBACCOUNT"),
    *("X-Mailgun-On-Behalf-Of", "X-Merchant-Id", "X-Organization", "X-Org-Id", "X-Workspace-Id", "login-customer-id"),
    *("X-User-Id", "X-Project-Id", "X-Company-Id", "X-Store-Id", "X-Impersonate-User"),
)
NAMED_LIKE_NEITHER = (
    *("X-Request-Id", "traceparent", "User-Agent", "X-Stripe-Client-User-Agent", "X-Stainless-Retry-Count", "Date"),
    *("amz-sdk-invocation-id", "X-Amz-Date", "X-Client-Transaction-Id", "X-Organic", "X-Restore", "X-Accounting-Nonce"),
    *("X-Correlation-Id", "X-Goog-Api-Client", "X-Ms-Client-Request-Id", "X-User-Agent", "Baggage"),
)


class TestAccounts:
    @pytest.mark.parametrize("case", ONE_ACCOUNT)
    def test_one_account(self, case):
        one, other = (operation(headers={"Authorization": value}).id for value in ONE_ACCOUNT[case])
        assert one == other

    @pytest.mark.parametrize("case", TWO_ACCOUNTS)
    def test_two_accounts(self, case):
        one, other = (operation(headers={"Authorization": value}).id for value in TWO_ACCOUNTS[case])
        assert one != other

    def test_an_api_key_tells_accounts_apart_without_being_configured(self):
        assert operation(headers={"X-Api-Key": "1"}).id != operation(headers={"x-api-key": "2"}).id

    @pytest.mark.parametrize("header", NAMED_LIKE_A_TENANT)
    def test_a_header_named_like_a_tenant_tells_accounts_apart_without_being_configured(self, header):
        """One credential often acts for many: what one of them was answered is no answer for the next."""
        one, other = (
            operation(headers={"Authorization": basic("partner:s"), header: value}) for value in ("acc_1", "acc_2")
        )
        assert one.id != other.id
        assert one.content_id != other.content_id, "an open operation of one would hold the other's"

    @pytest.mark.parametrize("header", NAMED_LIKE_NEITHER)
    def test_a_header_that_an_attempt_may_have_of_its_own_names_no_account(self, header):
        one, other = (operation(headers={header: value}).id for value in ("1", "2"))
        assert one == other

    def test_another_tenant_is_not_taken_for_a_token_that_was_refreshed(self):
        asking = request(headers={"Authorization": basic("partner:s"), "X-Tenant-Id": "1"})
        assert not account.opaque(asking, account.DEFAULT_HEADERS)

    def test_what_a_client_signs_afresh_names_no_account(self):
        signed = ({"X-Api-Key": "k", "X-Auth-Timestamp": n, "X-Auth-Nonce": n, "X-Auth-Signature": n} for n in "12")
        assert len({operation(headers=headers).id for headers in signed}) == 1

    def test_a_session_cookie_tells_accounts_apart_where_a_rule_says_so(self):
        rule = one_rule("account: [Cookie]")
        assert operation(rule, headers={"Cookie": "s=1"}).id != operation(rule, headers={"Cookie": "s=2"}).id

    def test_configured_headers_are_the_account(self):
        rule = one_rule("account: [X-Tenant]")
        assert operation(rule, headers={"X-Tenant": "a"}).id != operation(rule, headers={"X-Tenant": "b"}).id
        one, other = ({"X-Tenant": "a", "Authorization": f"Bearer {n}"} for n in "12")
        assert operation(rule, headers=one).id == operation(rule, headers=other).id

    def test_a_value_in_another_header_is_another_account(self):
        rule = one_rule("account: [X-A, X-B]")
        assert operation(rule, headers={"X-A": "1"}).id != operation(rule, headers={"X-B": "1"}).id

    def test_more_accounts_than_are_remembered_stay_themselves(self):
        def told():
            return [operation(headers={"X-Api-Key": f"key-{n}"}).account for n in range(2 * account._MOST_KNOWN)]

        first = told()
        assert first == told()
        assert len(set(first)) == len(first)
        assert len(account._KNOWN) <= account._MOST_KNOWN

    def test_no_credential_is_remembered(self):
        operation(headers={"Authorization": "Bearer s3cret-of-ann"})
        assert account._KNOWN
        assert "s3cret" not in repr(account._KNOWN)
