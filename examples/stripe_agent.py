"""An ordinary agent with one tool, `charge_card`, over the real Stripe SDK. It has never heard of Ledger.

Like most agent frameworks it calls a tool that failed again. The SDK's own retries repeat their Idempotency-Key;
a new tool call is a new SDK call, and that has a new key.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable

import stripe

stripe.api_key = os.environ.get("STRIPE_API_KEY", "sk_test_demo")
stripe.default_http_client = stripe.RequestsClient(timeout=1.5)  # a person is waiting; the SDK's retries stay on


def charge_card(order: str, amount: int) -> str:
    """Tool: charge the customer's card for an order, in cents. Returns the id of the payment."""
    payment = stripe.PaymentIntent.create(
        amount=amount,
        currency="usd",
        payment_method="pm_card_visa",
        confirm=True,
        off_session=True,
        metadata={"order": order},
    )
    return payment.id


def call_tool(tool: Callable[[str, int], str], order: str, amount: int, *, tries: int = 4) -> str | None:
    """The framework's loop: a tool that raises is called again. Returns None when it gives up."""
    for _ in range(tries):
        print(f"asking: {tool.__name__}({order}, ${amount / 100:.2f})", flush=True)
        try:
            return tool(order, amount)
        except stripe.CardError as declined:
            print(f"declined: {declined.user_message}", flush=True)
            return None
        except stripe.StripeError as problem:
            reason = str(problem.user_message or problem).split("\n")[0].split(". ")[0]
            status = f" {problem.http_status}" if problem.http_status else ""
            print(f"failed: {type(problem).__name__}{status}: {reason}", flush=True)
            time.sleep(1)
    return None


def main() -> int:
    """Get one order paid."""
    parser = argparse.ArgumentParser(description="Charge the card for one order.")
    parser.add_argument("order", nargs="?", default="order-42")
    parser.add_argument("amount", nargs="?", type=int, default=4900, help="in cents")
    arguments = parser.parse_args()
    payment = call_tool(charge_card, arguments.order, arguments.amount)
    print(f"paid: {payment}" if payment else "giving up", flush=True)
    return 0 if payment else 1


if __name__ == "__main__":
    sys.exit(main())
