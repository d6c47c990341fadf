"""What the answers of each pack's provider mean: done, certainly not done, or neither; and which settle an unknown."""

from __future__ import annotations

import json

import pytest

from ledger_rules import classify, settles
from tests.rules.helpers import json_request, the_rule

SHOP = "https://acme.myshopify.com/admin/api/2026-04/graphql.json"
OLDER = "https://acme.myshopify.com/admin/api/2025-10/graphql.json"
ADDED = "https://api.github.com/graphql"
NO_ERRORS: dict[str, list[object]] = {"userErrors": []}


def user_errors(*codes: str | None):
    """What a mutation says that did nothing; None where the code was not asked for."""
    return {"userErrors": [{"message": "no"} if code is None else {"message": "no", "code": code} for code in codes]}


def errors(*given: tuple[str, list[str] | None]):
    return [{"type": kind} | ({} if path is None else {"path": path}) for kind, path in given]


GRAPHQL_ANSWERS = {
    "a refund is done": (SHOP, {"data": {"refundCreate": NO_ERRORS}}, "success"),
    "a refund is refused": (SHOP, {"data": {"refundCreate": user_errors("INVALID")}}, "failed"),
    "one of two refunds is refused": (SHOP, {"data": {"a": NO_ERRORS, "b": user_errors("INVALID")}}, "unknown"),
    "two refunds are refused": (SHOP, {"data": {"a": user_errors("X"), "b": user_errors("Y")}}, "failed"),
    "the first is in flight": (
        SHOP,
        {"data": {"refundCreate": user_errors("IDEMPOTENCY_CONCURRENT_REQUEST")}},
        "unknown",
    ),
    "the key is known with something else": (
        SHOP,
        {"data": {"refundCreate": user_errors("IDEMPOTENCY_KEY_PARAMETER_MISMATCH")}},
        "unknown",
    ),
    "a refund is refused without a code": (SHOP, {"data": {"r": user_errors(None)}}, "failed"),
    "a refund by an older version is refused": (OLDER, {"data": {"r": user_errors(None)}}, "failed"),
    "one of two by an older version is refused": (OLDER, {"data": {"a": NO_ERRORS, "b": user_errors(None)}}, "unknown"),
    "throttled": (OLDER, {"errors": [{"extensions": {"code": "THROTTLED"}}]}, "failed"),
    "throttled, and more": (
        OLDER,
        {"errors": [{"extensions": {"code": "THROTTLED"}}, {"extensions": {"code": "INTERNAL_SERVER_ERROR"}}]},
        "unknown",
    ),
    "throttled, but one is done": (
        OLDER,
        {"data": {"a": NO_ERRORS, "b": None}, "errors": [{"extensions": {"code": "THROTTLED"}}]},
        "unknown",
    ),
    "two errors are about one of two comments": (
        ADDED,
        {"data": {"a": None, "b": None}, "errors": errors(("NOT_FOUND", ["a"]), ("FORBIDDEN", ["a"]))},
        "unknown",
    ),
    "a comment is added": (ADDED, {"data": {"addComment": {"clientMutationId": None}}}, "success"),
    "of one of two comments nothing is told": (
        ADDED,
        {"data": {"a": None, "b": None}, "errors": errors(("NOT_FOUND", ["a"]))},
        "unknown",
    ),
    "there is nothing to comment on": (
        ADDED,
        {"data": {"addComment": None}, "errors": errors(("NOT_FOUND", ["addComment"]))},
        "failed",
    ),
    "the token lacks a scope": (ADDED, {"errors": errors(("INSUFFICIENT_SCOPES", None))}, "failed"),
    "one of two comments is added": (
        ADDED,
        {"data": {"a": {"clientMutationId": None}, "b": None}, "errors": errors(("NOT_FOUND", ["b"]))},
        "unknown",
    ),
    "of one of two comments nothing is known": (
        ADDED,
        {"data": {"a": None, "b": None}, "errors": errors(("NOT_FOUND", ["a"]), ("INTERNAL", ["b"]))},
        "unknown",
    ),
    "a comment is added that may not be read": (
        ADDED,
        {"data": {"addComment": None}, "errors": errors(("FORBIDDEN", ["addComment", "subject", "id"]))},
        "unknown",
    ),
}
"""Several mutations can stand in one document, each with an end of its own."""

