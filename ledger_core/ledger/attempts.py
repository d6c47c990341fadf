"""What the steps of a call are given and what they give: attempts, outcomes, verdicts, answers. Plain values."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, StrEnum
from typing import Any

from ledger.lifecycle import Claimant
from ledger.policy import Policy
from ledger.records import Instant, Record, Result, Status
from ledger.values import value


class Answer(StrEnum):
    """How an attempt ended for its caller."""

    __hash__ = str.__hash__

    EXECUTED = "executed"
    FAILED = "failed"
    UNKNOWN = "unknown"
    REPLAYED = "replayed"
    BLOCKED = "blocked"
    IN_FLIGHT = "in-flight"
    HELD = "held"
    CONFLICT = "conflict"
    GONE = "gone"


class Written(Enum):
    """What became of an outcome's write. OWED: the store failed, and the keeper writes it when it can."""

    YES = "written"
    NO = "refused"
    OWED = "owed"


@value
class Outcome:
    """What an execution came to. value: what the live caller gets; the core never looks at it."""

    status: Status
    value: object = None
    result: Result | None = None
    error: str | None = None
    about: dict[str, object] | None = None


@value
class Opened:
    """The head of an answer that streams: its outcome comes later. value, about: as in `Outcome`."""

    value: object
    about: dict[str, object] | None = None


@value
class Verdict:
    """What the world says of an unknown.

    happened: None when it cannot tell. result: what a replay answers with. note: the evidence, or why it cannot tell.
    """

    happened: bool | None
    result: Result | None = None
    note: str | None = None


@value
class Attempt:
    """One arrival of an operation.

    draft: the row to insert if nobody has seen it. remark: what goes into the event of an answer from a
        record, if anything.
    forced: a person wants it executed whatever the record says.
    about: makes what the draft tells of the request, where it is inserted; most duplicates never are.
    """

    draft: Record
    policy: Policy
    by: Claimant
    arrived: Instant
    remark: Callable[[Record], str | None] | None = None
    forced: bool = False
    about: Callable[[], dict[str, Any]] | None = None


@value
class Seen:
    """A record as just read. alive: its owner is proved alive or dead, or None when that cannot be told."""

    record: Record
    alive: bool | None
