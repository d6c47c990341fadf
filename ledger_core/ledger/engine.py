"""One open ledger of a guard: its store and its keeper, and how a call is put through the steps."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from ledger import answers, clock, effects, forks, verdicts, watchers
from ledger.calls import Call
from ledger.drivers import arun, run
from ledger.effects import StillToAwait
from ledger.errors import InFlight, LedgerError
from ledger.inside import Inside, executing, under_way
from ledger.intents import Intent
from ledger.keeper import Keeper
from ledger.ports import SyncStore
from ledger.records import Record, Status
from ledger.steps import Attempt, Claim, Execute, Look, Outcome, Reply, Verdict, begin

REMEMBERED = 10_000
"""Operations of which an engine remembers that they are recorded; they are looked at before they are claimed."""


_MAY_RUN_INSIDE = (Status.RUNNING, Status.SUCCESS)
"""Success, too: a decorator may begin it, and return before it has ended."""


class _InChild(BaseException):
    """The function forked, and this is the child: the claim, the store and the keeper are the parent's."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome)
        self.outcome = outcome


class Engine:
    """Opened by the first guarded call of a process."""

    def __init__(self, store: SyncStore, owns: bool, observe: Callable[[Reply], None] = lambda _: None) -> None:
        """owns: the store is closed with the engine; otherwise it belongs to whoever passed it in.

        observe: hears of every reply before the caller does.
        """
        self.store, self._owns, self._observe = store, owns, observe
        self.imported = bool(getattr(store, "imported", False))
        """Whether there are records under the ids that Ledger-Once gave them."""
        self.keeper = Keeper(store)
        self._returns_awaitables: set[tuple[str, bool]] = set()
        """Functions, and whether through them another guard's is called, which has the same name."""
        self._recorded: dict[str, None] = {}

    def call(self, intent: Intent, fn: Callable[[], Any]) -> Any:
        """Drive one call; see `answers.value_of`. Where `fn` turns out to be async, a coroutine."""
        if self._returns_awaitables and (intent.function, intent.through) in self._returns_awaitables:
            return self.acall(intent, fn)
        inside = executing.get()
        if inside is not None and self._is_behind(inside, intent):
            return inside.ran(fn)
        itself = inside is not None and inside.has(intent.draft.id)
        if itself:
            intent = intent.unwaiting()
        elif under_way:
            self._refuse_from_elsewhere(intent)
        call = _FunctionCall(self.store, self.keeper, intent, fn)
        try:
            reply = self._watched(intent, call) if watchers.somebody() else run(self._begin(intent), call)
        except StillToAwait as still:
            self._returns_awaitables.add((intent.function, intent.through))
            return self._finish_awaiting(intent, _Unawaited(call, intent, still.value))
        except BaseException as error:
            return _salvaged(error, call, intent)
        self._observe(reply)
        if reply.outcome is None and reply.record.about.get("awaited"):
            return _awaitable(partial(answers.value_of, reply, intent.policy, intent.blocked, itself))
        return answers.value_of(reply, intent.policy, intent.blocked, itself)

    def _watched(self, attempt: Attempt, call: Call) -> Reply:
        with watchers.around(attempt.draft) as watched:
            try:
                reply = run(self._begin(attempt), call)
            except StillToAwait:
                # Watched anew when it is awaited: nobody knows when, or in which task.
                watched.apart()
                raise
            except BaseException as error:
                watched.failed(error)
                raise
            watched.told(reply)
        return reply

    async def acall(self, intent: Intent, fn: Callable[[], Awaitable[Any]]) -> Any:
        """As `call`, awaiting. It arrives when it is awaited, which may be long after it was called."""
        inside = executing.get()
        if inside is not None and self._is_behind(inside, intent):
            with inside.called():
                return await fn()
        itself = inside is not None and inside.has(intent.draft.id)
        if under_way and not itself:
            self._refuse_from_elsewhere(intent)
        intent = (intent.unwaiting() if itself else intent).arriving(clock.now())
        return await self._drive(self._begin(intent), intent, fn, itself)

    def _is_behind(self, inside: Inside, intent: Intent) -> bool:
        """Whether another guard called this one, and has claimed this very operation in this very ledger: then it is
        that one's to record, and this one's to run. Not where it came to nothing meanwhile: another may try again."""
        if not inside.through or inside.id != intent.draft.id or not inside.take():
            return False
        behind = False
        try:
            found = self.store.look(intent.draft)
            behind = found is not None and found.owner == inside.owner and found.status in _MAY_RUN_INSIDE
        finally:
            inside.left = behind
        return behind

    def _refuse_from_elsewhere(self, intent: Intent) -> None:
        """Raise InFlight where another guard's call of this one waits, or seems to: from a thread that knows nothing of
        it, this would wait for that one for ever, or be blocked, and that one be recorded as done."""
        outer = None if intent.through else under_way.get(intent.draft.id)
        found = None if outer is None else self.store.look(intent.draft)
        if outer is not None and found is not None and found.owner == outer.owner and found.status is Status.RUNNING:
            raise InFlight(
                f"{found.tool} is running under another guard; what calls it in another thread between the two must "
                "hand its context on: contextvars.copy_context().run(fn), or asyncio.to_thread(fn)",
                found.id,
            )

    def _begin(self, attempt: Attempt) -> Claim | Look:
        """A duplicate of what was called here before reads, instead of trying to write first."""
        id = attempt.draft.id
        known = id in self._recorded
        self._recorded[id] = None
        if len(self._recorded) > REMEMBERED:
            self._recorded.clear()
        return begin(attempt, attempt.arrived, known)

    def close(self) -> None:
        """Write what is owed and buffered; close the store if it is ours."""
        self.keeper.close()
        if self._owns:
            self.store.close()
        else:
            self.store.flush()

    def after_fork(self) -> Engine:
        """The engine for a forked child. The inherited one is kept and left alone: its locks and connections
        belong to threads that are not here."""
        _inherited.append(self)
        reopened = getattr(self.store, "reopened", None)
        if reopened is not None:
            return Engine(reopened(), owns=True, observe=self._observe)
        return Engine(self.store, owns=self._owns, observe=self._observe)

    async def _drive(
        self,
        step: Claim | Execute | Any,
        intent: Intent,
        fn: Callable[[], Awaitable[Any]],
        itself: bool = False,
        begun: Inside | None = None,
    ) -> Any:
        from ledger.inloop import InLoopCall

        effect = _aeffect(intent, fn, begun)
        call = InLoopCall(self.store, self.keeper, effect, partial(verdicts.aask, intent.verify))
        with watchers.around(intent.draft) as watched:
            try:
                reply = await arun(step, call)
            except BaseException as error:
                watched.failed(error)
                return _salvaged(error, call, intent)
            watched.told(reply)
        self._observe(reply)
        return answers.value_of(reply, intent.policy, intent.blocked, itself)

    async def _finish_awaiting(self, intent: Intent, unawaited: _Unawaited) -> Any:
        """The rest of a call whose function returned something to be awaited."""
        record, value, begun = unawaited.taken_over()
        step = Execute(unawaited.attempt, record)
        return await self._drive(step, intent, lambda: value, begun=begun)


