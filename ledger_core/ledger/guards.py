"""The `guard` API: at most one effect per operation, for any Python function. Light to import."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Literal, overload

from ledger import settings
from ledger.scope import Setting, Use

if TYPE_CHECKING:
    from ledger.engine import Engine, Intent
    from ledger.policy import OnUnknown, Policy
    from ledger.ports import SyncStore

CRASH_TIMEOUT = 300.0
"""Seconds without a heartbeat after which a call whose process died may run again (the seed's contract)."""


class Guard:
    """Guards function calls. Nothing is opened before the first one. Safe for threads, tasks and forks."""

    def __init__(self, store: SyncStore | None = None, *, strict: bool | None = None) -> None:
        """store: where the records live; without one, the file LEDGER_DB, by default ./ledger.db.

        strict: hold a call whose process died instead of running it again after `timeout`; by default LEDGER_STRICT.
        """
        if store is not None and not hasattr(store, "insert"):
            raise TypeError(f"{type(store).__name__} is not a store of Ledger's; use SqliteStore or MemoryStore")
        self._store, self._strict = store, strict
        self._policies: dict[str, dict[str, Any]] = {}
        self._workflow, self._caller = Setting("ledger_workflow"), Setting("ledger_caller")
        self._opened: tuple[int, Engine] | None = None
        self._opening = threading.Lock()

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
        StoreUnavailable when nothing can be recorded (then `fn` was not called), and under replay InFlight and
        ResultUnavailable.
        """
        from ledger import functions

        awaited = functions.is_async(fn)
        if key is not None and functions.takes_key(fn):
            kwargs["key"], key = key, None
        intent = self._intent(fn, args, kwargs, key)
        if awaited:
            return self._engine.acall(intent, lambda: fn(*args, **kwargs))
        return self._engine.call(intent, lambda: fn(*args, **kwargs))

    def policy(
        self,
        fn: Callable[..., Any],
        *,
        max: int | None = None,
        ttl: float | None = None,
        replay: bool | None = None,
        timeout: float | Literal["default"] | None = "default",
        on_unknown: OnUnknown | str | None = None,
    ) -> None:
        """How duplicates of `fn` are answered. A later call changes only what it names.

        max: effects allowed per window. ttl: seconds a success answers duplicates. replay: answer them with the
        recorded result, waiting while it is still running. timeout: seconds without a heartbeat after which a call
        whose process died may run again; None holds it. on_unknown: "hold" or "retry". Raises ValueError.
        """
        from ledger.functions import tool_of
        from ledger.policy import OnUnknown

        told: dict[str, Any] = {"max": max, "window": ttl, "replay": replay}
        changes = {name: value for name, value in told.items() if value is not None}
        if timeout != "default":
            changes["timeout"] = timeout
        if on_unknown is not None:
            changes["on_unknown"] = OnUnknown(on_unknown)
        identity = tool_of(fn).identity
        together = {**self._policies.get(identity, {}), **changes}
        self._compile(together)
        self._policies[identity] = together

    def workflow(self, name: str) -> Use:
        """Scope what follows to one order, run or request: as a statement, or `with guard.workflow(...)`."""
        return self._workflow.use(name)

    def as_caller(self, name: str) -> Use:
        """Tag what follows with who asked: as a statement or in a `with`."""
        return self._caller.use(name)

    def stats(self, wf: str | None = None) -> dict[str, int]:
        """Totals: actions, attempts, executed, blocked, failed, unknown, running, replayed, held, ..."""
        from ledger.ports import Query

        return self._engine.store.stats(Query(wf=wf))

    def close(self) -> None:
        """Write what is owed and buffered, and let go of the file. The next call opens it again."""
        with self._opening:
            opened, self._opened = self._opened, None
        if opened is not None and opened[0] == os.getpid():
            opened[1].close()

    @property
    def _engine(self) -> Engine:
        opened, pid = self._opened, os.getpid()
        if opened is not None and opened[0] == pid:
            return opened[1]
        if opened is not None:
            # A forked child, with one thread: whoever held the lock in the parent is not here to release it.
            self._opening = threading.Lock()
        with self._opening:
            if self._opened is None or self._opened[0] != pid:
                self._opened = (pid, self._opened[1].after_fork() if self._opened else self._open())
            return self._opened[1]

    def _open(self) -> Engine:
        from ledger.engine import Engine

        if self._store is not None:
            return Engine(self._store, owns=False)
        from ledger.errors import StoreUnavailable
        from ledger.stores.sqlite import SqliteStore

        path = settings.database()
        if "://" in path:
            raise StoreUnavailable(f"LEDGER_DB={path} is a URL, and guard opens files; give the path of a file")
        return Engine(SqliteStore(path), owns=True)

    def _intent(self, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], key: str | None) -> Intent:
        from ledger.engine import Intent
        from ledger.fingerprint import operation_id
        from ledger.functions import tool_of

        tool = tool_of(fn)
        wf = self._workflow.value() or settings.workflow()
        id = operation_id(fn, args, kwargs, wf, key)
        return Intent(id, tool.name, wf, self._caller.value(), self._compile(self._policies.get(tool.identity, {})))

    def _compile(self, told: dict[str, Any]) -> Policy:
        from ledger.policy import Policy

        strict = settings.strict() if self._strict is None else self._strict
        # Without replay a duplicate is simply blocked; with it, it waits for as long as the owner lives.
        wait = float("inf") if told.get("replay") else 0.0
        return Policy(**{"timeout": None if strict else CRASH_TIMEOUT, "wait": wait, **told})
