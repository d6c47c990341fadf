"""What a rule or `guard.policy` compiles to: how one operation may be answered. Pure values."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class OnUnknown(StrEnum):
    """What a new attempt does when the earlier outcome is unknown."""

    HOLD = "hold"
    """Refuse until a person or a verifier settles it."""
    RESEND = "resend"
    """Send again under the same upstream key, while the provider still remembers it."""
    RETRY = "retry"
    """Run again and accept a second effect (what Ledger-Once did)."""
    VERIFY = "verify"
    """Ask the world whether it happened, and go by that; hold while it cannot tell."""


@dataclass(frozen=True, slots=True)
class Policy:
    """How attempts of one operation are answered. All durations are seconds.

    max: effects allowed per window; successes and unknowns both count.
    window: how long a success answers duplicates; None is for ever.
    replay: answer duplicates with the recorded result, otherwise refuse without one.
    unlimited: never deduplicate, never wait (reads): it runs again whatever became of it before.
    wait: how long a duplicate waits for the execution in flight.
    lease: how long a claim is believed without a heartbeat.
    timeout: seconds without a heartbeat after which a crashed execution may run again; None never
        (the record becomes `unknown`). Only `guard` sets it: it is the seed's contract.
    on_unknown: see `OnUnknown`.
    key_retention: how long the provider honours our upstream key; needed for `resend`.
    """

    max: int = 1
    window: float | None = None
    replay: bool = False
    unlimited: bool = False
    wait: float = 30.0
    lease: float = 30.0
    timeout: float | None = None
    on_unknown: OnUnknown = OnUnknown.HOLD
    key_retention: float | None = None

    def __post_init__(self) -> None:
        """Reject a policy that cannot mean anything; raises ValueError naming the field."""
        if self.max < 1:
            raise ValueError(f"max must be at least 1, not {self.max}")
        for name in ("window", "wait", "lease", "timeout", "key_retention"):
            value = getattr(self, name)
            if value is not None and value < 0:
                raise ValueError(f"{name} must not be negative, not {value}")
        if self.on_unknown is OnUnknown.RESEND and self.key_retention is None:
            raise ValueError("on_unknown=resend needs key_retention: how long the provider honours the key")
