"""The `guard` API: at most one effect per operation, for any Python function. Light to import."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, NoReturn, Self, overload

from ledger.scope import Scoped, Setting

if TYPE_CHECKING:
    from pathlib import Path

    from ledger.compat import Record
    from ledger.engine import Engine
    from ledger.policy import OnUnknown
    from ledger.ports import Store, SyncStore
    from ledger.workings import Workings

_NOT_GIVEN: Any = object()


class Guard:
    """Guards function calls. Nothing is opened before the first one. Safe for threads, tasks and forks."""

    def __init__(self, store: SyncStore | Store | None = None, *, strict: bool | None = None) -> None:
        """store: where the records live; without one, the file LEDGER_DB, by default ./ledger.db. A store of your own
        has six methods, plain or async: see `Store`. Raises TypeError for what is none.

        strict: hold a call whose process died instead of running it again after `timeout`; by default LEDGER_STRICT.
        """
        self._store, self._strict = None if store is None else _lifted(store), strict
        self._workflow, self._caller = Setting("ledger_workflow"), Setting("ledger_caller")

    @classmethod
    def from_rules(
        cls, path: str | Path = "ledger.yaml", store: SyncStore | Store | None = None, *, strict: bool | None = None
    ) -> Self:
        """A guard with the policies that the `tools:` of a rules file name. Raises `ledger_rules.RulesError`, which
        says where the file is wrong.
        """
        from importlib import import_module

        # By name: the rules stand on this package, and not the other way round.
        tools = import_module("ledger_rules.tools").load_tools(path)
        made = cls(store, strict=strict)
        for name, told in tools.items():
            made.policy(name, **told)
        return made

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "a Guard cannot be copied or sent to another process; call a function there that has its own: "
            "from ledger import guard"
        )

    @cached_property
    def _works(self) -> Workings:
        """Made when it is first needed; whoever of two threads comes second takes the first one's."""
        from ledger.workings import Workings

        fresh = Workings(self._store, self._strict, self._workflow, self._caller)
        made: Workings = self.__dict__.setdefault("_works", fresh)
        return made

    @property
    def _engine(self) -> Engine:
        """This process's open ledger; `_engine.store` is what Ledger-Once's users reach for in tests."""
        return self._works.opening.engine

    # -- calls -------------------------------------------------------------------------------------------------

    @overload
    def __call__[T](
        self, fn: Callable[..., Coroutine[Any, Any, T]], /, *args: Any, key: str | None = None, **kwargs: Any
    ) -> Coroutine[Any, Any, T | None]: ...
    @overload
    def __call__[T](self, fn: Callable[..., T], /, *args: Any, key: str | None = None, **kwargs: Any) -> T | None: ...
    def __call__(self, fn: Callable[..., Any], /, *args: Any, key: str | None = None, **kwargs: Any) -> Any:
        """Call `fn(*args, **kwargs)` unless it was called so before; `await` it if it is async.

        key: what names this one effect, instead of the arguments.
        Returns its result; None for a duplicate, or the recorded result under `policy(fn, replay=True)`.
        Raises what `fn` raises (the next call may run), OutcomeUnknown when an earlier call may have happened,
        StoreUnavailable when nothing can be recorded (then `fn` was not called), UnstableArgument for an argument
        that no retry could be recognised by, and under replay InFlight and ResultUnavailable.
        """
        return self._works.run(fn, args, kwargs, key=key)

    @overload
    def once[F: Callable[..., Any]](self, fn: F, /, **policy: Any) -> F: ...
    @overload
    def once[F: Callable[..., Any]](self, fn: None = None, /, **policy: Any) -> Callable[[F], F]: ...
    def once(self, fn: Callable[..., Any] | None = None, /, **policy: Any) -> Any:
        """Guard a function at every call, as a decorator: `@guard.once` or `@guard.once(replay=True)`.

        Takes what `policy` takes; `blocked_return=` is what a blocked duplicate returns instead of None. A call may
        name its effect with `key=`.
        """
        if fn is None:
            return lambda found: self.once(found, **policy)
        if isinstance(fn, classmethod | staticmethod):
            return type(fn)(self.once(fn.__func__, **policy))
        blocked = policy.pop("blocked_return", None)
        if policy:
            self.policy(fn, **policy)
        return self._works.wrapped(fn, blocked)

    @overload
    def wrap_tools[T: Any](self, tools: Mapping[str, T], *, blocked_return: Any = None) -> dict[str, T]: ...
    @overload
    def wrap_tools[T: Any](self, tools: list[T] | tuple[T, ...], *, blocked_return: Any = None) -> list[T]: ...
    def wrap_tools(self, tools: Any, *, blocked_return: Any = None) -> Any:
        """Guard a whole toolset: functions, LangChain tools, OpenAI Agents function tools; a dict or a list of them.

        blocked_return: what a blocked duplicate returns instead of None. Each call may name its effect with `key=`.
        Raises TypeError for what is no tool, ValueError for two different ones that one name stands for.
        """
        from ledger import toolsets

        return toolsets.wrapped(tools, lambda tool: self._works.wrapped(tool, blocked_return), self._works.tool_of)

    def force(self, fn: Callable[..., Any], /, *args: Any, key: str | None = None, **kwargs: Any) -> Any:
        """Call `fn` now, whatever the record says; `await` it if it is async. Raises what `fn` raises."""
        return self._works.run(fn, args, kwargs, key=key, forced=True)

    # -- what holds for a tool ---------------------------------------------------------------------------------

    def policy(
        self,
        tool: Callable[..., Any] | str | Any,
        *,
        unlimited: bool | None = None,
        replay: bool | None = None,
        max: int | None = None,
        ttl: float | None = None,
        wait: float | None = None,
        timeout: float | Literal["default"] | None = "default",
        on_unknown: OnUnknown | str | None = None,
        verify: Callable[..., Any] | None = None,
        key: str | Callable[..., str] | None = None,
        collect: bool | None = None,
    ) -> Self:
        """How calls of a tool are answered; the tool is a function, or its name. A later call changes only what it
        names.

        unlimited: it only reads, so always run it. max: effects allowed per window. ttl: seconds a success answers
        duplicates; 0 is for ever. replay: answer them with the recorded result, waiting while it is still running;
        wait: for so many seconds at most. timeout: seconds without a heartbeat after which a call whose process died
        may run again; None holds it. on_unknown: "hold", or "retry", which accepts a second effect. verify: a function
        of the same arguments that finds out whether an unknown happened: True, False, None when it cannot tell, or
        (True, result). key: a template over the arguments, "email-{order_id}", or a function of them that returns what
        names the effect. collect: run a generator to its end; its items are the result.
        Raises ValueError and TypeError; then nothing is changed.
        """
        told: dict[str, Any] = {"unlimited": unlimited, "replay": replay, "max": max, "window": ttl, "wait": wait}
        told |= {"verify": verify, "key": key, "collect": collect}
        changes = {name: value for name, value in told.items() if value is not None}
        if ttl == 0:
            # In Ledger-Once no window, which is for ever; a window of no length would run every duplicate.
            changes["window"] = None
        if timeout != "default":
            changes["timeout"] = timeout
        if on_unknown is not None:
            changes["on_unknown"] = on_unknown
        self._works.policies.tell(tool if isinstance(tool, str) else self._works.tool_of(tool).identity, changes)
        return self

    # -- whose calls they are, and where they are kept ---------------------------------------------------------

    def workflow(self, id: str) -> Scoped:
        """Scope what follows to one order or job: as a statement, or `with guard.workflow(...)`.

        An id that every start of the agent makes anew finds nothing of the last one, and all of it runs again.
        """
        return Scoped(self, (self._workflow.use(id),))

    def as_caller(self, caller: str) -> Scoped:
        """Tag what follows with who asked: as a statement or in a `with`."""
        return Scoped(self, (self._caller.use(caller),))

    def persist(self, path: str | Path = "ledger.db") -> Self:
        """Keep the records in this file from now on. Raises StoreUnavailable, NotALedger."""
        self._works.opening.move(str(path))
        return self

    def quiet(self) -> Self:
        """Print nothing about calls; `log` still prints."""
        self._works.observers.quiet = True
        return self

    def on_success(self, fn: Callable[[Record], Any]) -> Self:
        """Call `fn` with the record after every execution that succeeded; the last one given counts. What it raises
        is printed and changes nothing."""
        return self._on("success", fn)

    def on_block(self, fn: Callable[[Record], Any]) -> Self:
        """As `on_success`, for every duplicate that was answered without an execution."""
        return self._on("block", fn)

    def on_failure(self, fn: Callable[[Record], Any]) -> Self:
        """As `on_success`, for every execution that failed and may be tried again."""
        return self._on("failure", fn)

    def on_unknown(self, fn: Callable[[Record], Any]) -> Self:
        """As `on_success`, for every execution that may have happened."""
        return self._on("unknown", fn)

    # -- a person's word ---------------------------------------------------------------------------------------

    def retry(self, fn: Callable[..., Any] | Any, /, *args: Any, key: str | None = None, **kwargs: Any) -> None:
        """Let the next call of `fn` with these arguments run, whatever became of it before.

        Raises LedgerError while it is running.
        """
        from ledger import settling

        settling.release(self._engine.store, self._works.id_of(fn, args, kwargs, key))

    def resolve(
        self,
        what: Callable[..., Any] | str | Any,
        /,
        *args: Any,
        done: bool,
        result: Any = _NOT_GIVEN,
        note: str | None = None,
        key: str | None = None,
        **kwargs: Any,
    ) -> None:
        """Settle a call that may have happened: `resolve(fn, *its arguments, done=True)`, or by the record's id,
        which OutcomeUnknown has as `record`.

        done: it happened; False lets the next call run. result: what duplicates are answered with under replay.
        Raises LedgerError for what is not unknown.
        """
        from ledger import effects, settling

        id = what if isinstance(what, str) else self._works.id_of(what, args, kwargs, key)
        kept = None if result is _NOT_GIVEN else effects.success(result, keep=True).result
        settling.resolve(self._engine.store, id, done, kept, note)

    def reset(self, wf: str | None = None) -> None:
        """Forget every record, of one workflow if given, so that everything runs again. Running calls stay."""
        from ledger import settling

        settling.forget(self._engine.store, wf)

    # -- what happened -----------------------------------------------------------------------------------------

    def log(self, wf: str | None = None) -> None:
        """Print every operation: its attempts, executions and blocked duplicates."""
        from ledger import reporting
        from ledger.ports import Query

        print(reporting.log(reversed(self._engine.store.page(Query(wf=wf)))))

    def stats(self, wf: str | None = None) -> dict[str, int]:
        """Totals: actions, attempts, executed, blocked, failed; and unknown, running, replayed, held, conflicts."""
        from ledger.ports import Query
        from ledger.reporting import Stats

        return Stats(self._engine.store.stats(Query(wf=wf)))

    def history(
        self,
        tool: Callable[..., Any] | str | Any = None,
        wf: str | None = None,
        *,
        limit: int | None = None,
        before: str | None = None,
    ) -> list[dict[str, Any]]:
        """The records, oldest first, of one tool and one workflow if given. limit: only the newest so many.

        before: the `cursor` of the first row of a page; the page before it. Raises ValueError for what is no cursor.
        """
        from ledger import reporting
        from ledger.ports import Query

        if limit is not None and (not isinstance(limit, int) or limit < 1):
            raise ValueError(f"limit must be a whole number of at least 1, not {limit!r}")
        name: str | None = None
        identity: str | None = None
        if isinstance(tool, str):
            name = tool
            if "." in tool and not self._engine.store.page(Query(tool=tool, limit=1)):
                # In full, as Ledger-Once named its records: `app.send_email`.
                name, identity = tool.rpartition(".")[2], tool
        elif tool is not None:
            found = self._works.tool_of(tool)
            name, identity = found.name, found.identity
        query = Query(wf=wf, tool=name, limit=limit, before=before)
        return reporting.history(self._engine.store, query, identity)

    def check(self) -> bool:
        """Try the promise in memory: True, or AssertionError that says what is wrong."""
        from ledger.selftest import check

        return check(type(self))

    def close(self) -> None:
        """Write what is owed and buffered, and let go of the file. The next call opens it again."""
        self._works.opening.close()

    def _on(self, what: str, fn: Callable[[Record], Any]) -> Self:
        self._works.observers.callbacks[what] = fn
        return self


def _lifted(store: SyncStore | Store) -> SyncStore:
    from ledger.ownstores import adopt

    return adopt(store)
