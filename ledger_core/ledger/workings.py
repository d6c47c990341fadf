"""What is behind a `Guard`: from a function and its arguments to an intent, and to the engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import FunctionType
from typing import Any
from weakref import ref

from ledger import clock, fingerprint, frameworks, notices, owners, settings, wrapping
from ledger.engine import Engine
from ledger.fingerprint import Arguments
from ledger.functions import Function, Shape, Tool, known
from ledger.intents import Intent
from ledger.keys import check_given
from ledger.lifecycle import Claimant
from ledger.observers import Observers
from ledger.onceids import once_id
from ledger.opening import Opening
from ledger.policies import CallPolicy, Policies
from ledger.ports import SyncStore
from ledger.previews import preview
from ledger.records import Record
from ledger.scope import Setting
from ledger.values import value
from ledger.varying import CALLS, SECONDS, Watch


@value
class _Prepared:
    """What all calls of a function have in common. told: for `tool`. through: see `Intent`."""

    function: Function
    tool: Tool
    told: CallPolicy
    through: bool


@value
class _Seen:
    """What was prepared for a plain function at its last call, for as long as its name and the policies stay.

    whose: the function; another one may have its id once it is gone, and nothing here keeps it.
    """

    whose: ref[Callable[..., Any]]
    name: str
    policies: dict[str, CallPolicy]
    prepared: _Prepared


class Workings:
    """Of one guard. Making it opens nothing."""

    def __init__(self, store: SyncStore | None, strict: bool | None, workflow: Setting, caller: Setting) -> None:
        self._workflow, self._caller = workflow, caller
        self.policies, self.observers = Policies(strict), Observers()
        self.opening = Opening(store, self.observers.hear)
        self._watch = Watch()
        self._seen: dict[int, _Seen] = {}
        """By the function's id, which is found in a quarter of the time that a WeakKeyDictionary takes."""

    def run(
        self,
        fn: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        *,
        key: str | None,
        tool: Tool | None = None,
        blocked: object = None,
        forced: bool = False,
    ) -> Any:
        """Put one call through the engine; a coroutine where the function is async. See `Guard.__call__`."""
        seen = self._seen.get(id(fn)) if tool is None else None
        if (
            seen is not None
            and seen.policies is self.policies.compiled
            and seen.name == fn.__name__
            and seen.whose() is fn
        ):
            prepared, work = seen.prepared, fn
        else:
            fn, prepared, work = self._prepare(fn, tool)
        if key is not None and prepared.function.takes_key:
            kwargs["key"], key = key, None
        engine = self.opening.engine
        intent = self._intent(engine, prepared, fn, args, kwargs, key, blocked, forced)
        done = partial(work, *args, **kwargs)
        return engine.acall(intent, done) if prepared.function.awaited else engine.call(intent, done)

    def _prepare(self, called: Any, tool: Tool | None) -> tuple[Callable[..., Any], _Prepared, Callable[..., Any]]:
        """The function behind what is called, what its calls have in common, and what runs. Raises TypeError for what
        cannot be guarded."""
        if not callable(called) and frameworks.is_tool(called):
            name = called.name
            raise TypeError(f"{name} is a tool object, which guard cannot call; guard it: guard.wrap_tools([{name}])")
        fn, behind = self._behind(called)
        function, policies = known(fn), self.policies.compiled
        as_tool = tool or behind or function.tool
        told = self.policies.of(as_tool)
        work = _work(fn, function, as_tool, told.collect)
        prepared = _Prepared(function, as_tool, told, wrapping.is_guarded(fn))
        if tool is None and work is called and type(fn) is FunctionType:
            number = id(fn)
            whose: ref[Callable[..., Any]] = ref(fn, lambda _: self._seen.pop(number, None))
            self._seen[number] = _Seen(whose, fn.__name__, policies, prepared)
        return fn, prepared, work

    def id_of(self, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any], key: str | None) -> str:
        """The id that such a call has here and now. Raises what the call would raise before it runs."""
        fn, tool = target, None
        if frameworks.is_tool(target):
            fn, tool = frameworks.function_of(target), frameworks.tool_of(target, self)
        if fn is None:
            raise TypeError(f"the function behind {target.name} cannot be told; name the record by its id")
        fn, prepared, _ = self._prepare(fn, tool)
        if key is not None and prepared.function.takes_key:
            kwargs["key"], key = key, None
        return self._intent(self.opening.engine, prepared, fn, args, kwargs, key, None, True).draft.id

    def tool_of(self, target: Any) -> Tool:
        """Which tool a function or a framework's tool object is."""
        if frameworks.is_tool(target):
            return frameworks.tool_of(target, self)
        fn, tool = self._behind(target)
        return tool or known(fn).tool

    def wrapped(self, target: Any, blocked: object) -> Any:
        """A function or a framework's tool object that is guarded at every call."""
        if not frameworks.is_tool(target):
            return self._guarded(target, None, blocked)

        def whole(fn: Callable[..., Any], args: tuple[Any, ...], tool: Tool) -> Any:
            return self.run(fn, args, {}, key=None, tool=tool, blocked=blocked)

        return frameworks.protected(target, lambda fn, tool: self._guarded(fn, tool, blocked), whole)

    def _guarded(self, fn: Callable[..., Any], tool: Tool | None, blocked: object) -> Callable[..., Any]:
        fn, behind = self._behind(fn)
        tool, function = tool or behind, known(fn)
        _work(fn, function, tool or function.tool, self.policies.of(tool or function.tool).collect)
        return wrapping.guarded(fn, self, self.run, blocked=blocked, tool=tool, awaited=function.awaited)

    def _behind(self, fn: Callable[..., Any]) -> tuple[Callable[..., Any], Tool | None]:
        return wrapping.behind(fn, self)

    def _intent(
        self,
        engine: Engine,
        prepared: _Prepared,
        fn: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        key: str | None,
        blocked: object,
        forced: bool,
    ) -> Intent:
        function, tool, told = prepared.function, prepared.tool, prepared.told
        arguments = fingerprint.bind(fn, function, tool.name, args, kwargs)
        wf = self._workflow.value() or settings.workflow()
        before = self._recorded_by_ledger_once(engine.store, fn, args, kwargs, wf, key) if engine.imported else None
        if key is not None and (type(key) is not str or not key):
            check_given(tool.name, key)
        elif key is None and told.key is not None:
            key = told.key(tool.name, args, kwargs, lambda: arguments.named)
        normal = None if key is not None else fingerprint.normalised(function, tool, arguments)
        if normal is not None and not self.observers.quiet and not forced and not told.policy.unlimited:
            self._warn_of_varying(tool, normal)
        draft = told.draft.having({
            "id": before or fingerprint.identify(tool, fn, wf, normal, key),
            "wf": wf,
            "caller": self._caller.value(),
        })  # fmt: skip
        verify = None if told.verify is None else partial(told.verify, *args, **kwargs)
        # No nonce: a function has no upstream that would honour a key of ours.
        by = Claimant(owners.new_token())
        about = partial(_about, tool, function, arguments, key)
        return Intent(
            draft, told.policy, by, clock.now(), None, forced, about, tool.identity, blocked, verify, prepared.through
        )

    @staticmethod
    def _recorded_by_ledger_once(
        store: SyncStore,
        fn: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        wf: str,
        key: str | None,
    ) -> str | None:
        """The id of this call's record from before an upgrade: what ran then must not run again now."""
        if key is None and known(fn).takes_key:
            # Ledger-Once took `key` for itself, whatever the function's own arguments were.
            kwargs = dict(kwargs)
            key = kwargs.pop("key", None)
        id = once_id(fn, args, kwargs, wf, key)
        return id if id is not None and store.look(Record(id=id, tool="")) is not None else None

    def _warn_of_varying(self, tool: Tool, normal: Mapping[str, str]) -> None:
        names = self._watch.notice(tool.identity, normal, clock.now().mono)
        if names is not None:
            which = f" ({' and '.join(names)} differ{'s' * (len(names) == 1)} every time)" if names else ""
            notices.show(
                f"⚠  {tool.name} called {CALLS}× with different args in <{SECONDS:.0f}s — if retrying, add key={which}"
            )


def _about(tool: Tool, function: Function, arguments: Arguments, key: str | None) -> dict[str, Any]:
    """What a person is shown of the call, who has to find out whether it happened."""
    named = arguments.named
    if function.ignored:
        named = {name: value for name, value in named.items() if name not in function.ignored}
    about = {"function": tool.identity, "args": preview(named)}
    return about if key is None else {**about, "key": str(key)[:200]}


def _work(fn: Callable[..., Any], function: Function, tool: Tool, collect: bool) -> Callable[..., Any]:
    """What is called: the function, or what runs its generator to the end. Raises TypeError for a generator."""
    if function.shape in (Shape.PLAIN, Shape.ASYNC):
        return fn
    if not collect:
        raise TypeError(
            f"{tool.name} is a generator: its effects happen after the call, so it cannot be guarded as it is; "
            f"guard.policy({tool.name.rpartition('.')[2]}, collect=True) runs it to its end and gives the list"
        )
    if function.shape is Shape.GENERATOR:
        return lambda *args, **kwargs: list(fn(*args, **kwargs))

    async def collected(*args: Any, **kwargs: Any) -> list[Any]:
        return [item async for item in fn(*args, **kwargs)]

    return collected
