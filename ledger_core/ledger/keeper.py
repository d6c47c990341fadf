"""Who keeps this process's claims alive: heartbeats, owed outcomes, and the sweep of dead owners' records."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from weakref import ref

from ledger import clock, lifecycle, notices, owners
from ledger.drivers import AsyncPort, Port, arun, run
from ledger.errors import LedgerError
from ledger.lifecycle import Change
from ledger.ports import AsyncStore, Held, SyncStore
from ledger.records import Record, Status
from ledger.steps import Finish

BEAT_SECONDS = 5.0
SWEEP_SECONDS = 30.0


class AsyncKeeper:
    """One task for all of a sidecar's claims. Only claims between `take` and `drop` are renewed."""

    def __init__(self, store: AsyncStore, beat: float = BEAT_SECONDS, sweep: float = SWEEP_SECONDS) -> None:
        self._store, self._beat, self._sweep = store, beat, sweep
        self._held: dict[Held, asyncio.Event] = {}
        self._owed: list[tuple[Finish, AsyncPort]] = []

    def take(self, record: Record) -> None:
        """Renew this claim from now on."""
        self._held[_held(record)] = asyncio.Event()

    def drop(self, record: Record) -> None:
        """Renew it no longer, and wake who waits for its end."""
        ended = self._held.pop(_held(record), None)
        if ended is not None:
            ended.set()

    def ended(self, record: Record) -> asyncio.Event | None:
        """Set when this claim's execution has ended; None when it is not executed here."""
        return self._held.get(_held(record))

    def owe(self, step: Finish, port: AsyncPort) -> None:
        """Write this outcome as soon as the store can take it."""
        self._owed.append((step, port))

    def owes(self, record: Record) -> bool:
        """Whether an outcome of this record is still to be written."""
        return any(step.record.id == record.id for step, _ in self._owed)

    async def run(self) -> None:
        """Beat until cancelled. What fails now is tried again at the next beat."""
        elapsed = self._sweep
        while True:
            if elapsed >= self._sweep:
                elapsed = 0.0
                with _going_on():
                    await self.sweep()
            await asyncio.sleep(self._beat)
            elapsed += self._beat
            with _going_on():
                await self.beat()

    async def beat(self) -> None:
        """Renew what is held, then try what is owed."""
        try:
            if self._held:
                await self._store.renew(list(self._held), clock.now())
        finally:
            await self.pay()

    async def confirm(self, record: Record) -> bool:
        """Renew one claim now; whether it holds. Not where the store cannot say so."""
        with contextlib.suppress(LedgerError):
            await self._store.renew([_held(record)], clock.now())
            now = await self._store.look(record)
            return now is not None and now.status is Status.RUNNING and _held(now) == _held(record)
        return False

    async def pay(self) -> None:
        """Try each owed outcome once; one that still cannot be written stays owed. So do all that are left when this is
        broken off, the one that broke it off as the last: it may do so again."""
        owed, self._owed = self._owed, []
        try:
            while owed:
                step, port = owed[0]
                try:
                    await arun(step, port)
                except LedgerError:
                    self._owed.append((step, port))
                del owed[0]
        finally:
            self._owed += owed[1:] + owed[:1]

    async def sweep(self) -> int:
        """Mark the records of dead or silent owners unknown, then tidy up; returns how many were marked."""
        marked = 0
        for record in await self._store.running():
            change = _abandoned(record)
            marked += change is not None and await self._store.replace(change)
        await self._store.tidy(clock.now())
        return marked


_indebted: set[Keeper] = set()
"""Keepers that owe outcomes. Here, so that they are there until they paid, though nobody else knows them any more."""


