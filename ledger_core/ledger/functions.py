"""Which tool a Python function is: its kind, its names, its instance. Looks at the function, never at arguments."""

from __future__ import annotations

import functools
import hashlib
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from types import CodeType, MethodType
from typing import Any

from ledger.normal import identity_of_type


@dataclass(frozen=True, slots=True)
class Tool:
    """A guarded function. identity: what its operations are named by. name: what people see."""

    identity: str
    name: str


def is_async(fn: Callable[..., Any]) -> bool:
    """Whether calling it gives a coroutine. Raises TypeError for what can be neither called nor awaited once."""
    if not callable(fn):
        raise TypeError(
            f"guard takes a function and its arguments, not a {type(fn).__name__}; write guard(fn, x), not guard(fn(x))"
        )
    call = getattr(type(fn), "__call__", None)  # noqa: B004 (an instance with an async __call__)
    for candidate in (fn, call):
        if inspect.isgeneratorfunction(candidate) or inspect.isasyncgenfunction(candidate):
            raise TypeError(
                f"{tool_of(fn).name} is a generator: its effects happen after the call, so it cannot be guarded"
            )
    return any(inspect.iscoroutinefunction(candidate) for candidate in (fn, call))


def tool_of(fn: Callable[..., Any]) -> Tool:
    """`module.qualname`, or `module.__name__` where `__name__` was set to something else (a renamed closure).

    A method belongs to the class of its instance, so that two classes never share one; the instance itself is
    told apart only by its `__ledger_id__`.
    """
    if isinstance(fn, functools.partial):
        return tool_of(fn.func)
    if isinstance(fn, MethodType):
        owner = fn.__self__ if isinstance(fn.__self__, type) else type(fn.__self__)
        return Tool(f"{identity_of_type(owner)}.{fn.__name__}", f"{owner.__name__}.{fn.__name__}")
    qualname = getattr(fn, "__qualname__", None)
    if qualname is None or isinstance(fn, type):
        owner = fn if isinstance(fn, type) else type(fn)
        return Tool(identity_of_type(owner), owner.__name__)
    return _function(fn, qualname)


def instance_of(fn: Callable[..., Any]) -> object:
    """Whose method it is, or the callable object itself."""
    if isinstance(fn, functools.partial):
        return instance_of(fn.func)
    return fn.__self__ if isinstance(fn, MethodType) else fn


def takes_key(fn: Callable[..., Any]) -> bool:
    """Whether `key` is an argument of the function itself."""
    signature = signature_of(fn)
    return signature is not None and "key" in signature.parameters


def signature_of(fn: Callable[..., Any]) -> inspect.Signature | None:
    """Its signature, None for builtins that tell none."""
    try:
        return inspect.signature(fn)
    except (TypeError, ValueError):
        return None


def _function(fn: Callable[..., Any], qualname: str) -> Tool:
    name = getattr(fn, "__name__", qualname)
    shown = qualname.rpartition("<locals>.")[2]
    if name != qualname.rpartition(".")[2]:
        qualname = shown = name
    if name == "<lambda>" and (code := getattr(fn, "__code__", None)) is not None:
        qualname += f":{_digest_of_code(code)}"
    return Tool(f"{getattr(fn, '__module__', None) or 'builtins'}.{qualname}", shown)


def _digest_of_code(code: CodeType) -> str:
    """Lambdas share one name; their code tells them apart, wherever it stands in the file."""
    consts = [_digest_of_code(c) if isinstance(c, CodeType) else repr(c) for c in code.co_consts]
    whole = repr((code.co_code, consts, code.co_names, code.co_freevars))
    return hashlib.sha256(whole.encode(errors="surrogatepass")).hexdigest()[:16]
