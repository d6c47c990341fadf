"""An async agent whose workers all post the same webhook, and whose answer is lost once: one effect each.

Run it: `python examples/async_agent.py`. It needs no network: a list plays the world.
"""

from __future__ import annotations

import asyncio

from ledger import OutcomeUnknown, guard

posted: list[str] = []


async def post_webhook(url: str, payload: dict) -> str:
    """Post a webhook; takes a moment, as such things do."""
    posted.append(url)
    await asyncio.sleep(0.1)
    return f"accepted {payload['event']}"


async def pay_invoice(invoice: str) -> str:
    """Pay an invoice. The bank does it, and its answer is lost."""
    posted.append(invoice)
    raise TimeoutError("no answer from the bank")


def was_paid(invoice: str) -> bool | tuple[bool, str]:
    """Look it up at the bank: how an unknown is settled without a person."""
    return (True, f"{invoice} was paid") if invoice in posted else False


async def main() -> None:
    """Five workers with one idea, then a payment whose outcome is open."""
    guard.policy(post_webhook, replay=True)
    with guard.workflow("order-42"):
        payload = {"event": "shipped"}
        calls = [guard(post_webhook, url="https://hooks.example.com/1", payload=payload) for _ in range(5)]
        print(await asyncio.gather(*calls))

        for _ in range(2):
            try:
                await guard(pay_invoice, "INV-7")
            except TimeoutError as error:
                print(f"first call: {error}")
            except OutcomeUnknown as held:
                print(f"held: {str(held)[:50]}")

        guard.policy(pay_invoice, replay=True, verify=was_paid)
        print(await guard(pay_invoice, "INV-7"))
    print(f"effects: {posted}")
    guard.log()


if __name__ == "__main__":
    asyncio.run(main())
