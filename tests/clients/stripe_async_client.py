"""One charge with Stripe's asynchronous SDK, which uses httpx and its own bundle. Argument: the origin."""

import asyncio
import sys

import stripe


async def main(origin: str) -> None:
    client = stripe.StripeClient(
        "sk_test_client", base_addresses={"api": origin}, max_network_retries=0, http_client=stripe.HTTPXClient()
    )
    print(await client.v1.payment_intents.create_async({"amount": 4900, "currency": "usd"}))
    await client._requestor._get_http_client().close_async()


asyncio.run(main(sys.argv[1]))
