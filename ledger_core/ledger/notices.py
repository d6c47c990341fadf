"""What `guard` tells the person at the terminal. Never an exception, never a Python warning.

A warning can be turned into an error, and an error after the effect would make the caller believe it failed.
"""

from __future__ import annotations

import contextlib
import sys

from ledger import settings


def tell(text: str) -> None:
    """Trouble: one line on stderr, unless LEDGER_QUIET is set or nobody can hear it."""
    if settings.quiet() or sys.stderr is None:
        return
    with contextlib.suppress(OSError, ValueError):
        print(f"[ledger] {text}", file=sys.stderr, flush=True)


def show(text: str) -> None:
    """What happened: one line on stdout, as Ledger-Once had it, unless LEDGER_QUIET is set."""
    if settings.quiet() or sys.stdout is None:
        return
    with contextlib.suppress(OSError, ValueError):
        print(f"[ledger] {text}", flush=True)
