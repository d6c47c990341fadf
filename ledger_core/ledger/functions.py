"""Which tool a Python function is: its kind, its names, its instance. Looks at the function, never at arguments."""

from __future__ import annotations

import contextlib
import copy
import functools
import hashlib
import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from types import CodeType, FunctionType, MethodType
from typing import Any
from weakref import WeakKeyDictionary, ref

from ledger.compact import quoted
from ledger.injected import injected_by_a_framework
from ledger.normal import captured, identity_of_type, module_of


class Shape(Enum):
    """What calling it gives."""

    PLAIN = "a value"
    ASYNC = "a coroutine"
    GENERATOR = "a generator"
    ASYNC_GENERATOR = "an async generator"


@dataclass(frozen=True, slots=True)
class Tool:
    """A guarded function. identity: what its operations are named by. name: what people see.

    also: the identity of the function behind a framework's tool object, which policies may go by, too.
    """

    identity: str
    name: str
    also: str = ""

    @property
    def aliases(self) -> tuple[str, ...]:
        """Names a policy may call it by, the most particular last: `send`, `Mailer.send`, `app.send`, its identity."""
        last = self.name.rpartition(".")[2]
        module = self.identity.removesuffix(self.name).rstrip(".")
        return tuple(dict.fromkeys((last, self.name, f"{module}.{last}", self.also, self.identity)))


@dataclass(frozen=True, slots=True)
class Function:
    """What there is to know of a callable.

    ignored: parameters that a framework fills in, not the caller.
    plain: its parameters' names and how many may be given by position, where each can be given by name; else None.
    names: of a plain one's parameters.
    tails: of a plain one, by how many are given by position and none by name: the defaults of the others. What is not
        here lacks an argument, or has one too many.
    ordered: `headed` of the names of a plain one that count. takes_key: whether `key` is an argument of its own.
    awaited: whether its call is to be awaited.
    """

    tool: Tool
    shape: Shape
    signature: inspect.Signature | None
    ignored: frozenset[str]
    plain: tuple[tuple[str, ...], int] | None
    names: tuple[str, ...]
    tails: dict[int, dict[str, Any]]
    ordered: tuple[tuple[str, str], ...]
    defaults: dict[str, Any]
    takes_key: bool
    awaited: bool


def known(fn: Callable[..., Any]) -> Function:
    """What there is to know of it, remembered for as long as it lives. Raises TypeError for what cannot be called."""
    if not callable(fn):
        raise TypeError(
            f"guard takes a function and its arguments, not a {type(fn).__name__}; write guard(fn, x), not guard(fn(x))"
        )
    where = fn.__func__ if isinstance(fn, MethodType) else fn
    owner = _owner(fn) if isinstance(fn, MethodType) else None
    name = getattr(fn, "__name__", None)
    try:
        found = _known.get(where)
    except TypeError:  # unhashable, or nothing that can be referred to weakly
        return _look_at(fn)
    if found is not None and found[0]() is owner and found[1] == name:
        return found[2]
    told = _look_at(fn)
    _known[where] = (_nobody if owner is None else ref(owner), name, told)
    return told


# The class weakly: it holds the function.
_known: WeakKeyDictionary[Callable[..., Any], tuple[Callable[[], type | None], str | None, Function]] = (
    WeakKeyDictionary()
)


def _nobody() -> None:
    """The class of a function that is no method."""


def instance_of(fn: Callable[..., Any]) -> object:
    """Whose method it is, or the callable object itself."""
    if isinstance(fn, functools.partial):
        return instance_of(fn.func)
    return fn.__self__ if isinstance(fn, MethodType) else fn


def is_method(fn: Callable[..., Any]) -> bool:
    """Whether it is a function of a class that is still to be bound to an instance, as a decorator meets it."""
    if isinstance(fn, MethodType):
        return False
    qualname = getattr(fn, "__qualname__", "").rpartition("<locals>.")[2]
    code = getattr(fn, "__code__", None)
    return "." in qualname and code is not None and code.co_varnames[:1] in (("self",), ("cls",))


def _look_at(fn: Callable[..., Any]) -> Function:
    signature = _signature(fn)
    base = fn
    while isinstance(base, functools.partial):
        base = base.func
    parameters = () if signature is None else tuple(signature.parameters.values())
    defaults = {p.name: p.default for p in parameters if p.default is not p.empty}
    ignored, shape = injected_by_a_framework(base), _shape(base)
    # A partial's signature lacks what was given already, and that counts.
    plain = _plain(signature) if base is fn else None
    return Function(
        tool=_tool(base),
        shape=shape,
        signature=signature,
        ignored=ignored,
        plain=plain,
        names=() if plain is None else plain[0],
        tails={} if plain is None else _tails(*plain, defaults),
        ordered=() if plain is None else headed(set(plain[0]) - ignored),
        defaults=defaults,
        takes_key=signature is not None and "key" in signature.parameters,
        awaited=shape in (Shape.ASYNC, Shape.ASYNC_GENERATOR),
    )


def _plain(signature: inspect.Signature | None) -> tuple[tuple[str, ...], int] | None:
    if signature is None:
        return None
    kinds = [p.kind for p in signature.parameters.values()]
    by_position = kinds.count(inspect.Parameter.POSITIONAL_OR_KEYWORD)
    if by_position + kinds.count(inspect.Parameter.KEYWORD_ONLY) < len(kinds):
        return None
    return tuple(signature.parameters), by_position


