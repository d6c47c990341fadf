"""One call as the guard understood it, before it arrives at the ledger. Values only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field, replace
from typing import Any

from ledger import clock, owners
from ledger.lifecycle import Claimant
from ledger.policy import Policy
from ledger.records import Kind, Record
from ledger.steps import Attempt
from ledger.values import value

_DRAFT = Record(id="", tool="", kind=Kind.CALL)


@value
class Intent:
    """What is to happen once.

    function: the tool's full identity. about: what a person is shown of the call. blocked: what a duplicate gets that
    is not replayed. forced: run whatever the record says. verify: asks the world about an unknown; takes nothing.
    """

    id: str
    function: str
    tool: str
    wf: str
    caller: str | None
    policy: Policy
    about: dict[str, Any] = field(default_factory=dict)
    blocked: object = None
    forced: bool = False
    verify: Callable[[], Any] | None = None

    def attempt(self, itself: bool) -> Attempt:
        """It arrives now. itself: from inside its own execution, which it must not wait for."""
        policy = replace(self.policy, wait=0.0) if itself else self.policy
        draft = _DRAFT.but(
            id=self.id,
            tool=self.tool,
            wf=self.wf,
            caller=self.caller,
            lease=policy.lease,
            timeout=policy.timeout,
            window=policy.window,
            about=self.about,
        )
        # No nonce: a function has no upstream that would honour a key of ours.
        return Attempt(draft, policy, Claimant(owners.new_token()), clock.now(), forced=self.forced)
