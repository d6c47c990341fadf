"""A signal handler that interrupted the ledger in its own thread is refused it: it would wait for itself, or go on from
what is half done."""

from __future__ import annotations

from ledger.errors import StoreBusy


def refused() -> StoreBusy:
    """What to raise."""
    return StoreBusy(
        "the ledger is being used by the code that a signal handler interrupted, so the handler cannot use it; "
        "let it set a flag, and call guard where the flag is read"
    )
