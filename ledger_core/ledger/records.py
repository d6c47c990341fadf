"""The ledger's plain values: records, events, instants. No I/O, no clock, no decisions."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from dataclasses import astuple, dataclass, field, fields
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from ledger.values import value


class Status(StrEnum):
    """What is durably known about an operation."""

    __hash__ = str.__hash__  # that of an Enum is a function of Python's, and tables are asked at every call

    RUNNING = "running"
    SUCCESS = "success"
    FAILED = "failed"
    UNKNOWN = "unknown"


class Kind(StrEnum):
    """How an operation reached Ledger."""

    HTTP = "http"
    CALL = "call"


class EventType(StrEnum):
    """The lines of the append-only journal."""

    __hash__ = str.__hash__

    CLAIMED = "claimed"
    STREAMING = "streaming"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    UNKNOWN = "unknown"
    SETTLED = "settled"
    EXPIRED = "expired"
    REPLAYED = "replayed"
    BLOCKED = "blocked"
    HELD = "held"
    CONFLICT = "conflict"
    RESOLVED = "resolved"
    RELEASED = "released"
    CLEARED = "cleared"
    WRITTEN = "written"
    WARNING = "warning"


@value
class Instant:
    """One moment on both clocks of one boot.

    wall: Unix seconds. mono: seconds since boot, suspend included. boot: the boot's id.
    """

    wall: float
    mono: float = 0.0
    boot: str = ""

    def since(self, earlier: Instant) -> float:
        """Seconds from `earlier`, the smaller of the two clocks within one boot: a jump expires nothing."""
        wall = self.wall - earlier.wall
        if self.boot and self.boot == earlier.boot:
            return max(0.0, min(wall, self.mono - earlier.mono))
        return max(0.0, wall)

    def longest_since(self, earlier: Instant) -> float:
        """Seconds from `earlier`, the larger of the two clocks: for a right that must not outlive its time."""
        wall = abs(self.wall - earlier.wall)
        if self.boot and self.boot == earlier.boot:
            return max(wall, self.mono - earlier.mono)
        return wall


NEVER = Instant(0.0)
_INSTANTS = ("created", "touched", "began")


@value
class Result:
    """What a success answers duplicates with. Opaque to the core.

    meta: small JSON-able facts (HTTP: status and headers). body: the bytes; None when not kept.
    """

    meta: Mapping[str, Any]
    body: bytes | None


_made = object.__new__


@dataclass(kw_only=True)
class Record:
    """The ledger's durable row for one operation. Changed only by `lifecycle`.

    id: fingerprint within the workflow. tool: function or rule that users see. rule: None for calls.
    content_id, payload_id: identities that no rule's name is part of. While this record is open, a claim with
        one of them is refused: content_id is over raw bytes, payload_id over the normalised payload.
    payload: fingerprint compared when the same key comes again; "" when not compared.
    timeout: seconds after which a crashed execution may run again, see `Policy`; None never.
    window: seconds for which a success answers duplicates, so that nothing is purged before; None for ever.
    owner: token of the claim's holder. epoch: how many times claimed. generation: which intended effect.
    spent: effects counted toward `max` in the current window. lease: seconds, see `Policy`.
    resent: the running execution repeats an earlier send under the same upstream key.
    released: a person allowed the next attempt to execute, whatever the status.
    touched: last claim, heartbeat or outcome. began: when this generation was first claimed.
    about: what the caller tells of the request (JSON); never credentials, never bodies.
    version: version of the normaliser that made the id.
    """

    id: str
    tool: str
    kind: Kind = Kind.CALL
    rule: str | None = None
    wf: str = "default"
    caller: str | None = None
    content_id: str | None = None
    payload_id: str | None = None
    payload: str = ""
    version: int = 1
    status: Status = Status.RUNNING
    owner: str = ""
    epoch: int = 0
    generation: int = 0
    lease: float = 30.0
    timeout: float | None = None
    window: float | None = None
    spent: int = 0
    resent: bool = False
    released: bool = False
    upstream_key: str | None = None
    created: Instant = NEVER
    touched: Instant = NEVER
    began: Instant = NEVER
    attempts: int = 0
    runs: int = 0
    failed: int = 0
    unknown: int = 0
    replayed: int = 0
    refused: int = 0
    held: int = 0
    conflicts: int = 0
    error: str | None = None
    note: str | None = None
    about: dict[str, Any] = field(default_factory=dict)
    result: Result | None = field(default_factory=lambda: None)  # not on the class, or nothing would be late

    @property
    def blocked(self) -> int:
        """Attempts answered without an execution."""
        return self.replayed + self.refused + self.held + self.conflicts

    def same_operation(self, other: Record) -> bool:
        """Whether the two are one operation, be it under another rule's name."""
        return self.id == other.id or (self.payload_id is not None and self.payload_id == other.payload_id)

    def but(self, **changes: Any) -> Record:
        """A copy with these fields changed."""
        return self.having(changes)

    def having(self, fields: dict[str, Any]) -> Record:
        """As `but`, for who has the changes in a dict."""
        twin = _made(type(self))
        # `copy.copy` goes through the pickling protocol: five times as long, several times a call.
        twin.__dict__ = self.__dict__ | fields
        return twin

    def bare(self) -> Record:
        """The same in less room, for who makes many copies: what is as at every record's start is not in them."""
        twin = _made(type(self))
        twin.__dict__ = {k: v for k, v in self.__dict__.items() if v is not getattr(Record, k, _made)}
        return twin

    @classmethod
    def of_fields(cls, fields: dict[str, Any], kept: Callable[[], Result | None]) -> Record:
        """The record that has exactly these fields, for stores, which read them by the thousand. What has a default
        may be left out of them, and `result` is.

        kept: gives the result once somebody asks for it, as few do; what it raises, they get.
        """
        record = object.__new__(cls)
        fields["_kept"] = kept
        record.__dict__ = fields
        return record

    def whole(self) -> Record:
        """Itself, with its result read. Raises StoreUnavailable, ResultSealed where that cannot be."""
        _ = self.result
        return self

    if not TYPE_CHECKING:  # which would take any name for a field

        def __getattr__(self, name: str) -> Any:
            """Only what is not there yet is asked for here."""
            kept = self.__dict__.get("_kept")
            if name != "result" or kept is None:
                raise AttributeError(f"a {type(self).__name__} has no {name!r}")
            self.__dict__["result"] = found = kept()
            return found

    def to_json(self) -> str:
        """The whole record as text, for a store of your own; `from_json` gives an equal one back."""
        told = {f.name: getattr(self, f.name) for f in fields(self)}
        for name in _INSTANTS:
            told[name] = astuple(told[name])
        if self.result is not None:
            body = None if self.result.body is None else b64encode(self.result.body).decode()
            told["result"] = [dict(self.result.meta), body]
        return json.dumps(told, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Record:
        """The record that `to_json` wrote. Raises ValueError, TypeError or KeyError for another text."""
        told = json.loads(text)
        told["kind"], told["status"] = Kind(told["kind"]), Status(told["status"])
        for name in _INSTANTS:
            told[name] = Instant(*told[name])
        if told["result"] is not None:
            meta, body = told["result"]
            told["result"] = Result(meta, None if body is None else b64decode(body, validate=True))
        return cls(**told)

    def as_dict(self) -> dict[str, Any]:
        """The record as scripts see it (design §7): JSON-able, times RFC 3339 in UTC."""
        return {
            "id": self.id,
            "kind": self.kind.value,
            "tool": self.tool,
            "rule": self.rule,
            "wf": self.wf,
            "caller": self.caller,
            "status": self.status.value,
            "attempts": self.attempts,
            "runs": self.runs,
            "blocked": self.blocked,
            "replayed": self.replayed,
            "refused": self.refused,
            "held": self.held,
            "conflicts": self.conflicts,
            "failed": self.failed,
            "unknown": self.unknown,
            "epoch": self.epoch,
            "generation": self.generation,
            "created": rfc3339(self.created.wall),
            "touched": rfc3339(self.touched.wall),
            "url": self.about.get("url"),
            "method": self.about.get("method"),
            "response_status": self.about.get("response_status"),
            "error": self.error,
            "note": self.note,
        }


@value
class Event:
    """One line of the journal. seq is 0 until a store has written it."""

    event: EventType
    record: str
    tool: str
    wf: str
    at: float
    caller: str | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)
    seq: int = 0

    def as_dict(self) -> dict[str, Any]:
        """The event as scripts see it (design §7)."""
        return {
            "seq": self.seq,
            "at": rfc3339(self.at),
            "event": self.event.value,
            "record": self.record,
            "tool": self.tool,
            "wf": self.wf,
            "caller": self.caller,
            "detail": dict(self.detail),
        }


def rfc3339(wall: float) -> str:
    """Unix seconds as RFC 3339 in UTC with milliseconds."""
    return datetime.fromtimestamp(wall, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
