"""The identity of a guarded call: which tool, with which arguments, in which workflow. Reads nothing but its input.

A false merge drops a real payment, so whatever cannot be told apart for certain is an error that asks for `key=`.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any

from ledger.errors import UnstableArgument
from ledger.functions import Tool, instance_of, signature_of, tool_of
from ledger.normal import NoStableForm, normal

VERSION = 1
"""Of the normaliser; part of every id, so that a change of it can be told from a new operation."""


def operation_id(
    fn: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any], wf: str, key: str | None = None
) -> str:
    """32 hexadecimal digits. With a key the arguments do not count.

    Raises UnstableArgument, naming the argument, and TypeError for arguments the function does not take.
    """
    tool = tool_of(fn)
    told: Any = ["key", key] if key is not None else ["args", _arguments(fn, tool, args, kwargs)]
    whole = [VERSION, tool.identity, _instance(tool, fn), wf, told]
    return hashlib.sha256(json.dumps(whole, separators=(",", ":")).encode()).hexdigest()[:32]


def _arguments(fn: Callable[..., Any], tool: Tool, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> list[Any]:
    if isinstance(fn, functools.partial):
        return _arguments(fn.func, tool, (*fn.args, *args), {**fn.keywords, **kwargs})
    signature = signature_of(fn)
    if signature is None:
        return [[name, _stable(tool, name, value)] for name, value in (*enumerate(args), *sorted(kwargs.items()))]
    try:
        bound = signature.bind(*args, **kwargs)
    except TypeError as error:
        raise TypeError(f"{tool.name}(): {error}") from None
    given = set(bound.arguments)
    bound.apply_defaults()
    told = []
    for name, value in sorted(bound.arguments.items()):
        try:
            told.append([name, _stable(tool, name, value)])
        except UnstableArgument:
            # A default that nobody passed, such as a client or a sentinel, tells no two calls apart.
            if name in given:
                raise
    return told


def _stable(tool: Tool, name: object, value: object) -> Any:
    try:
        return normal(value)
    except NoStableForm as error:
        raise UnstableArgument(
            f"{tool.name}(): argument {name!r} has no stable form to recognise a retry by ({error}); "
            "pass key= with what names this one effect, or give the class a __ledger_id__"
        ) from None
    except RecursionError:
        raise UnstableArgument(
            f"{tool.name}(): argument {name!r} is nested too deeply or in itself; pass key="
        ) from None


def _instance(tool: Tool, fn: Callable[..., Any]) -> Any:
    """What tells one instance's method from another's, None where its class did not ask for that."""
    owner = instance_of(fn)
    return _stable(tool, "self", owner) if hasattr(type(owner), "__ledger_id__") else None