GOCARDLESS = "https://api.gocardless.com/payments"
CONFLICT = {"reason": "idempotent_creation_conflict", "links": {"conflicting_resource_id": "PM1"}}

ORDERS = "https://api-m.paypal.com/v2/checkout/orders"
CAPTURE = "https://api-m.paypal.com/v2/payments/authorizations/0VF5/capture"
RESEND_BATCH = "https://api.resend.com/emails/batch"
REFUND = "https://api-m.paypal.com/v2/payments/captures/2GG2/refund"
SINGLE_SEND = "https://api.hubapi.com/marketing/v3/transactional/single-email/send"
BATCH = "https://api.postmarkapp.com/email/batch"


def order(*captures: str, authorizations: tuple[str, ...] = ()):
    """An order of PayPal, one purchase unit for each."""
    units = [{"captures": [{"status": status}]} for status in captures]
    units += [{"authorizations": [{"status": status}]} for status in authorizations]
    return {"status": "COMPLETED", "purchase_units": [{"payments": payments} for payments in units]}


ANSWERS = [
    ("adyen", "https://checkout-test.adyen.com/v72/payments", 200, {"resultCode": "Authorised"}, "success"),
    ("adyen", "https://checkout-test.adyen.com/v72/payments", 200, {"resultCode": "Refused"}, "failed"),
    ("adyen", "https://checkout-test.adyen.com/v72/payments", 200, {"resultCode": "Error"}, "unknown"),
    ("adyen", "https://checkout-test.adyen.com/v72/payments", 422, {"errorCode": "704"}, "failed"),
    ("adyen", "https://checkout-test.adyen.com/v72/donations", 200, {"status": "completed"}, "success"),
    ("adyen", "https://checkout-test.adyen.com/v72/donations", 200, {"status": "refused"}, "failed"),
    ("checkout", "https://api.checkout.com/payments", 201, {"approved": True, "status": "Authorized"}, "success"),
    ("checkout", "https://api.checkout.com/payments", 201, {"approved": False, "status": "Declined"}, "failed"),
    ("checkout", "https://api.checkout.com/payments", 202, {"status": "Pending"}, "success"),
    ("github", "https://api.github.com/repos/o/r/issues", 422, {"message": "Validation Failed"}, "failed"),
    ("gocardless", GOCARDLESS, 201, {"payments": {"id": "PM1"}}, "success"),
    ("gocardless", GOCARDLESS, 409, {"error": {"errors": [CONFLICT]}}, "success"),
    ("gocardless", GOCARDLESS, 409, {"error": {"errors": [{"reason": "bank_account_exists"}]}}, "failed"),
    ("slack", "https://slack.com/api/chat.postMessage", 200, {"ok": True, "ts": "1.2"}, "success"),
    ("slack", "https://slack.com/api/chat.postMessage", 200, {"ok": False, "error": "channel_not_found"}, "failed"),
    ("slack", "https://slack.com/api/chat.postMessage", 200, {"ok": False, "error": "internal_error"}, "unknown"),
    ("hubspot", SINGLE_SEND, 200, {"status": "PENDING", "statusId": "1"}, "success"),
    ("hubspot", SINGLE_SEND, 200, {"sendResult": "SENT"}, "success"),
    ("hubspot", SINGLE_SEND, 200, {"sendResult": "IDEMPOTENT_IGNORE"}, "success"),
    ("hubspot", SINGLE_SEND, 200, {"sendResult": "INVALID_TO_ADDRESS"}, "failed"),
    ("hubspot", SINGLE_SEND, 200, {"sendResult": "IDEMPOTENT_FAIL"}, "unknown"),
    ("paypal", ORDERS, 422, {"name": "UNPROCESSABLE_ENTITY"}, "failed"),
    ("paypal", ORDERS, 201, {"id": "5O1", "status": "CREATED"}, "success"),
    ("paypal", ORDERS, 201, order("COMPLETED"), "success"),
    ("paypal", ORDERS, 201, order("DECLINED"), "failed"),
    ("paypal", ORDERS, 201, order("DECLINED", "COMPLETED"), "success"),
    ("paypal", ORDERS, 201, order(authorizations=("DENIED",)), "failed"),
    ("paypal", ORDERS, 201, order("DECLINED", authorizations=("CREATED",)), "success"),
    ("paypal", f"{ORDERS}/5O1/capture", 201, order("DECLINED"), "failed"),
    ("paypal", f"{ORDERS}/5O1/capture", 201, order("PENDING"), "success"),
    ("paypal", CAPTURE, 201, {"status": "DECLINED"}, "failed"),
    ("paypal", CAPTURE, 201, {"status": "PENDING"}, "success"),
    ("paypal", REFUND, 201, {"status": "FAILED"}, "failed"),
    ("paypal", REFUND, 201, {"status": "COMPLETED"}, "success"),
    ("postmark", BATCH, 200, [{"ErrorCode": 0}, {"ErrorCode": 406}], "success"),
    ("postmark", BATCH, 200, [{"ErrorCode": 300}, {"ErrorCode": 406}], "failed"),
    ("postmark", BATCH, 200, [{"Message": "OK"}], "success"),
    ("postmark", BATCH, 200, [], "success"),
    ("postmark", "https://api.postmarkapp.com/email", 200, {"ErrorCode": 0}, "success"),
    ("resend", RESEND_BATCH, 200, {"data": [{"id": "1"}]}, "success"),
    ("resend", RESEND_BATCH, 200, {"data": [{"id": "1"}], "errors": [{"index": 1}]}, "success"),
    ("resend", RESEND_BATCH, 200, {"data": [], "errors": [{"index": 0}]}, "failed"),
    ("resend", "https://api.resend.com/emails", 200, {"id": "1"}, "success"),
    ("square", "https://connect.squareup.com/v2/payments", 402, {"errors": [{"code": "CARD_DECLINED"}]}, "failed"),
    ("twilio", "https://api.twilio.com/2010-04-01/Accounts/AC1/Messages.json", 503, {}, "unknown"),
]


