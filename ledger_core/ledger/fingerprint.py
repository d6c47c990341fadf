"""The identity of a guarded call: which tool, with which arguments, in which workflow. Reads nothing but its input.

A false merge drops a real payment, so whatever cannot be told apart for certain is an error that asks for `key=`.
"""

from __future__ import annotations

import datetime as dt
import functools
import hashlib
import inspect
import uuid
from collections.abc import Callable, Container, Mapping
from decimal import Decimal
from types import FunctionType
from typing import Any

from ledger import values
from ledger.compact import encoder, quoted
from ledger.errors import UnstableArgument
from ledger.functions import Function, Tool, headed, instance_of, known, outermost_signature
from ledger.injected import is_injected
from ledger.normal import NoStableForm, captured, identity_of_type, normal

VERSION = 1
"""Of the normaliser; part of every id, so that a change of it can be told from a new operation."""
_dumps = encoder()
_PLAIN = (str, int, float, bool, bytes, Decimal, uuid.UUID, dt.datetime, dt.date)
"""What a lambda closes over and cannot change: an order's number. A list or a client may be another at each call."""
_SHORT = 1 << 62
_LOWEST = -_SHORT
"""Whole numbers below are their own normal form, without asking."""


@values.value
class Arguments:
    """The arguments of one call by their parameters' names, defaults included. given: those that were passed.

    A builtin that tells no signature has positions for names.
    others: the names are not those of the function's own signature.
    """

    named: dict[str, Any]
    given: Container[str]
    others: bool = False


def operation_id(
    fn: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any], wf: str, key: str | None = None
) -> str:
    """32 hexadecimal digits. With a key the arguments do not count.

    Raises UnstableArgument, naming the argument, and TypeError for arguments the function does not take.
    """
    function = known(fn)
    tool = function.tool
    told = None if key is not None else normalised(function, tool, bind(fn, function, tool.name, args, kwargs))
    return identify(tool, fn, wf, told, key)


