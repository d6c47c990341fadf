"""Make `ledger.sql`: what Ledger-Once itself writes, as text.

    python -m venv V && V/bin/pip install ledger-once==0.1.5 && V/bin/python tests/guard/ledger_once/make.py

Runs in an environment of its own, because both packages are imported as `ledger`.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent


class Killed(BaseException):
    """Like a kill: Ledger-Once records nothing of it."""


def main() -> None:
    """Run a small shop under Ledger-Once and write its database down."""
    sys.path.insert(0, str(HERE))
    os.environ["LEDGER_QUIET"] = "1"
    folder = tempfile.mkdtemp()
    os.environ["LEDGER_DB"] = f"{folder}/ledger.db"
    import shop_tools as shop

    from ledger import guard

    guard.policy(shop.charge, replay=True)
    guard.policy(shop.notify, max=2)
    for _ in range(3):
        guard(shop.charge, "A-7", amount=99.99)
    guard(shop.send_email, "user@example.com", "Hello", "Bye", priority=1, tags=("a", None))
    guard(shop.send_email, "late@example.com", key="email-9")
    guard(shop.notify, "ann")
    guard.workflow("order-42").as_caller("agent-A")
    guard(shop.charge, "A-7", amount=99.99)
    shop.declined = True
    with contextlib.suppress(ValueError):
        guard(shop.refund, order="A-7")
    shop.dies.append(Killed())
    with contextlib.suppress(Killed):
        guard(shop.ship, order="A-7")
    with sqlite3.connect(os.environ["LEDGER_DB"]) as db:
        (HERE / "ledger.sql").write_text("\n".join(db.iterdump()) + "\n")


if __name__ == "__main__":
    main()
