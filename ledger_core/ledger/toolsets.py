"""A whole toolset at once: which collections are one, and that no two tools in it share a name."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

from ledger import frameworks
from ledger.functions import Tool, instance_of


def wrapped(tools: Any, wrap: Callable[[Any], Any], tool_of: Callable[[Any], Tool]) -> Any:
    """The same toolset, each tool put through `wrap`. Raises TypeError, ValueError."""
    if isinstance(tools, Mapping):
        _check(list(tools.values()), tool_of)
        return {name: wrap(tool) for name, tool in tools.items()}
    if isinstance(tools, list | tuple):
        _check(tools, tool_of)
        return [wrap(tool) for tool in tools]
    raise TypeError(
        f"wrap_tools takes a dict or a list of tools, not a {type(tools).__name__}: "
        "{'send_email': send_email} or [send_email, charge_card]"
    )


def _check(tools: list[Any] | tuple[Any, ...], tool_of: Callable[[Any], Tool]) -> None:
    """Two closures of one factory, or one method of two instances, have one name: their calls would be merged."""
    met: dict[str, Any] = {}
    for tool in tools:
        if not callable(tool) and not frameworks.is_tool(tool):
            raise TypeError(f"wrap_tools takes functions and tool objects, not {tool!r:.60}")
        identity = tool_of(tool).identity
        other = met.setdefault(identity, tool)
        if _subject(other) is not _subject(tool) and not hasattr(type(instance_of(tool)), "__ledger_id__"):
            raise ValueError(
                f"two different tools are both named {identity}, so a call of one would pass for a call of the other; "
                "set __name__ on each, or give their class a __ledger_id__"
            )


def _subject(tool: Any) -> object:
    """What makes two references the same tool: bound methods are made anew at each look, and what a partial binds
    counts as an argument."""
    while isinstance(tool, functools.partial):
        tool = tool.func
    owner = getattr(tool, "__self__", None)
    return tool if owner is None else owner
