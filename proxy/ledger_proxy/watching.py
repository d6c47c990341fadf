"""One observed request between front and observer: what of it went by, and when it can be followed. No engine here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from ledger_proxy.exchange import Caller
from ledger_proxy.observing import Headers, Observation, Observer, Tee
from ledger_rules.operation import digest
from ledger_rules.request import Request
from ledger_rules.rule import Rule
from ledger_rules.ruleset import decide


class Watched:
    """Its request and its answer pass through `sent` and `came`. head: the request without its body."""

    def __init__(self, observer: Observer, candidates: Sequence[Rule], head: Request, caller: Caller) -> None:
        self._observer, self._candidates, self._head, self._caller = observer, candidates, head, caller
        first = candidates[0]
        self.sent, self.came = Tee(None if first.match.reads_body else partial(digest, first, head)), Tee()
        self._observation: Observation | None = None

    def sent_whole(self, body: bytes | None) -> None:
        """The request has ended. body: given where it did not pass through `sent`."""
        content = self.sent.body if body is None else body
        if self._observation is not None or (content is None and self.sent.digest is None):
            return
        request = replace(self._head, body=content or b"")
        rule = self._candidates[0] if content is None else decide(self._candidates, request)
        if rule is not None and rule.mode == "observe":
            read = self.sent.digest if content is None else None
            self._observation = self._observer.arrived(rule, request, self._caller, read)

    def answered(self, status: int, headers: Headers, body: bytes | None) -> None:
        """Its answer has ended. body: given where it did not pass through `came`."""
        if self._observation is not None:
            self._observation.answered(status, headers, self.came.body if body is None else body)

    def lost(self, why: str, sent: bool) -> None:
        """No whole answer came."""
        if self._observation is not None:
            self._observation.lost(why, sent)
