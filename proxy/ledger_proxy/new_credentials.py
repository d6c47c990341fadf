"""Notices a request that came before under another credential: a token was refreshed, probably, and the retry is now
taken for another account's. One warning for each rule. Bounded in memory; keeps hashes only.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from ledger_rules import account
from ledger_rules.operation import Operation
from ledger_rules.request import Request
from ledger_rules.rule import Rule

REQUESTS = 4096
"""So many are remembered; the one that came longest ago is forgotten first."""


class NewCredentials:
    """Of one sidecar. warn: is told one line."""

    def __init__(self, warn: Callable[[str], None]) -> None:
        self._warn = warn
        self._last: OrderedDict[int, str] = OrderedDict()
        self._spoken: set[str] = set()

    def arrived(self, rule: Rule, request: Request, operation: Operation) -> None:
        """A new operation came. Never raises."""
        before = self._last.pop(operation.whoever, operation.account)
        self._last[operation.whoever] = operation.account
        if len(self._last) > REQUESTS:
            self._last.popitem(last=False)
        if before == operation.account or rule.name in self._spoken or not account.opaque(request, rule.account):
            return
        self._spoken.add(rule.name)
        self._warn(
            f"an equal {request.method} to {request.host} came before under another credential, and this one counts as "
            f"another account's: it has its effect again. If a token was refreshed in between, add to rule "
            f"'{rule.name}': account: [NAME OF A HEADER THAT STAYS]. If these are two accounts, all is well"
        )
