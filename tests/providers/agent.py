"""An agent that makes one call with each provider's own SDK, as its documentation shows. It knows nothing of Ledger.

Usage: agent.py AMOUNT NAME...    Prints one line of JSON per name: what the SDK gave, or how it failed.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import uuid
from collections.abc import Callable
from itertools import product
from typing import Any


def adyen(amount: int) -> Any:
    import Adyen

    client = Adyen.Adyen(xapikey="key", platform="test")
    payment = {"merchantAccount": "Acme", "reference": "order-42", "amount": {"currency": "EUR", "value": amount}}
    return client.checkout.payments_api.payments(payment | {"paymentMethod": {"type": "scheme"}}).message


def anthropic(amount: int) -> Any:
    from anthropic import Anthropic

    said = [{"role": "user", "content": f"Write an invoice over {amount}"}]
    return Anthropic(api_key="key").messages.create(model="claude", max_tokens=9, messages=said).id


def _aws(service: str) -> Any:
    import boto3

    keys = {"aws_access_key_id": "AKIAIOSFODNN7EXAMPLE", "aws_secret_access_key": "secret"}
    return boto3.client(service, region_name="us-east-1", **keys)  # type: ignore[call-overload]


def aws_invoke(amount: int) -> Any:
    paid = json.dumps({"amount": amount}).encode()
    return json.loads(_aws("lambda").invoke(FunctionName="charge", Payload=paid)["Payload"].read())


def aws_mail(amount: int) -> Any:
    content = {"Simple": {"Subject": {"Data": "Paid"}, "Body": {"Text": {"Data": f"You paid {amount}"}}}}
    to = {"ToAddresses": ["ada@example.com"]}
    return _aws("sesv2").send_email(FromEmailAddress="shop@example.com", Destination=to, Content=content)["MessageId"]


def aws_queue(amount: int) -> Any:
    queue = "https://sqs.us-east-1.amazonaws.com/123456789012/orders"
    return _aws("sqs").send_message(QueueUrl=queue, MessageBody=f"paid {amount}")["MessageId"]


def aws_task(amount: int) -> Any:
    container = {"name": "invoice", "environment": [{"name": "AMOUNT", "value": str(amount)}]}
    ran = _aws("ecs").run_task(taskDefinition="invoice", overrides={"containerOverrides": [container]})
    return ran["tasks"][0]["taskArn"]


def aws_topic(amount: int) -> Any:
    topic = "arn:aws:sns:us-east-1:123456789012:orders"
    return _aws("sns").publish(TopicArn=topic, Message=f"paid {amount}")["MessageId"]


def checkout(amount: int) -> Any:
    from checkout_sdk.checkout_sdk import CheckoutSdk
    from checkout_sdk.common.enums import Currency
    from checkout_sdk.environment import Environment
    from checkout_sdk.payments.payments import PaymentRequest, PaymentRequestTokenSource

    builder = CheckoutSdk.builder().secret_key("sk_sbox_" + "a" * 26 + "=").public_key("pk_sbox_" + "a" * 26 + "=")
    request = PaymentRequest()
    request.source = PaymentRequestTokenSource()
    request.source.token, request.amount, request.currency = "tok_1", amount, Currency.EUR
    builder = builder.environment(Environment.sandbox()).environment_subdomain("abc12345")
    return builder.build().payments.request_payment(request).id


def discord(amount: int) -> Any:
    import discord as sdk

    async def send() -> int:
        async with sdk.Client(intents=sdk.Intents.none()) as client:
            await client.login("token")
            message = await client.get_partial_messageable(42).send(f"Paid {amount}")
            return message.id

    return asyncio.run(send())


def github(amount: int) -> Any:
    from github import Auth, Github

    repository = Github(auth=Auth.Token("token")).get_repo("acme/shop", lazy=True)
    return repository.create_issue(f"Invoice over {amount}").number


def gocardless(amount: int) -> Any:
    import gocardless_pro

    client = gocardless_pro.Client(access_token="token", environment="sandbox")
    return client.payments.create(params={"amount": amount, "currency": "GBP", "links": {"mandate": "MD1"}}).id


def hubspot(amount: int) -> Any:
    from hubspot import HubSpot
    from hubspot.marketing.transactional import PublicSingleSendRequestEgg

    client = HubSpot(access_token="token", proxy=os.environ["HTTPS_PROXY"])  # it reads no variable itself
    message = {"to": "ada@example.com"}
    egg = PublicSingleSendRequestEgg(email_id=7, message=message, custom_properties={"amount": str(amount)})
    return client.marketing.transactional.single_send_api.send_email(egg).status_id


def mailgun(amount: int) -> Any:
    from mailgun.client import Client

    mail = {"from": "shop@example.com", "to": "ada@example.com", "subject": "Paid", "text": f"You paid {amount}"}
    return Client(auth=("api", "key")).messages.create(data=mail, domain="mg.example.com").json()


def openai(amount: int) -> Any:
    from openai import OpenAI

    said: Any = [{"role": "user", "content": f"Write an invoice over {amount}"}]
    return OpenAI(api_key="key").chat.completions.create(model="gpt", messages=said).id


def paypal(amount: int) -> Any:
    from paypalserversdk.configuration import Environment
    from paypalserversdk.http.auth.o_auth_2 import ClientCredentialsAuthCredentials
    from paypalserversdk.models.amount_with_breakdown import AmountWithBreakdown
    from paypalserversdk.models.order_request import OrderRequest
    from paypalserversdk.models.purchase_unit_request import PurchaseUnitRequest
    from paypalserversdk.paypal_serversdk_client import PaypalServersdkClient

    client = PaypalServersdkClient(
        client_credentials_auth_credentials=ClientCredentialsAuthCredentials("id", "secret"),
        environment=Environment.SANDBOX,
    )
    unit = PurchaseUnitRequest(amount=AmountWithBreakdown(currency_code="USD", value=f"{amount}.00"))
    order = OrderRequest(intent="CAPTURE", purchase_units=[unit])
    return client.orders.create_order({"body": order, "paypal_request_id": str(uuid.uuid4())}).body.id


def postmark(amount: int) -> Any:
    from postmarker.core import PostmarkClient

    mail = {"From": "shop@example.com", "To": "ada@example.com", "Subject": "Paid"}
    return PostmarkClient(server_token="token").emails.send(**mail, TextBody=f"You paid {amount}")


def razorpay(amount: int) -> Any:
    from razorpay import Client

    return Client(auth=("rzp_test_1", "secret")).payment.refund("pay_1", {"amount": amount})


def resend(amount: int) -> Any:
    import resend as sdk

    sdk.api_key = "re_1"
    mail: Any = {"from": "shop@example.com", "to": ["ada@example.com"], "subject": "Paid", "text": f"You paid {amount}"}
    return sdk.Emails.send(mail, {"idempotency_key": str(uuid.uuid4())})["id"]


def sendgrid(amount: int) -> Any:
    from sendgrid import SendGridAPIClient
    from sendgrid.helpers.mail import Mail

    mail = Mail("shop@example.com", "ada@example.com", "Paid", f"You paid {amount}")
    return SendGridAPIClient("SG.key").send(mail).headers["X-Message-Id"]


def shopify(amount: int) -> Any:
    import shopify as sdk

    sdk.ApiVersion.define_version(sdk.api_version.Release("2026-04"))
    sdk.ShopifyResource.activate_session(sdk.Session("acme.myshopify.com", "2026-04", "shpat_1"))
    mutation = """mutation Refund($input: RefundInput!, $key: String!) {
      refundCreate(input: $input) @idempotent(key: $key) { refund { id } userErrors { code } }
    }"""
    refund = {"orderId": "gid://shopify/Order/1", "shipping": {"amount": str(amount)}}
    said = sdk.GraphQL().execute(mutation, {"input": refund, "key": str(uuid.uuid4())})
    return json.loads(said)["data"]["refundCreate"]["refund"]["id"]


def slack(amount: int) -> Any:
    from slack_sdk import WebClient

    return WebClient(token="xoxb-1").chat_postMessage(channel="C1", text=f"Paid {amount}")["ts"]


def square(amount: int) -> Any:
    from square import Square
    from square.environment import SquareEnvironment

    client = Square(token="token", environment=SquareEnvironment.SANDBOX)
    money: Any = {"amount": amount, "currency": "USD"}
    key = str(uuid.uuid4())  # as Square's examples have it
    return client.payments.create(source_id="cnon:card", idempotency_key=key, amount_money=money).payment.id


def stripe(amount: int) -> Any:
    import stripe as sdk

    return sdk.StripeClient("sk_test_1").v1.payment_intents.create({"amount": amount, "currency": "usd"}).id


def svix(amount: int) -> Any:
    from svix.api import MessageIn, Svix

    return Svix("token").message.create("app_1", MessageIn(event_type="paid", payload={"amount": amount})).id


def twilio(amount: int) -> Any:
    from twilio.rest import Client

    client = Client("AC" + "0" * 32, "token")
    return client.messages.create(to="+15005550006", from_="+15005550001", body=f"You paid {amount}").sid


def webhooks(amount: int) -> Any:
    from datetime import UTC, datetime

    import httpx
    from standardwebhooks import Webhook

    event, now, body = f"msg_{amount}", datetime.now(UTC), json.dumps({"type": "paid", "data": {"amount": amount}})
    signature = Webhook("whsec_c2VjcmV0c2VjcmV0").sign(event, now, body)
    signed = {"webhook-id": event, "webhook-timestamp": str(int(now.timestamp())), "webhook-signature": signature}
    headers = {"Content-Type": "application/json", **signed}
    return httpx.post("https://hooks.example.com/paid", content=body, headers=headers).json()


AGENTS: dict[str, Callable[[int], Any]] = {
    made.__name__: made
    for made in (
        *(
            adyen,
            anthropic,
            aws_invoke,
            aws_mail,
            aws_queue,
            aws_task,
            aws_topic,
            checkout,
            discord,
            github,
            gocardless,
        ),
        *(hubspot, mailgun, openai, paypal, postmark, razorpay, resend, sendgrid, shopify, slack, square, stripe),
        *(svix, twilio, webhooks),
    )
}


def main(amounts: list[int], names: list[str]) -> None:
    """Call each with each amount, one after the other; a failure is told, not raised."""
    for name, amount in product(names, amounts):
        said: dict[str, Any] = {"name": name, "amount": amount}
        try:
            said["gave"] = AGENTS[name](amount)
        except Exception as error:
            said["failed"] = f"{type(error).__name__}: {error}"
        print(json.dumps(said, default=str), flush=True)


if __name__ == "__main__":
    main([int(amount) for amount in sys.argv[1].split(",")], sys.argv[2:])
