"""What `guard` tells the person at the terminal. Never an exception, never a Python warning.

A warning can be turned into an error, and an error after the effect would make the caller believe it failed.
"""

from __future__ import annotations

import contextlib
import sys

from ledger import settings

_UNHEARD = (OSError, ValueError, RuntimeError)
"""What a stream that cannot take it raises; RuntimeError in a signal handler that interrupted its own writing."""


def tell(text: str) -> None:
    """Trouble: one line on stderr, unless LEDGER_QUIET is set or nobody can hear it."""
    if settings.quiet() or sys.stderr is None:
        return
    with contextlib.suppress(*_UNHEARD):
        print(f"[ledger] {text}", file=sys.stderr, flush=True)


def show(text: str) -> None:
    """What happened: one line on stdout, as Ledger-Once had it, unless LEDGER_QUIET is set."""
    if settings.quiet() or sys.stdout is None:
        return
    with contextlib.suppress(*_UNHEARD):
        print(f"[ledger] {text}", flush=True)
