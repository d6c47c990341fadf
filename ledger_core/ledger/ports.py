"""The store port: what the steps and the screens need of a ledger. Types only."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol, runtime_checkable

from ledger.lifecycle import Change
from ledger.records import Event, Instant, Record, Status


@runtime_checkable
class Store(Protocol):
    """The six methods of a user's own store, as Ledger-Once had them; each may be a coroutine function.

    Only `claim` has to be atomic. A record has to come back whole: keep `Record.to_json()`, give `Record.from_json`.
    Some of the ids contain a `~`: further rows of one record, for Ledger to read.
    """

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


CLOSED = frozenset({Status.SUCCESS, Status.FAILED})
"""What may be removed without force."""
ENDED = CLOSED | {Status.UNKNOWN}
NO_REASON: Mapping[str, str] = MappingProxyType({})
"""What the seed's own `delete` and `clear` remove: all that is not running."""
GRAIN_SECONDS = 300
"""How finely a store keeps what happened when, once it is no longer recent."""


class Held(NamedTuple):
    """A claim as its heartbeat names it."""

    record: str
    owner: str
    epoch: int


class Sort(StrEnum):
    """What a page goes by, the highest first. Operations that are equal in it come the newest first."""

    CREATED = "created"
    TOUCHED = "touched"
    ATTEMPTS = "attempts"
    BLOCKED = "blocked"
    STATUS = "status"
    """What needs a person first: unknown, running, failed, success."""


@dataclass(frozen=True, slots=True)
class Query:
    """Which records or events a screen asks for; all that is given must hold.

    limit: at most so many. before: `cursor` of the last record of the page before; the page goes on after it.
    since, until: Unix seconds, from and up to but not including; of a record its `created`, of an event its `at`.
    grep: occurs in the id, tool, workflow, caller, error, note or request; of an event in its detail; ASCII
        letters in either case.
    sort: what a page goes by.
    oldest: the other way round: a page has the oldest, or the fewest, first.
    """

    wf: str | None = None
    tool: str | None = None
    status: Status | None = None
    caller: str | None = None
    id_prefix: str | None = None
    limit: int | None = None
    before: str | None = None
    since: float | None = None
    until: float | None = None
    grep: str | None = None
    sort: Sort = Sort.CREATED
    oldest: bool = False


class Place(NamedTuple):
    """Where a record stands in an order: by its rank, then by the key, then by when it came; see `place`."""

    rank: int
    key: float
    id: str


_URGENCY = (Status.SUCCESS, Status.FAILED, Status.RUNNING, Status.UNKNOWN)


def place(record: Record, sort: Sort) -> Place:
    """Most operations were asked for once: those that were not are a rank of their own, which an index holds."""
    match sort:
        case Sort.CREATED:
            return Place(0, record.created.wall, record.id)
        case Sort.TOUCHED:
            return Place(0, record.touched.wall, record.id)
        case Sort.ATTEMPTS:
            many = record.attempts > 1
            return Place(int(many), float(record.attempts) if many else record.created.wall, record.id)
        case Sort.BLOCKED:
            key = float(record.blocked) if record.blocked else record.created.wall
            return Place(int(record.blocked > 0), key, record.id)
        case Sort.STATUS:
            return Place(_URGENCY.index(record.status), record.created.wall, record.id)


def cursor(record: Record, sort: Sort = Sort.CREATED) -> str:
    """Where a page ended, to be given as `Query.before`. Opaque; holds although records come and go."""
    return cursor_at(place(record, sort), sort)


def cursor_at(place: Place, sort: Sort) -> str:
    """The cursor of a place, which need not be a record's."""
    order = "" if sort is Sort.CREATED else f"{sort}.{place.rank}:"
    return f"{order}{place.key!r}:{place.id}"


def place_of(cursor: str, sort: Sort = Sort.CREATED) -> Place:
    """The place that a cursor of this order names. Raises ValueError for one that `cursor` did not make."""
    rank, rest = 0, cursor
    if sort is not Sort.CREATED:
        order, _, rest = cursor.partition(":")
        name, _, number = order.partition(".")
        if name != sort or number not in ("0", "1", "2", "3"):
            raise ValueError(f"{cursor!r} is no cursor of the order by {sort}")
        rank = int(number)
    key, colon, id = rest.partition(":")
    if not colon:
        raise ValueError(f"{cursor!r} is no cursor")
    return Place(rank, float(key), id)


class Dimension(StrEnum):
    """What a breakdown groups by. The tool of an HTTP operation is its rule's name."""

    TOOL = "tool"
    WF = "wf"
    CALLER = "caller"


class SyncStore(Protocol):
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

    def timeline(self, id: str) -> list[Event]:
        """Every journal line of one record, oldest first."""
        ...

    def page(self, query: Query) -> list[Record]:
        """Records in the query's order, newest first (by `created`) unless it says otherwise, without results."""
        ...

    def stats(self, query: Query) -> dict[str, int]:
        """Totals as `totals` names them: actions, attempts, executed, blocked, unknown, running, ...

        With `caller`, `since` or `until` they are what was asked by that caller and in that time, at a grain of
        `GRAIN_SECONDS`, removed records included; otherwise they are the sums over the records that are here.
        `running` and `open` always count records that are; `open` those unknown ones that no person released.
        """
        ...

    def breakdown(self, query: Query, by: Dimension, standing: bool = True) -> dict[str, dict[str, int]]:
        """`stats` for each tool, workflow or caller ("" for none), the one with most attempts first.

        By caller they are what each caller asked, as with `Query.caller`. standing: False leaves `running` and `open`
        at 0: to know whose these are, each such record must be read.
        """
        ...

    def activity(self, query: Query, seconds: int) -> dict[float, dict[str, int]]:
        """What happened in each stretch of so many seconds, by its start in Unix seconds, oldest first.

        Stretches in which nothing happened are left out. seconds: a multiple of `GRAIN_SECONDS`, or ValueError.
        """
        ...

    def remove(
        self, ids: Sequence[str], now: Instant, among: Collection[Status] = CLOSED, why: Mapping[str, str] = NO_REASON
    ) -> int:
        """Delete those whose status is among these, in few commits; journals each as cleared. Returns how many.

        why: what the journal's lines say besides, such as who did it.
        Removing an open record (running, unknown) lets an effect that may have happened happen again: by force only.
        """
        ...

    def tidy(self, now: Instant) -> None:
        """Housekeeping for a keeper's sweep, in short transactions: see `stores.filing` and `stores.purging`."""
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

    async def tidy(self, now: Instant) -> None:
        """As `SyncStore.tidy`."""
        ...

    async def close(self) -> None:
        """Flush and let go of the files."""
        ...


_SUMS = (
    "actions", "attempts", "executed", "failed", "unknown", "replayed", "refused", "held", "conflicts",
    "running", "open",
)  # fmt: skip


def totals(row: Sequence[Any]) -> dict[str, int]:
    """Name the sums of a stats query, in its order, and add what follows from them."""
    sums = {name: int(value or 0) for name, value in zip(_SUMS, row, strict=True)}
    sums["blocked"] = sums["replayed"] + sums["refused"] + sums["held"] + sums["conflicts"]
    return sums
