"""Keys made from arguments: `policy(key="email-{order_id}")` or a function. An empty or unstable key is refused:
it would merge different effects into one.
"""

from __future__ import annotations

import datetime as dt
import enum
import json
import uuid
from collections.abc import Callable, Mapping
from decimal import Decimal
from string import Formatter
from typing import Any

from ledger.errors import UnstableArgument

type KeyRule = Callable[[str, tuple[Any, ...], Mapping[str, Any], Callable[[], Mapping[str, Any]]], str]
"""From a tool's name, its arguments as given, and a function that binds them by name: the key."""

_PLAIN = (str, int, Decimal, uuid.UUID, dt.date, enum.Enum)
"""Kinds whose text is the same in a retry and differs where they differ. Not float: it drifts."""


def key_rule(told: str | Callable[..., str]) -> KeyRule:
    """Raises ValueError for a template without a field, TypeError for what is neither."""
    if isinstance(told, str):
        return _template(told)
    if not callable(told):
        raise TypeError(f"key must be a template such as 'email-{{order_id}}' or a function, not {told!r}")

    def from_function(tool: str, args: tuple[Any, ...], kwargs: Mapping[str, Any], _: Any) -> str:
        return _checked(tool, told(*args, **kwargs))

    return from_function


def _template(template: str) -> KeyRule:
    try:
        fields = [field for _, field, _, _ in Formatter().parse(template) if field is not None]
    except ValueError as error:
        raise ValueError(f"key={template!r} is no template: {error}") from None
    if not fields or "" in fields:
        raise ValueError(f"key={template!r} names no argument, so every call would be one; write 'email-{{order_id}}'")

    def from_template(
        tool: str, args: tuple[Any, ...], kwargs: Mapping[str, Any], bound: Callable[[], Mapping[str, Any]]
    ) -> str:
        named = bound()
        for field in fields:
            _check_field(tool, template, field, named)
        return _checked(tool, template.format_map(named))

    return from_template


def _check_field(tool: str, template: str, field: str, named: Mapping[str, Any]) -> None:
    try:
        value, _ = Formatter().get_field(field, (), named)
    except (KeyError, IndexError, AttributeError, TypeError) as error:
        given = ", ".join(named) or "none"
        raise UnstableArgument(
            f"{tool}(): key={template!r} needs {{{field}}}, which the call does not have ({error}); it has {given}"
        ) from None
    if not isinstance(value, _PLAIN) or value == "":
        raise UnstableArgument(
            f"{tool}(): {{{field}}} in key={template!r} is {type(value).__name__} {value!r:.40}, which names nothing; "
            "use text, a whole number, a Decimal, a date or a UUID"
        )


def check_given(tool: str, key: object) -> None:
    """Raises UnstableArgument for a key, given with a call, that names nothing."""
    if key == "":
        raise UnstableArgument(f"{tool}(): key= is empty, so every call would be one; pass what names this one effect")
    try:
        json.dumps(key)
    except (TypeError, ValueError, RecursionError):
        kind = type(key).__qualname__
        raise UnstableArgument(
            f"{tool}(): key= must be text or a number, not a {kind}; pass str() of what names this one effect"
        ) from None


def _checked(tool: str, key: object) -> str:
    if not isinstance(key, str) or not key:
        raise UnstableArgument(f"{tool}(): its key must be text and not empty, not {key!r:.60}")
    return key
