"""What a sidecar warns of when a new operation comes: on its log at once, then beside the record in the journal, and at
the end of a run. Each thing once, `MOST` in all. What is worth a warning is in `noticing` and `new_credentials`.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from ledger_proxy.new_credentials import NewCredentials
from ledger_proxy.noticing import Noticer
from ledger_rules.operation import Operation
from ledger_rules.request import Request
from ledger_rules.rule import Rule

logger = logging.getLogger(__name__)

MOST = 100
"""Warnings of one sidecar: who has not heard a hundred hears no more, and the journal is no place for a flood."""


class Notices:
    """Of one sidecar."""

    def __init__(self, secret: bytes) -> None:
        self._noticer, self._new_credentials = Noticer(secret, self._say), NewCredentials(self._say)
        self._said: list[str] = []
        self._left = MOST

    def arrived(self, rule: Rule, request: Request, operation: Operation, now: float) -> Sequence[str]:
        """A new operation came. Returns what there is to say of it. now: Unix seconds. Never raises."""
        self._said = []
        self._noticer.arrived(rule, request, now)
        self._new_credentials.arrived(rule, request, operation)
        return self._said

    def _say(self, text: str) -> None:
        if self._left > 0:
            self._left -= 1
            self._said.append(text)
            logger.warning("%s", text)