def headed(names: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """Each name, sorted, with the JSON text that its argument's form follows in an identity."""
    return tuple((name, f"[{quoted(name)},") for name in sorted(names))


def _tails(names: tuple[str, ...], by_position: int, defaults: dict[str, Any]) -> dict[int, dict[str, Any]]:
    counts = [n for n in range(by_position + 1) if all(name in defaults for name in names[n:])]
    return {n: {name: defaults[name] for name in names[n:]} for n in counts}


def _signature(fn: Callable[..., Any], follow_wrapped: bool = True) -> inspect.Signature | None:
    """None for builtins that tell none. A default that can change is copied: what the function makes of its own is no
    other call."""
    try:
        told = inspect.signature(fn, follow_wrapped=follow_wrapped)
    except (TypeError, ValueError):
        return None
    if not any(isinstance(p.default, _CHANGING) for p in told.parameters.values()):
        return told
    return told.replace(parameters=[p.replace(default=_as_it_was(p.default)) for p in told.parameters.values()])


_CHANGING = (list, dict, set, bytearray)


def _as_it_was(default: Any) -> Any:
    if isinstance(default, _CHANGING):
        # What cannot be copied has no stable form either.
        with contextlib.suppress(Exception):
            return copy.deepcopy(default)
    return default


def outermost_signature(fn: Callable[..., Any]) -> inspect.Signature | None:
    """What the callable itself takes, where it wraps another: a decorator may fill in arguments of what it wraps."""
    return _signature(fn, follow_wrapped=False)


def _shape(fn: Callable[..., Any]) -> Shape:
    call = getattr(type(fn), "__call__", None)  # noqa: B004 (an instance with an async __call__)
    for candidate in (fn, call):
        if inspect.iscoroutinefunction(candidate) or _is_awaited_generator(candidate):
            return Shape.ASYNC
        if inspect.isgeneratorfunction(candidate):
            return Shape.GENERATOR
        if inspect.isasyncgenfunction(candidate):
            return Shape.ASYNC_GENERATOR
    return Shape.PLAIN


def _is_awaited_generator(fn: object) -> bool:
    """What `types.coroutine` makes of a generator function."""
    return bool(getattr(getattr(fn, "__code__", None), "co_flags", 0) & inspect.CO_ITERABLE_COROUTINE)


def _tool(fn: Callable[..., Any]) -> Tool:
    """`module.qualname`, or `module.__name__` where `__name__` was set to something else (a renamed closure).

    A method belongs to the class of its instance, so that two classes never share one; the instance itself is
    told apart only by its `__ledger_id__`. One that was overridden there, and is called by `super()`, is another.
    """
    if isinstance(fn, MethodType):
        owner = _owner(fn)
        if _is_overridden(fn, owner):
            above = _function(fn.__func__, fn.__func__.__qualname__)
            return Tool(f"{identity_of_type(owner)}:{above.identity}", above.name, above.identity)
        identity = f"{identity_of_type(owner)}.{fn.__name__}{_decorates(fn.__func__)}"
        return Tool(identity, f"{owner.__name__}.{fn.__name__}")
    qualname = getattr(fn, "__qualname__", None)
    if qualname is None or isinstance(fn, type):
        owner = fn if isinstance(fn, type) else type(fn)
        name = getattr(fn, "__name__", None)
        if owner is not fn and isinstance(name, str):
            # An object that was given a name, such as a `Mock(__name__="send_email")`.
            return Tool(f"{identity_of_type(owner)}.{name}", name)
        return Tool(identity_of_type(owner), owner.__name__)
    return _function(fn, qualname)


def _owner(fn: MethodType) -> type:
    return fn.__self__ if isinstance(fn.__self__, type) else type(fn.__self__)


def _is_overridden(fn: MethodType, owner: type) -> bool:
    """By their names, not as objects: a cell of a notebook that ran again made the same method anew."""
    found: Any = inspect.getattr_static(owner, fn.__name__, None)
    found = getattr(found, "__func__", found)
    names = [f"{f.__qualname__}{_decorates(f)}" for f in (found, fn.__func__) if hasattr(f, "__qualname__")]
    return len(set(names)) > 1


def _decorates(fn: Callable[..., Any], within: tuple[Any, ...] = ()) -> str:
    """What tells the functions apart that one decorator made, which kept none of their names: those that they call.

    within: functions that hold this one; some hold each other.
    """
    code: CodeType | None = getattr(fn, "__code__", None)
    if code is None or hasattr(fn, "__wrapped__") or "<locals>" not in fn.__qualname__:
        return ""
    if not code.co_flags & (inspect.CO_VARARGS | inspect.CO_VARKEYWORDS):
        return ""
    within = (*within, fn)
    held = [value for value in captured(fn) if isinstance(value, FunctionType | MethodType) and value not in within]
    names = [f"{module_of(f)}.{f.__qualname__}{_lambda(f)}{_decorates(f, within)}" for f in held]
    return f"({', '.join(names)})" if names else ""


def _function(fn: Callable[..., Any], qualname: str) -> Tool:
    name = getattr(fn, "__name__", qualname)
    shown = qualname.rpartition("<locals>.")[2]
    if name != qualname.rpartition(".")[2]:
        qualname = shown = name
    else:
        qualname += _decorates(fn)
    qualname += _lambda(fn)
    module = module_of(fn) if getattr(fn, "__module__", None) else "builtins"
    return Tool(f"{module}.{qualname}", shown)


def _lambda(fn: Callable[..., Any]) -> str:
    """Lambdas share one name; their code tells them apart, wherever it stands in the file."""
    code: CodeType | None = getattr(fn, "__code__", None)
    return f":{_digest_of_code(code)}" if code is not None and fn.__name__ == "<lambda>" else ""


def _digest_of_code(code: CodeType) -> str:
    consts = [_digest_of_code(c) if isinstance(c, CodeType) else repr(c) for c in code.co_consts]
    whole = repr((code.co_code, consts, code.co_names, code.co_freevars))
    return hashlib.sha256(whole.encode(errors="surrogatepass")).hexdigest()[:16]