@pytest.mark.parametrize(("name", "url", "status", "body", "outcome"), ANSWERS)
def test_what_an_answer_means(name, url, status, body, outcome):
    assert classify(the_rule(name, url), status, (), json.dumps(body).encode()) == outcome


@pytest.mark.parametrize("case", GRAPHQL_ANSWERS)
def test_what_an_answer_to_mutations_means(case):
    """That one of them did nothing says nothing of the others."""
    url, answer, outcome = GRAPHQL_ANSWERS[case]
    name, field = ("github", "addComment") if url == ADDED else ("shopify", "refundCreate")
    rule = the_rule(name, url, **json_request(json.dumps({"query": f"mutation {{ {field} {{ id }} }}"})))
    assert classify(rule, 200, (), json.dumps(answer).encode()) == outcome


def test_voiding_what_paypal_authorized_is_answered_without_a_body():
    void = the_rule("paypal", "https://api-m.paypal.com/v2/payments/authorizations/0VF5/void")
    assert classify(void, 204, (), b"") == "success"


def test_an_incoming_webhook_of_slack_answers_with_plain_text():
    rule = the_rule("slack", "https://hooks.slack.com/services/T1/B1/x")
    assert classify(rule, 200, (("Content-Type", "text/html"),), b"ok") == "success"


def test_a_409_with_what_was_created_proves_a_replay_to_gocardless_only():
    body = json.dumps({"error": {"errors": [CONFLICT]}}).encode()
    assert settles(the_rule("gocardless", GOCARDLESS), 409, (), body)
    assert not settles(the_rule("resend", "https://api.resend.com/emails"), 409, (), body)


def test_a_refusal_that_may_mean_the_first_request_is_in_flight_settles_nothing():
    """The errors of refundCreate have no code, so on a recovery send all of them look alike."""
    rule = the_rule("shopify", SHOP, **json_request('{"query": "mutation { refundCreate { order { id } } }"}'))
    assert not settles(rule, 200, (), json.dumps({"data": {"refundCreate": user_errors(None)}}).encode())
    assert settles(rule, 200, (), json.dumps({"data": {"refundCreate": NO_ERRORS}}).encode())