def bind(
    fn: Callable[..., Any], function: Function, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> Arguments:
    """Who gets what. Raises TypeError as Python tells it, under the name of the tool. function: what is known of fn."""
    if not kwargs and (tail := function.tails.get(len(args))) is not None:
        names = function.names
        # `strict` costs as much again as all the rest; here the arguments may be fewer.
        return Arguments({**dict(zip(names, args)), **tail}, names[: len(args)])  # noqa: B905
    if isinstance(fn, functools.partial):
        return bind(fn.func, known(fn.func), name, (*fn.args, *args), {**fn.keywords, **kwargs})
    bound = _bound_plainly(function, args, kwargs)
    if bound is not None:
        return bound
    signature = function.signature
    if signature is None:
        named = {**{str(at): value for at, value in enumerate(args)}, **kwargs}
        return Arguments(named, named.keys())
    try:
        found = signature.bind(*args, **kwargs)
    except TypeError as error:
        outermost = _bound_by_the_outermost(fn, args, kwargs)
        if outermost is None:
            raise TypeError(f"{name}(): {error}") from None
        found = outermost
    given = set(found.arguments)
    found.apply_defaults()
    named = found.arguments
    rest = next((p.name for p in found.signature.parameters.values() if p.kind is p.VAR_KEYWORD), None)
    if rest is not None:
        # One by one, so that each can be named; a name that is taken is a positional-only parameter's.
        more = {k if k not in named else f"**{k}": v for k, v in named.pop(rest).items()}
        named.update(more)
        given.update(more)
    return Arguments(named, given, others=found.signature is not signature)


def _bound_by_the_outermost(
    fn: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> inspect.BoundArguments | None:
    """Under a decorator that fills in an argument, a call lacks one for the function that it shows."""
    signature = outermost_signature(fn)
    if signature is None or not hasattr(fn, "__wrapped__"):
        return None
    try:
        return signature.bind(*args, **kwargs)
    except TypeError:
        return None


def _bound_plainly(function: Function, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Arguments | None:
    """As `bind`, a tenth of the time, for a function without `*` and `/`; None for that, and for any mistake."""
    if function.plain is None:
        return None
    names, by_position = function.plain
    if len(args) > by_position:
        return None
    named = dict(zip(names, args, strict=False))
    given: Container[str] = names[: len(args)]
    if kwargs:
        passed = {**named, **kwargs}
        if len(passed) < len(args) + len(kwargs) or len({**passed, **function.defaults}) > len(names):
            return None
        given = passed.keys()
    else:
        passed = named
    # In the order of the signature, whatever the order of the call.
    for name in names[len(args) :]:
        if name in passed:
            named[name] = passed[name]
        elif name in function.defaults:
            named[name] = function.defaults[name]
        else:
            return None
    return Arguments(named, given)


def normalised(function: Function, tool: Tool, arguments: Arguments) -> dict[str, str]:
    """Each argument as JSON, its name and its normal form, in the order of their names; without what a framework
    filled in.

    Raises UnstableArgument.
    """
    told = {}
    named = arguments.named
    for name, head in (not arguments.others and function.ordered) or headed(named.keys() - function.ignored):
        value = named[name]
        kind = type(value)
        if kind is str:
            told[name] = f"{head}{quoted(value)}]"
        elif kind is int and _LOWEST < value < _SHORT:
            told[name] = f"{head}{value}]"
        else:
            try:
                told[name] = f"{head}{_stable(tool, name, value)}]"
            except UnstableArgument:
                # A default that nobody passed, such as a client or a sentinel, tells no two calls apart.
                if name in arguments.given and not is_injected(value):
                    raise
    return told


def identify(
    tool: Tool, fn: Callable[..., Any], wf: str, told: Mapping[str, str] | None, key: str | None = None
) -> str:
    """The id, from the key if there is one, else from the normalised arguments."""
    by_arguments = f'["args",[{",".join(told.values())}]]' if key is None and told is not None else None
    what = by_arguments or f'["key",{_dumps(key)}]'
    instance = "null" if type(fn) is FunctionType and fn.__closure__ is None else _instance(tool, fn)
    whole = f"{_head(tool.identity, instance, wf)}{what}]"
    return hashlib.sha256(whole.encode("ascii")).hexdigest()[:32]


@functools.lru_cache(256)
def _head(identity: str, instance: str, wf: str) -> str:
    """What is the same in every call of a function in a workflow."""
    return f"[{VERSION},{quoted(identity)},{instance},{quoted(wf)},"


def _stable(tool: Tool, name: object, value: object) -> str:
    try:
        return _dumps(normal(value))
    except NoStableForm as error:
        raise UnstableArgument(
            f"{tool.name}(): argument {name!r} has no stable form to recognise a retry by ({error}); "
            "pass key= with what names this one effect, or give the class a __ledger_id__"
        ) from None
    except RecursionError:
        raise UnstableArgument(
            f"{tool.name}(): argument {name!r} is nested too deeply or in itself; pass key="
        ) from None
    except Exception as error:  # whatever a value does when it is looked at, it is named
        raise UnstableArgument(
            f"{tool.name}(): argument {name!r}, a {identity_of_type(type(value))}, cannot be looked at "
            f"({type(error).__name__}: {error}); pass key= with what names this one effect"
        ) from error


def _instance(tool: Tool, fn: Callable[..., Any]) -> str:
    """What tells one instance's method from another's, null where its class did not ask for that; and one lambda from
    another of the same code."""
    if isinstance(fn, FunctionType):
        held = [value for value in captured(fn) if type(value) in _PLAIN] if fn.__name__ == "<lambda>" else []
        return _stable(tool, "lambda", held) if held else "null"
    owner = instance_of(fn)
    return _stable(tool, "self", owner) if hasattr(type(owner), "__ledger_id__") else "null"
