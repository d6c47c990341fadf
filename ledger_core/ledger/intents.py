"""One call as the guard understood it, before it arrives at the ledger. Values only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ledger import clock, owners
from ledger.lifecycle import Claimant
from ledger.policy import Policy
from ledger.records import Record
from ledger.steps import Attempt
from ledger.values import value


@value
class Intent:
    """What is to happen once.

    draft: its row if nobody has seen it. function: the tool's full identity. blocked: what a duplicate gets that is
    not replayed. forced: run whatever the record says. verify: asks the world about an unknown; takes nothing.
    """

    draft: Record
    function: str
    policy: Policy
    blocked: object = None
    forced: bool = False
    verify: Callable[[], Any] | None = None

    def attempt(self, itself: bool) -> Attempt:
        """It arrives now. itself: from inside its own execution, which it must not wait for."""
        policy = replace(self.policy, wait=0.0) if itself else self.policy
        # No nonce: a function has no upstream that would honour a key of ours.
        return Attempt(self.draft, policy, Claimant(owners.new_token()), clock.now(), None, self.forced)