class _FunctionCall(Call):
    """A call whose effect is a function."""

    inside: Inside | None = None
    """Its execution."""

    def __init__(self, store: SyncStore, keeper: Keeper, intent: Intent, fn: Callable[[], Any]) -> None:
        super().__init__(store, keeper)
        self._intent, self._fn = intent, fn

    def verify(self, record: Record) -> Verdict:
        return verdicts.ask(self._intent.verify, record)

    def execute(self, record: Record) -> Outcome:
        self.begin(record)
        pid = forks.pid
        self.inside = inside = Inside(record, self._intent.through)
        with inside:
            outcome = effects.perform(self._fn, self._intent.policy.replay)
        if forks.pid != pid:
            raise _InChild(outcome)
        return self.ended(inside.told(outcome))


class _Unawaited:
    """A claim whose effect begins only when the caller awaits it. If nobody ever does, its outcome is owed."""

    def __init__(self, call: _FunctionCall, attempt: Attempt, value: Awaitable[Any]) -> None:
        self._call: _FunctionCall | None = call
        self.attempt, self._value = attempt, value

    def taken_over(self) -> tuple[Record, Awaitable[Any], Inside | None]:
        """The caller awaits it: who drives it from here owes its outcome."""
        call, self._call = self._call, None
        if call is None or call.mine is None:
            raise RuntimeError("it was awaited already")
        return call.mine, self._value, call.inside

    def __del__(self) -> None:
        if self._call is None:
            return
        # A coroutine that was never started has done nothing; of anything else nobody knows.
        started = getattr(self._value, "cr_frame", None) is None or getattr(self._value, "cr_running", True)
        getattr(self._value, "close", lambda: None)()
        outcome = Outcome(Status.UNKNOWN if started else Status.FAILED, error="its result was never awaited")
        self._call.ended(outcome if self._call.inside is None else self._call.inside.told(outcome))
        self._call.rescue(self.attempt)


def _aeffect(
    intent: Intent, fn: Callable[[], Awaitable[Any]], begun: Inside | None
) -> Callable[[Record], Awaitable[Outcome]]:
    """begun: the execution, where a call of a plain function returned what is awaited now."""

    async def effect(record: Record) -> Outcome:
        inside = begun or Inside(record, intent.through)
        with inside:
            outcome = inside.told(await effects.aperform(fn, intent.policy.replay))
        if begun is None:
            return outcome
        return Outcome(outcome.status, outcome.value, outcome.result, outcome.error, {"awaited": True})

    return effect


def _salvaged(error: BaseException, call: Any, attempt: Attempt) -> Any:
    """What a caller hears when the driver broke off. Once the function ran, its own end, whatever came after it."""
    if isinstance(error, _InChild):
        return answers.live(error.outcome, attempt.draft)
    if not isinstance(error, LedgerError):
        call.rescue(attempt)
        raise error
    if call.outcome is None:
        raise error
    return answers.live(call.outcome, attempt.draft)


async def _awaitable(told: Callable[[], Any]) -> Any:
    return told()


_inherited: list[Engine] = []