class Keeper:
    """One daemon thread for all of a process's guarded calls, started by the first of them; it ends with its keeper.

    Only claims between `take` and `drop` are renewed, and every beat tries the outcomes that are owed.
    """

    def __init__(self, store: SyncStore, beat: float = BEAT_SECONDS, sweep: float = SWEEP_SECONDS) -> None:
        self._store, self._beat, self._sweep = store, beat, sweep
        self._claims: dict[str, Record] = {}
        """By owner: every claim has a token of its own. Changed without the lock, a key at a time."""
        self._owed: list[tuple[Finish, Port]] = []
        self._lock = threading.RLock()
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()

    def take(self, record: Record) -> None:
        """Renew this claim from now on."""
        self._claims[record.owner] = record
        if self._thread is None:
            with self._lock:
                self._start()

    def drop(self, record: Record) -> None:
        """Renew it no longer."""
        self._claims.pop(record.owner, None)

    def owe(self, step: Finish, port: Port) -> None:
        """Write this outcome as soon as the store can take it."""
        with self._lock:
            self._owed.append((step, port))
            _indebted.add(self)
            self._start()

    def pay(self) -> None:
        """As `AsyncKeeper.pay`."""
        with self._lock:
            owed, self._owed = self._owed, []
        try:
            while owed:
                step, port = owed[0]
                try:
                    run(step, port)
                except LedgerError:
                    self.owe(step, port)
                del owed[0]
        finally:
            with self._lock:
                self._owed += owed[1:] + owed[:1]
                if not self._owed:
                    _indebted.discard(self)

    def beat(self) -> None:
        """Renew what is held, then try what is owed. A store that fails now is tried again at the next beat."""
        held = [_held(record) for record in list(self._claims.values())]
        with contextlib.suppress(LedgerError):
            if held:
                self._store.renew(held, clock.now())
        self.pay()

    def sweep(self) -> int:
        """As `AsyncKeeper.sweep`."""
        changes = [change for record in self._store.running() if (change := _abandoned(record)) is not None]
        marked = sum(self._store.replace(change) for change in changes)
        self._store.tidy(clock.now())
        return marked

    def close(self) -> None:
        """Stop the thread, and try once more what is owed."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        self.pay()

    def _start(self) -> None:
        if self._thread is None and not self._stop.is_set():
            # It knows the keeper weakly, and is woken when that is gone.
            stop, keeper = self._stop, ref(self, lambda _: stop.set())
            thread = threading.Thread(target=_keep, args=(keeper, stop, self._beat), name="ledger-keeper", daemon=True)
            try:
                thread.start()
                self._thread = thread
            except RuntimeError as error:
                # An interpreter that ends starts no thread any more; what it still calls is called without heartbeats.
                # Where there are too many threads, nothing is called: somebody else could take a silent claim over.
                if "interpreter shutdown" not in str(error):
                    raise

    def _turn(self, elapsed: float) -> float:
        """One beat, and a sweep where it is time. elapsed: since the last sweep, before and after."""
        with _going_on():
            self.beat()
        elapsed += self._beat
        if elapsed < self._sweep:
            return elapsed
        with _going_on():
            self.sweep()
        return 0.0


def _keep(whose: ref[Keeper], stop: threading.Event, beat: float) -> None:
    elapsed = 0.0
    while not stop.wait(beat) and (keeper := whose()) is not None:
        elapsed = keeper._turn(elapsed)
        del keeper


def _held(record: Record) -> Held:
    return Held(record.id, record.owner, record.epoch)


def _abandoned(record: Record) -> Change | None:
    """What marks a running record whose owner is gone."""
    now = clock.now()
    why = lifecycle.gone(record, owners.alive(record.owner), now)
    return None if why is None else lifecycle.abandon(record, now, why)


@contextlib.contextmanager
def _going_on() -> Iterator[None]:
    """A keeper that stopped would let living owners' claims lapse: whatever fails, the next beat comes.

    A store that fails is nothing new to anybody; anything else is told.
    """
    try:
        yield
    except LedgerError:
        pass
    except Exception as error:
        notices.tell(f"⚠  the keeper of the ledger goes on after {type(error).__name__}: {error}")
