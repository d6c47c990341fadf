"""One open ledger of a guard: its store and its keeper, and how a call is put through the steps."""

from __future__ import annotations

import atexit
import contextlib
import secrets
import weakref
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from ledger import answers, clock, effects, owners
from ledger.calls import Call
from ledger.drivers import arun, run
from ledger.errors import LedgerError
from ledger.keeper import Keeper
from ledger.lifecycle import Claimant
from ledger.policy import Policy
from ledger.ports import SyncStore
from ledger.records import Kind, Record
from ledger.steps import Attempt, Outcome, begin


@dataclass(frozen=True, slots=True)
class Intent:
    """One call as the guard understood it."""

    id: str
    tool: str
    wf: str
    caller: str | None
    policy: Policy

    def attempt(self) -> Attempt:
        """It arrives now."""
        policy = self.policy
        draft = Record(
            id=self.id,
            tool=self.tool,
            kind=Kind.CALL,
            wf=self.wf,
            caller=self.caller,
            lease=policy.lease,
            timeout=policy.timeout,
            window=policy.window,
        )
        return Attempt(draft, policy, Claimant(owners.new_token(), secrets.token_hex(8)), clock.now())


class Engine:
    """Opened by the first guarded call of a process."""

    def __init__(self, store: SyncStore, owns: bool) -> None:
        """owns: the store is closed with the engine; otherwise it belongs to whoever passed it in."""
        self.store, self._owns = store, owns
        self.keeper = Keeper(store)
        _open.add(self)

    def call(self, intent: Intent, fn: Callable[[], Any]) -> Any:
        """Drive one call; see `answers.value_of`."""
        ran: list[Outcome] = []

        def effect(record: Record) -> Outcome:
            ran.append(effects.perform(fn, intent.policy.replay))
            return ran[0]

        attempt = intent.attempt()
        try:
            reply = run(begin(attempt, attempt.arrived), Call(self.store, self.keeper, effect))
        except LedgerError:
            # Once it ran, its own end is what the caller must hear, whatever the ledger then met with.
            if not ran:
                raise
            return answers.live(ran[0], attempt.draft)
        return answers.value_of(reply, intent.policy)

    async def acall(self, intent: Intent, fn: Callable[[], Awaitable[Any]]) -> Any:
        """As `call`, awaiting."""
        from ledger.inloop import InLoopCall

        ran: list[Outcome] = []

        async def effect(record: Record) -> Outcome:
            ran.append(await effects.aperform(fn, intent.policy.replay))
            return ran[0]

        attempt = intent.attempt()
        try:
            reply = await arun(begin(attempt, attempt.arrived), InLoopCall(self.store, self.keeper, effect))
        except LedgerError:
            if not ran:
                raise
            return answers.live(ran[0], attempt.draft)
        return answers.value_of(reply, intent.policy)

    def close(self) -> None:
        """Write what is owed and buffered; close the store if it is ours."""
        _open.discard(self)
        self.keeper.close()
        if self._owns:
            self.store.close()
        else:
            self.store.flush()

    def after_fork(self) -> Engine:
        """The engine for a forked child. The inherited one is kept and left alone: its locks and connections
        belong to threads that are not here."""
        _inherited.append(self)
        _open.discard(self)
        reopened = getattr(self.store, "reopened", None)
        return Engine(reopened(), owns=True) if reopened else Engine(self.store, owns=self._owns)


_open: weakref.WeakSet[Engine] = weakref.WeakSet()
_inherited: list[Engine] = []


@atexit.register
def _close_all() -> None:
    for engine in list(_open):
        with contextlib.suppress(LedgerError):
            engine.close()
