"""Tools that ran under Ledger-Once when the fixture was made, and run under Ledger in the tests. Knows neither."""

from __future__ import annotations

from typing import Any

ran: list[str] = []
"""What was really executed, in this process."""


def charge(order: str, amount: float, currency: str = "usd") -> dict[str, Any]:
    """Its result is replayed."""
    ran.append(f"charge {order}")
    return {"order": order, "amount": amount, "$": currency}


def send_email(to: str, *lines: str, **headers: Any) -> None:
    """Has no result, and arguments of every kind."""
    ran.append(f"send_email {to}")


def notify(user: str) -> str:
    """May run twice."""
    ran.append(f"notify {user}")
    return f"told {user}"


def refund(order: str) -> None:
    """Is declined under Ledger-Once, and works from then on."""
    ran.append(f"refund {order}")
    if declined:
        raise ValueError("refund window closed")


def ship(order: str) -> None:
    """The process dies in the middle of it under Ledger-Once."""
    ran.append(f"ship {order}")
    if dies:
        raise dies[0]


declined = False
dies: list[BaseException] = []
