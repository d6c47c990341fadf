"""What the tests of Ledger-Once's users reach for, in Ledger-Once's own shape. Nothing of Ledger itself stands on it.

`Record` is what callbacks and `_engine.store` hand out: plain, mutable, with datetimes. The durable row behind it
is `ledger.records.Record`, which knows more (owner, epoch, generation) and is changed by the lifecycle only.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from typing import Any

from ledger import clock, codec
from ledger.errors import LedgerError
from ledger.ports import Query
from ledger.records import Instant, Status, rfc3339
from ledger.records import Record as Row
from ledger.stores.memory import MemoryStore
from ledger.stores.sqlite import SqliteStore

BLOCKED = None
"""What a blocked duplicate returns: `result is BLOCKED` and `result is None` say the same."""

_CRASH_TIMEOUT = 300.0
_TIMES = ("created", "since", "touched")


def _now() -> datetime:
    return datetime.fromtimestamp(clock.now().wall, UTC)


@dataclass
class Record:
    """One operation as Ledger-Once showed it. A change counts once the store has been given it with `put`.

    created, touched: of the first claim and of the last outcome. since: when the execution in progress began.
    result: the kept return value. runs: executions that succeeded. blocked: duplicates answered without one.
    """

    id: str
    tool: str
    args: dict[str, Any]
    wf: str
    created: datetime
    status: Status = Status.RUNNING
    attempts: int = 0
    runs: int = 0
    blocked: int = 0
    result: Any = None
    error: str | None = None
    caller: str | None = None
    since: datetime | None = None
    touched: datetime = field(default_factory=_now)

    @classmethod
    def of(cls, row: Row) -> Record:
        """A durable row as Ledger-Once showed it."""
        touched = datetime.fromtimestamp(row.touched.wall, UTC)
        return cls(
            id=row.id,
            tool=row.tool,
            args=dict(row.about.get("args", {})),
            wf=row.wf,
            created=datetime.fromtimestamp(row.created.wall, UTC),
            status=row.status,
            attempts=row.attempts,
            runs=row.runs,
            blocked=row.blocked,
            result=_kept(row),
            error=row.error,
            caller=row.caller,
            since=touched if row.status is Status.RUNNING else None,
            touched=touched,
        )

    def to_json(self) -> str:
        """All of it as text, for a store of your own; `from_json` gives an equal one back. The result must be JSON."""
        told = {f.name: getattr(self, f.name) for f in fields(self)}
        for name in _TIMES:
            told[name] = told[name] and told[name].isoformat()
        return json.dumps(told, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Record:
        """The record that `to_json` wrote. Raises ValueError or TypeError for another text."""
        told = json.loads(text)
        for name in _TIMES:
            told[name] = told[name] and datetime.fromisoformat(told[name])
        return cls(**{**told, "status": Status(told["status"])})

    def stale(self, timeout: float) -> bool:
        """Whether it has been running for longer than `timeout` seconds."""
        running = self.status is Status.RUNNING and self.since is not None
        return running and (_now() - self.since).total_seconds() > timeout  # type: ignore[operator]

    def expired(self, ttl: float | None) -> bool:
        """Whether its last outcome is older than `ttl` seconds; never without one."""
        return bool(ttl) and (_now() - self.touched).total_seconds() > (ttl or 0)

    def as_dict(self) -> dict[str, Any]:
        """As `guard.history()` shows it."""
        names = ("id", "tool", "args", "wf", "attempts", "runs", "blocked", "error", "caller")
        times = {"created": rfc3339(self.created.timestamp()), "touched": rfc3339(self.touched.timestamp())}
        return {**{name: getattr(self, name) for name in names}, "status": self.status.value, **times}

    def __repr__(self) -> str:
        caller = f" caller={self.caller!r}" if self.caller else ""
        counts = f"attempts={self.attempts} runs={self.runs} blocked={self.blocked}"
        return f"<Record {self.tool}{caller} {counts} status={self.status.value}>"

    def row(self, was: Row | None) -> Row:
        """The durable row that says this. was: the row it changes.

        Nobody works on what is put as running: its owner is unknown, so that its timeout decides.
        """
        at = self.since if self.status is Status.RUNNING and self.since is not None else self.touched
        base = was or Row(id=self.id, tool=self.tool, timeout=_CRASH_TIMEOUT, epoch=1, generation=1)
        blocked = self.blocked - base.replayed - base.held - base.conflicts
        return base.but(
            tool=self.tool,
            wf=self.wf,
            caller=self.caller,
            status=self.status,
            owner="" if self.status is Status.RUNNING else base.owner,
            spent=max(self.runs, 1) if self.status is Status.SUCCESS else 0,
            attempts=self.attempts,
            runs=self.runs,
            refused=max(0, blocked),
            error=self.error,
            created=Instant(self.created.timestamp()),
            touched=Instant(at.timestamp()),
            began=Instant(at.timestamp()),
            about={**base.about, "args": self.args},
            result=None if self.result is None else codec.encode(self.result),
        )


def _kept(row: Row) -> Any:
    try:
        return None if row.result is None else codec.decode(row.result)
    except (codec.CannotLoad, LedgerError):
        return None


class SixMethods:
    """The six methods in Ledger-Once's shape, on top of a store of ours."""

    def get(self, id: str) -> Record | None:
        row = super().get(id)  # type: ignore[misc]
        return Record.of(row) if row is not None else None

    def claim(self, r: Record) -> bool:
        return bool(super().claim(r.row(None).but(attempts=0)))  # type: ignore[misc]

    def put(self, r: Record) -> None:
        super().put(r.row(super().get(r.id)))  # type: ignore[misc]

    def all(self, wf: str | None = None) -> list[Record]:
        """Oldest first, results included."""
        rows: list[Row] = self.page(Query(wf=wf))  # type: ignore[attr-defined]
        return [found for row in reversed(rows) if (found := self.get(row.id)) is not None]

    def clear(self, wf: str | None = None) -> None:
        """Running records stay."""
        self.remove([record.id for record in self.all(wf)], clock.now())  # type: ignore[attr-defined]


class _Mem(SixMethods, MemoryStore):  # type: ignore[misc]
    """In memory, for tests. Lost with the process."""


class _SQLite(SixMethods, SqliteStore):  # type: ignore[misc]
    """In a file."""

    def reopened(self) -> _SQLite:
        """A store of its own on the same file, for a forked child."""
        self._forked.refuse_torn()
        return _SQLite(self.path, self._durability, cipher=self._cipher)
