"""What ends a command early. Nothing else lives here."""

from __future__ import annotations

FAILED = 1
USAGE = 2


class Problem(Exception):
    """One line for a person, who reads it on stderr, and the exit code that goes with it.

    code: `FAILED`, or `USAGE` when the command line, the environment or a rules file is at fault.
    prefixed: whether the line begins with `ledger: `; one that begins with FILE:LINE does not, so that editors
        can follow it.
    """

    def __init__(self, message: str, code: int = FAILED, prefixed: bool = True) -> None:
        self.code, self.prefixed = code, prefixed
        super().__init__(message)


class ReaderGone(Exception):
    """Whoever read stdout had enough, as in `ledger show | head`: the command ends, and nothing is wrong."""
