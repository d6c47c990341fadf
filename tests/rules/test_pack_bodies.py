"""Packs whose effects share one URL: Shopify's GraphQL by field, AWS by target, action and path."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ledger.policy import OnUnknown
from ledger_rules import Operation, Rule, classify, identify, loads, settles
from ledger_rules.shipped import yaml_of
from tests.rules.helpers import SECRET, request

HOLD, RESEND = OnUnknown.HOLD, OnUnknown.RESEND
SHOPIFY, AWS = loads("packs: [shopify]"), loads("packs: [aws]")
FRESH = ("0f8fad5b-d9cb-469f-a165-70867728950e", "7c9e6679-7425-40de-944b-e07fc1f90ae7")


def graphql(query: str, version: str = "2026-04", **variables: Any):
    body = json.dumps({"query": query, "variables": variables}).encode()
    headers = {"Content-Type": "application/json", "X-Shopify-Access-Token": "shpat_1"}
    return request(target=f"/admin/api/{version}/graphql.json", host="acme.myshopify.com", body=body, headers=headers)


REFUND = (
    "mutation R($input: RefundInput!) { refundCreate(input: $input) { refund { id } userErrors { code message } } }"
)
KEYED = "mutation R($input: RefundInput!, $key: String!) { refundCreate(input: $input) @idempotent(key: $key) { ok } }"


class TestShopify:
    @pytest.mark.parametrize(
        ("name", "message", "window", "on_unknown"),
        [
            ("shopify/refund", graphql(REFUND), 86400, RESEND),
            ("shopify/refund", graphql("mutation { mine: refundCreate(input: {}) { refund { id } } }"), 86400, RESEND),
            ("shopify/create", graphql(REFUND, version="2025-07"), 86400, HOLD),
            ("shopify/stock", graphql("mutation { inventoryAdjustQuantities(input: {}) { ok } }"), 300, RESEND),
            ("shopify/create", graphql("mutation { orderCreate(order: {}) { order { id } } }"), 86400, HOLD),
            ("shopify/create", graphql("mutation { fulfillmentCreateV2(fulfillment: {}) { ok } }"), 86400, HOLD),
            ("shopify/create", graphql("mutation { returnRefund(returnRefundInput: {}) { ok } }"), 86400, HOLD),
            ("shopify/create", graphql("mutation { returnProcess(input: {}) { ok } }"), 86400, HOLD),
            ("shopify/create", graphql("mutation { giftCardDebit(id: 1, debitInput: {}) { ok } }"), 86400, HOLD),
            ("shopify/create", graphql("mutation { subscriptionBillingCycleCharge { ok } }"), 86400, HOLD),
            ("shopify/create", graphql("mutation { subscriptionBillingCycleBulkCharge { ok } }"), 86400, HOLD),
            ("shopify/create", graphql("mutation { orderCreateMandatePayment(id: 1) { ok } }"), 86400, HOLD),
        ],
    )
    def test_covers_mutations_that_move_money_or_goods(self, name, message, window, on_unknown):
        rule = SHOPIFY.match(message)
        assert rule is not None
        assert (rule.name, rule.policy.window, rule.policy.on_unknown) == (name, window, on_unknown)

    def test_covers_rest(self):
        target = "/admin/api/2025-01/orders/450789469/refunds.json"
        rule = SHOPIFY.match(request(target=target, host="acme.myshopify.com"))
        assert rule is not None
        assert (rule.name, rule.policy.on_unknown) == ("shopify/rest", HOLD)

    @pytest.mark.parametrize(
        "query", ["query { orders(first: 1) { nodes { id } } }", "mutation { productUpdate(product: {}) { ok } }"]
    )
    def test_leaves_queries_and_other_mutations_alone(self, query):
        assert SHOPIFY.match(graphql(query)) is None

    def operation(self, query: str, **variables: Any) -> Operation:
        message = graphql(query, **variables)
        rule = SHOPIFY.match(message)
        assert rule is not None
        return identify(rule, message, SECRET)

    def test_a_refund_is_one_under_whatever_fresh_key_and_goes_out_under_ours(self):
        first, again, other = (
            self.operation(KEYED, input={"orderId": order}, key=key)
            for order, key in ((1, FRESH[0]), (1, FRESH[1]), (2, FRESH[0]))
        )
        assert first.id == again.id != other.id
        plain = self.operation(REFUND, input={"orderId": 1})
        assert plain.upstream_key_slot is not None
        sent = json.loads(plain.upstream_key_slot.filled(FRESH[0]))
        assert f'refundCreate(input: $input) @idempotent(key: "{FRESH[0]}")' in sent["query"]

    @pytest.mark.parametrize(
        ("query", "keyed"),
        [
            (
                "mutation P($id: ID!, $idempotencyKey: String!, $mandateId: ID!) { orderCreateMandatePayment"
                "(id: $id, idempotencyKey: $idempotencyKey, mandateId: $mandateId) { paymentReferenceId } }",
                lambda order, key: {"id": order, "mandateId": 7, "idempotencyKey": key},
            ),
            (
                "mutation B($id: ID!, $subscriptionBillingAttemptInput: SubscriptionBillingAttemptInput!)"
                " { subscriptionBillingAttemptCreate(subscriptionContractId: $id,"
                " subscriptionBillingAttemptInput: $subscriptionBillingAttemptInput) { userErrors { code } } }",
                lambda contract, key: {"id": contract, "subscriptionBillingAttemptInput": {"idempotencyKey": key}},
            ),
        ],
    )
    def test_a_charge_is_one_under_whatever_fresh_key_its_variables_carry(self, query, keyed):
        first, again, other, chosen = (
            self.operation(query, **keyed(which, key))
            for which, key in ((1, FRESH[0]), (1, FRESH[1]), (2, FRESH[0]), (1, "november"))
        )
        assert first.id == again.id != other.id
        assert (first.takes_key, first.policy.on_unknown) == (True, HOLD)
        assert (chosen.keyed, chosen.passed_key) == (True, "november")

    def test_two_refunds_in_one_request_share_no_key_and_are_held(self):
        both = self.operation("mutation { a: refundCreate(input: {}) { ok } b: refundCreate(input: {}) { ok } }")
        assert (both.takes_key, both.policy.on_unknown) == (False, HOLD)

    def test_a_key_somebody_chose_stays(self):
        one = self.operation(KEYED, input={}, key="refund-42")
        assert (one.keyed, one.passed_key) == (True, "refund-42")

    @pytest.mark.parametrize(
        ("said", "keyed", "plain"),
        [
            ({"data": {"m": {"refund": {"id": 1}, "userErrors": []}}}, "success", "success"),
            ({"data": {"m": {"userErrors": [{"code": "INVALID"}]}}}, "failed", "failed"),
            ({"data": {"m": {"userErrors": [{"code": "IDEMPOTENCY_CONCURRENT_REQUEST"}]}}}, "unknown", "failed"),
            ({"errors": [{"extensions": {"code": "THROTTLED"}}]}, "unknown", "failed"),
            ({"errors": [{"message": "Internal error"}], "data": None}, "unknown", "unknown"),
        ],
    )
    def test_a_200_is_not_yet_a_success(self, said, keyed, plain):
        body = json.dumps(said).encode()
        refund, create = (SHOPIFY.match(graphql(query)) for query in (REFUND, "mutation { orderCreate { id } }"))
        assert isinstance(refund, Rule)
        assert isinstance(create, Rule)
        assert [classify(rule, 200, (), body) for rule in (refund, create)] == [keyed, plain]
        assert not settles(refund, 409, (), body)


class TestGithub:
    def operation(self, mutation: str, **given: Any) -> Operation | None:
        body = json.dumps({"query": mutation, "variables": {"input": given}}).encode()
        message = request(
            target="/graphql", host="api.github.com", body=body, headers={"Content-Type": "application/json"}
        )
        rule = loads("packs: [github]").match(message)
        return identify(rule, message, SECRET) if rule else None

    COMMENT = "mutation($input: AddCommentInput!) { addComment(input: $input) { clientMutationId } }"

    def test_a_comment_is_one_whatever_id_its_client_gave_it(self):
        first, again, other = (
            self.operation(self.COMMENT, subjectId="I_1", body=said, clientMutationId=mutation)
            for said, mutation in (("done", "a"), ("done", "b"), ("redone", "a"))
        )
        assert first is not None
        assert again is not None
        assert other is not None
        assert first.rule == "github/mutation"
        assert first.id == again.id != other.id

    @pytest.mark.parametrize("query", ["query { viewer { login } }", "mutation { addStar(input: {}) { ok } }"])
    def test_queries_and_what_repeats_itself_harmlessly_are_left_alone(self, query):
        assert self.operation(query) is None


SIGNED = (
    "AWS4-HMAC-SHA256 Credential={}/20260101/us-east-1/sqs/aws4_request, SignedHeaders=host;x-amz-date, Signature={}"
)
FORM = "application/x-www-form-urlencoded; charset=utf-8"


def aws(host: str, target: str = "/", body: str = "", key: str = "AKIAIOSFODNN7EXAMPLE", **headers: str):
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    sent |= {"Authorization": SIGNED.format(key, hash(body)), "X-Amz-Date": "20260101T000000Z"}
    return request(target=target, host=f"{host}.us-east-1.amazonaws.com", body=body.encode(), headers=sent)


def run_task(token: str, family: str = "report", **more: Any):
    body = json.dumps({"taskDefinition": family, "clientToken": token})
    asked = "AmazonEC2ContainerServiceV20141113.RunTask"
    return aws("ecs", body=body, Content_Type="application/x-amz-json-1.1", X_Amz_Target=asked, **more)


class TestAws:
    EFFECTS = (
        ("aws/mail", aws("email", "/v2/email/outbound-emails", "{}"), 86400),
        ("aws/mail-v1", aws("email", body="Action=SendEmail&Source=a%40example.com", Content_Type=FORM), 86400),
        ("aws/publish", aws("sns", body="Action=Publish&Message=hi", Content_Type=FORM), 300),
        ("aws/enqueue", aws("sqs", body="{}", X_Amz_Target="AmazonSQS.SendMessageBatch"), 300),
        ("aws/enqueue-form", aws("sqs", "/123/queue", "Action=SendMessage&MessageBody=hi", Content_Type=FORM), 300),
        ("aws/invoke", aws("lambda", "/2015-03-31/functions/charge/invocations", "{}"), 300),
        ("aws/run", run_task("a"), 300),
        ("aws/execute", aws("states", body="{}", X_Amz_Target="AWSStepFunctions.StartExecution"), 300),
    )

    @pytest.mark.parametrize(("name", "message", "window"), EFFECTS)
    def test_covers_effects_and_holds_what_is_unknown(self, name, message, window):
        rule = AWS.match(message)
        assert rule is not None
        assert (rule.name, rule.policy.window, rule.policy.on_unknown) == (name, window, HOLD)

    def test_covers_a_synchronous_execution_on_the_host_that_sdks_send_it_to(self):
        rule = AWS.match(aws("sync-states", body="{}", X_Amz_Target="AWSStepFunctions.StartSyncExecution"))
        assert rule is not None
        assert rule.name == "aws/execute"

    def test_every_rule_is_tried(self):
        assert [name for name, *_ in self.EFFECTS] == [f"aws/{rule['name']}" for rule in yaml_of("aws")["rules"]]

    @pytest.mark.parametrize(
        "message",
        [
            aws("sqs", body="{}", X_Amz_Target="AmazonSQS.ReceiveMessage"),
            aws("sns", body="Action=ListTopics", Content_Type=FORM),
            aws("email", body="Action=GetSendQuota", Content_Type=FORM),
            aws("lambda", "/2015-03-31/functions"),
            aws("sts", body="Action=AssumeRole", Content_Type=FORM),
            aws("s3", "/bucket/key"),
        ],
    )
    def test_leaves_reads_setup_and_authentication_alone(self, message):
        assert AWS.match(message) is None

    def operation(self, message) -> Operation:
        rule = AWS.match(message)
        assert rule is not None
        return identify(rule, message, SECRET)

    def test_a_token_that_boto3_makes_up_says_nothing(self):
        first, again = (self.operation(run_task(token)) for token in FRESH)
        assert first.id == again.id != self.operation(run_task(FRESH[0], "invoice")).id
        assert not first.takes_key

    def test_the_account_is_the_long_term_key(self):
        keys = ("AKIAIOSFODNN7EXAMPLE", "AKIAI44QH8DHBEXAMPLE")
        assert len({self.operation(run_task("a", key=key)).id for key in keys}) == 2

    def test_another_way_of_invoking_is_another_invocation(self):
        target = "/2015-03-31/functions/charge/invocations"
        ways = [
            aws("lambda", target, "{}", X_Amz_Invocation_Type=way) for way in ("Event", "RequestResponse", "DryRun")
        ]
        assert len({self.operation(way).id for way in ways}) == 3
