"""Functions that are guarded wherever they are called: what `guard.once` and `guard.wrap_tools` return.

Such a function keeps its name, signature, docstring and annotations, so that a framework reads the same schema off it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from types import FunctionType
from typing import Any, Protocol

from ledger.functions import Tool, is_method, known

_MARK = "__ledger_guarded__"


class Runs(Protocol):
    """What a guard does with a call; see `Guard._run`."""

    def __call__(
        self,
        fn: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        *,
        key: str | None,
        tool: Tool | None,
        blocked: object,
    ) -> Any: ...


@dataclass(frozen=True, slots=True)
class Guarded:
    """What is behind a guarded function.

    itself: that one. `functools.wraps` copies the mark onto a decorator's, which may do more than call it.
    """

    itself: Callable[..., Any]
    fn: Callable[..., Any]
    guard: object
    tool: Tool | None


def behind(fn: Callable[..., Any], guard: object) -> tuple[Callable[..., Any], Tool | None]:
    """The function that `guard` already guards here, so that it is not guarded twice; else `fn` itself."""
    if isinstance(fn, functools.partial):
        func, tool = behind(fn.func, guard)
        return (fn, None) if func is fn.func else (functools.partial(func, *fn.args, **fn.keywords), tool)
    mark = getattr(fn, _MARK, None)
    if not isinstance(mark, Guarded) or mark.guard is not guard or mark.itself is not getattr(fn, "__func__", fn):
        return fn, None
    owner = getattr(fn, "__self__", None)
    return (mark.fn if owner is None else mark.fn.__get__(owner)), mark.tool


def is_guarded(fn: Callable[..., Any]) -> bool:
    """Whether any guard guards it, or what it decorates."""
    return isinstance(getattr(fn, _MARK, None), Guarded)


def guarded(
    fn: Callable[..., Any], guard: object, run: Runs, *, blocked: object = None, tool: Tool | None = None, awaited: bool
) -> Callable[..., Any]:
    """`fn`, put through `run` at every call. `key=` names the one effect, unless `fn` has a `key` of its own."""
    takes_key, method = known(fn).takes_key, is_method(fn)

    def call(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        key = None if takes_key else kwargs.pop("key", None)
        target, rest = (_bound(fn, args[0]), args[1:]) if method and args else (fn, args)
        return run(target, rest, kwargs, key=key, tool=tool, blocked=blocked)

    async def awaiting(*args: Any, **kwargs: Any) -> Any:
        return await call(args, kwargs)

    def calling(*args: Any, **kwargs: Any) -> Any:
        return call(args, kwargs)

    wrapper = _dressed(awaiting if awaited else calling, fn)
    setattr(wrapper, _MARK, Guarded(wrapper, fn, guard, tool))
    return wrapper


def _bound(fn: Callable[..., Any], owner: object) -> Callable[..., Any]:
    """A decorated method, bound as Python would have bound it, so that its operations are those of the method."""
    bound: Callable[..., Any] = fn.__get__(owner)
    return bound


def _dressed(wrapper: Callable[..., Any], fn: Callable[..., Any]) -> Callable[..., Any]:
    # An instance that can be called keeps its attributes to itself.
    functools.update_wrapper(wrapper, fn, updated=("__dict__",) if isinstance(fn, FunctionType) else ())
    base = fn
    while isinstance(base, functools.partial):
        base = base.func
    if base is not fn:
        wrapper.__doc__ = base.__doc__
        wrapper.__annotations__ = dict(getattr(base, "__annotations__", {}))
    if not hasattr(fn, "__name__"):
        wrapper.__name__ = wrapper.__qualname__ = known(fn).tool.name
    return wrapper
