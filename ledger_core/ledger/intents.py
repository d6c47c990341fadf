"""One call as the guard understood it, before it arrives at the ledger. Values only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Self

from ledger import owners
from ledger.lifecycle import Claimant
from ledger.records import Instant
from ledger.steps import Attempt
from ledger.values import value


@value
class Intent(Attempt):
    """What is to happen once, and whom the answer is for.

    function: the tool's full identity. blocked: what a duplicate gets that is not replayed. verify: asks the world
    about an unknown; takes nothing. through: what it calls is guarded once more, inside.
    """

    function: str = ""
    blocked: object = None
    verify: Callable[[], Any] | None = None
    through: bool = False

    def arriving(self, now: Instant) -> Self:
        """The same, by this process at this time."""
        return replace(self, by=Claimant(owners.new_token()), arrived=now)

    def unwaiting(self) -> Self:
        """The same from inside its own execution, which it must not wait for."""
        return replace(self, policy=replace(self.policy, wait=0.0))
