"""What providers answer, as far as their SDKs look at it. `{serial}` is another one with every effect.

`EFFECTS` says where each effect lands, `table` what is answered there and on the way, as `tests/upstream` takes it.
"""

from __future__ import annotations

from typing import Any

_DISCORD_USER = {"id": "1", "username": "bot", "discriminator": "0", "avatar": None, "bot": True}
_DISCORD_APPLICATION = {
    **{"id": "1", "name": "bot", "icon": None, "description": "", "bot_public": True, "bot_require_code_grant": False},
    **{"verify_key": "", "flags": 0, "owner": _DISCORD_USER},
}
_DISCORD_MESSAGE = {
    **{"id": "{digits}", "channel_id": "42", "author": _DISCORD_USER, "content": "", "attachments": [], "embeds": []},
    **{"mentions": [], "mention_roles": [], "pinned": False, "mention_everyone": False, "tts": False, "type": 0},
    **{"timestamp": "2026-01-01T00:00:00+00:00", "edited_timestamp": None},
}
_COMPLETION = {
    **{"id": "chatcmpl_{serial}", "object": "chat.completion", "created": 1, "model": "gpt"},
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Done"}}],
}
_MESSAGE = {
    **{"id": "msg_{serial}", "type": "message", "role": "assistant", "model": "claude", "stop_reason": "end_turn"},
    **{"content": [{"type": "text", "text": "Done"}], "usage": {"input_tokens": 1, "output_tokens": 1}},
}
_PUBLISHED = (
    '<PublishResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><PublishResult>'
    "<MessageId>{serial}</MessageId></PublishResult></PublishResponse>"
)

EFFECTS = {
    "adyen": "POST checkout-test.adyen.com/v*/payments",
    "anthropic": "POST api.anthropic.com/v1/messages",
    "aws_invoke": "POST lambda.us-east-1.amazonaws.com/2015-03-31/functions/charge/invocations",
    "aws_mail": "POST email.us-east-1.amazonaws.com/v2/email/outbound-emails",
    "aws_queue": "POST sqs.us-east-1.amazonaws.com/",
    "aws_task": "POST ecs.us-east-1.amazonaws.com/",
    "aws_topic": "POST sns.us-east-1.amazonaws.com/",
    "checkout": "POST abc12345.api.sandbox.checkout.com/payments",
    "discord": "POST discord.com/api/v*/channels/42/messages",
    "github": "POST api.github.com/repos/acme/shop/issues",
    "gocardless": "POST api-sandbox.gocardless.com/payments",
    "hubspot": "POST api.hubapi.com/marketing/v3/transactional/single-email/send",
    "mailgun": "POST api.mailgun.net/v3/mg.example.com/messages",
    "openai": "POST api.openai.com/v1/chat/completions",
    "paypal": "POST api-m.sandbox.paypal.com/v2/checkout/orders",
    "postmark": "POST api.postmarkapp.com/email",
    "razorpay": "POST api.razorpay.com/v1/payments/pay_1/refund",
    "resend": "POST api.resend.com/emails",
    "sendgrid": "POST api.sendgrid.com/v3/mail/send",
    "shopify": "POST acme.myshopify.com/admin/api/2026-04/graphql.json",
    "slack": "POST slack.com/api/chat.postMessage",
    "square": "POST connect.squareupsandbox.com/v2/payments",
    "stripe": "POST api.stripe.com/v1/payment_intents",
    "svix": "POST api.svix.com/api/v1/app/app_1/msg*",
    "twilio": "POST api.twilio.com/2010-04-01/Accounts/AC*/Messages.json",
    "webhooks": "POST hooks.example.com/paid",
}

_BODIES: dict[str, tuple[int, Any]] = {
    "adyen": (200, {"pspReference": "{serial}", "resultCode": "Authorised"}),
    "anthropic": (200, _MESSAGE),
    "aws_invoke": (200, {"charged": "{serial}"}),
    "aws_mail": (200, {"MessageId": "{serial}"}),
    "aws_queue": (200, {"MessageId": "{serial}"}),
    "aws_task": (200, {"tasks": [{"taskArn": "arn:aws:ecs:us-east-1:123456789012:task/{serial}"}]}),
    "aws_topic": (200, _PUBLISHED),
    "checkout": (201, {"id": "pay_{serial}", "approved": True, "status": "Authorized"}),
    "discord": (200, _DISCORD_MESSAGE),
    "github": (201, {"number": "{number}", "url": "https://api.github.com/repos/acme/shop/issues/{number}"}),
    "gocardless": (201, {"payments": {"id": "PM{serial}", "amount": 1}}),
    "hubspot": (200, {"status": "PENDING", "statusId": "{serial}"}),
    "mailgun": (200, {"id": "<{serial}@mg.example.com>", "message": "Queued. Thank you."}),
    "openai": (200, _COMPLETION),
    "paypal": (201, {"id": "{serial}", "status": "CREATED"}),
    "postmark": (200, {"ErrorCode": 0, "Message": "OK", "MessageID": "{serial}", "To": "ada@example.com"}),
    "razorpay": (200, {"id": "rfnd_{serial}", "entity": "refund", "status": "processed"}),
    "resend": (200, {"id": "{serial}"}),
    "sendgrid": (202, ""),
    "shopify": (200, {"data": {"refundCreate": {"refund": {"id": "{serial}"}, "userErrors": []}}}),
    "slack": (200, {"ok": True, "channel": "C1", "ts": "{serial}"}),
    "square": (200, {"payment": {"id": "{serial}", "status": "COMPLETED"}}),
    "stripe": (200, {"id": "pi_{serial}", "object": "payment_intent"}),
    "svix": (202, {"id": "msg_{serial}", "eventType": "paid", "payload": {}, "timestamp": "2026-01-01T00:00:00Z"}),
    "twilio": (201, {"sid": "SM{serial}", "status": "queued"}),
    "webhooks": (200, {"received": "{serial}"}),
}

_ON_THE_WAY: list[tuple[str, int, Any]] = [
    (
        "POST api-m.sandbox.paypal.com/v1/oauth2/token",
        200,
        {"access_token": "A21", "token_type": "Bearer", "expires_in": 9},
    ),
    ("GET discord.com/api/v*/users/@me", 200, _DISCORD_USER),
    ("GET discord.com/api/v*/oauth2/applications/@me", 200, _DISCORD_APPLICATION),
]


def table() -> list[dict[str, Any]]:
    """The answers as the oracle takes them."""
    told = [(EFFECTS[name], status, body) for name, (status, body) in _BODIES.items()]
    return [{"request": request, "status": status, "body": body} for request, status, body in (*told, *_ON_THE_WAY)]
