"""One charge with Stripe's SDK, which verifies against a bundle of its own. Argument: the origin."""

import sys

import stripe

stripe.api_key = "sk_test_client"
stripe.api_base = sys.argv[1]
stripe.max_network_retries = 0
print(stripe.PaymentIntent.create(amount=4900, currency="usd"))
