"""The store port: what the steps and the screens need of a ledger. Types only."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, runtime_checkable

from ledger.lifecycle import Change
from ledger.records import Event, Instant, Record, Status


@runtime_checkable
class Store(Protocol):
    """The six methods of a user's own store, as Ledger-Once had them."""

    def get(self, id: str) -> Record | None:
        """The record, or None."""
        ...

    def claim(self, r: Record) -> bool:
        """Insert atomically if absent; True for the one who did."""
        ...

    def put(self, r: Record) -> None:
        """Insert or overwrite."""
        ...

    def delete(self, id: str) -> None:
        """Remove; no error when absent."""
        ...

    def all(self, wf: str | None = None) -> list[Record]:
        """Every record, of one workflow if given."""
        ...

    def clear(self, wf: str | None = None) -> None:
        """Remove every record, of one workflow if given."""
        ...


class Held(NamedTuple):
    """A claim as its heartbeat names it."""

    record: str
    owner: str
    epoch: int


@dataclass(frozen=True, slots=True)
class Query:
    """Which records or events a screen asks for. before: cursor, exclusive, of the newest-first order."""

    wf: str | None = None
    tool: str | None = None
    status: Status | None = None
    caller: str | None = None
    id_prefix: str | None = None
    limit: int | None = None
    before: int | None = None


class SyncStore(Store, Protocol):
    """What Ledger's own stores add for correctness, speed and the screens.

    Every method raises StoreUnavailable when the ledger cannot be read or written.
    """

    def insert(self, change: Change) -> bool:
        """Claim durably: insert if the id is absent and no open record has the same content. True if done."""
        ...

    def replace(self, change: Change) -> bool:
        """Write the change if its guard still holds, event and counters with it. True if done."""
        ...

    def look(self, record: Record) -> Record | None:
        """The record with this id, else the open one with the same content, result included."""
        ...

    def append(self, event: Event) -> None:
        """Journal an answered attempt and count it; may be buffered up to 100 ms."""
        ...

    def renew(self, claims: Collection[Held], now: Instant) -> None:
        """Heartbeat: these claims are still worked on."""
        ...

    def running(self) -> list[Record]:
        """Every record whose status is running."""
        ...

    def events(self, after: int = 0, limit: int = 1000, query: Query = Query()) -> list[Event]:
        """Journal lines with seq > after, oldest first."""
        ...

    def page(self, query: Query) -> list[Record]:
        """Records newest first, without results."""
        ...

    def stats(self, query: Query) -> dict[str, int]:
        """Totals as `totals` names them: actions, attempts, executed, blocked, unknown, running, ..."""
        ...

    def remove(self, ids: Sequence[str], now: Instant) -> int:
        """Delete records that are not running; journals each as cleared. Returns how many."""
        ...

    def flush(self) -> None:
        """Write what is buffered."""
        ...

    def close(self) -> None:
        """Flush and let go of the files."""
        ...


class AsyncStore(Protocol):
    """The part of a store that one exchange needs, awaiting."""

    async def insert(self, change: Change) -> bool:
        """As `SyncStore.insert`."""
        ...

    async def replace(self, change: Change) -> bool:
        """As `SyncStore.replace`."""
        ...

    async def look(self, record: Record) -> Record | None:
        """As `SyncStore.look`."""
        ...

    def append(self, event: Event) -> None:
        """As `SyncStore.append`; never waits."""
        ...

    async def renew(self, claims: Collection[Held], now: Instant) -> None:
        """As `SyncStore.renew`."""
        ...

    async def running(self) -> list[Record]:
        """As `SyncStore.running`."""
        ...

    async def close(self) -> None:
        """Flush and let go of the files."""
        ...


def totals(row: Sequence[Any]) -> dict[str, int]:
    """Name the sums of a stats query, in its order, and add what follows from them."""
    names = (
        "actions",
        "attempts",
        "executed",
        "replayed",
        "refused",
        "held",
        "conflicts",
        "failed",
        "unknown",
    )
    sums = {name: int(value or 0) for name, value in zip((*names, "running", "open"), row, strict=True)}
    sums["blocked"] = sums["replayed"] + sums["refused"] + sums["held"] + sums["conflicts"]
    return sums
