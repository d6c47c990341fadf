"""Tool objects of agent frameworks, protected: a copy of the object whose function is guarded.

LangChain tools and OpenAI Agents function tools are recognised where their package is already imported; none is
imported here. A tool object's operations are named by the tool's name, because factories and adapters make many
objects from one inner function, and by that function, because two packages may have a tool of one name.
"""

from __future__ import annotations

import copy
import functools
import inspect
import json
import sys
from collections.abc import Callable
from types import CellType, FunctionType
from typing import Any

from ledger.errors import NotAnswered
from ledger.functions import Tool, known
from ledger.normal import identity_of_type
from ledger.wrapping import behind

type Protect = Callable[[Callable[..., Any], Tool], Callable[..., Any]]
"""Guards a function as that tool."""


def is_tool(value: object) -> bool:
    """Whether it is a tool object of a framework we know."""
    return _is_langchain(value) or _is_agents(value)


def tool_of(tool: Any, guard: object = None) -> Tool:
    """Which tool it is; policies may go by its name or by the function behind it."""
    fn = function_of(tool)
    also = identity_of_type(type(tool)) if fn is None else known(behind(fn, guard)[0]).tool.identity
    # Of an MCP server's tools the SDK tells the server; all of them share one inner function.
    server = getattr(getattr(tool, "_tool_origin", None), "mcp_server_name", None) or ""
    return Tool(f"{also}:{server}:{tool.name}", tool.name, also)


def function_of(tool: Any) -> Callable[..., Any] | None:
    """The function behind it, None where that cannot be told."""
    if _is_agents(tool):
        found = _freevar(_agents_impl(tool), _AGENTS_FUNCTION)
    else:
        found = getattr(tool, "func", None) or getattr(tool, "coroutine", None) or getattr(tool, "_run", None)
    return found if callable(found) else None


def protected(tool: Any, protect: Protect, run_whole: Callable[..., Any]) -> Any:
    """A copy of the tool object that is guarded. run_whole: guards an async function of the arguments."""
    as_tool = tool_of(tool)
    if _is_agents(tool):
        return _agents(tool, as_tool, protect, run_whole)
    return _langchain(tool, as_tool, protect)


def _is_langchain(value: object) -> bool:
    base = sys.modules.get("langchain_core.tools.base")
    return base is not None and isinstance(value, base.BaseTool)


def _is_agents(value: object) -> bool:
    base = sys.modules.get("agents.tool")
    return base is not None and isinstance(value, base.FunctionTool)


def _langchain(tool: Any, as_tool: Tool, protect: Protect) -> Any:
    given = [name for name in ("func", "coroutine") if getattr(tool, name, None) is not None]
    twin = tool.model_copy(update={name: protect(getattr(tool, name), as_tool) for name in given})
    if not given:
        base: Any = sys.modules["langchain_core.tools.base"].BaseTool
        for name in ("_run", "_arun"):
            if getattr(type(tool), name) is not getattr(base, name):
                # Past pydantic, which keeps names with an underscore for itself.
                object.__setattr__(twin, name, protect(getattr(tool, name), as_tool))
    return twin


_AGENTS_FUNCTION = "the_func"
"""The Agents SDK turns a function's exception into a text for the model *around* that function. A guard around both
would take every failure for a success, so the function itself is guarded, inside. Where a version of the SDK is
built otherwise, the whole is guarded."""


def _agents_impl(tool: Any) -> object:
    """The SDK's closure over the function: in a closure of its own (0.4), or in an invoker object (0.24)."""
    return getattr(tool.on_invoke_tool, "_invoke_tool_impl", None) or _freevar(
        tool.on_invoke_tool, "_on_invoke_tool_impl"
    )


def _agents(tool: Any, as_tool: Tool, protect: Protect, run_whole: Callable[..., Any]) -> Any:
    outer, impl = tool.on_invoke_tool, _agents_impl(tool)
    fn = _freevar(impl, _AGENTS_FUNCTION)
    twin = copy.copy(tool)
    inside = None
    if isinstance(impl, FunctionType) and callable(fn):
        inside = _rebound(impl, _AGENTS_FUNCTION, _spoken(protect(fn, as_tool)))
    if hasattr(outer, "_invoke_tool_impl"):
        # The copied tool has an invoker of its own, which knows it.
        twin.on_invoke_tool = copy.copy(twin.on_invoke_tool)
        twin.on_invoke_tool._invoke_tool_impl = inside or _whole(outer._invoke_tool_impl, as_tool, run_whole)
    elif isinstance(outer, FunctionType) and inside is not None:
        twin.on_invoke_tool = _rebound(outer, "_on_invoke_tool_impl", inside)
    else:
        twin.on_invoke_tool = _whole(outer, as_tool, run_whole)
    return twin


def _whole(outer: Callable[..., Any], as_tool: Tool, run_whole: Callable[..., Any]) -> Callable[..., Any]:
    async def whole(context: Any, told: str) -> Any:
        async def invoke(arguments: object) -> Any:
            return await outer(context, told)

        return await run_whole(invoke, (_parsed(told),), as_tool)

    return _spoken(whole)


def _spoken(fn: Callable[..., Any]) -> Callable[..., Any]:
    """What the ledger has to say to a duplicate, said to the model: the SDK would tell it to "please try again"."""

    async def awaiting(*args: Any, **kwargs: Any) -> Any:
        try:
            return await fn(*args, **kwargs)
        except NotAnswered as error:
            return str(error)

    def calling(*args: Any, **kwargs: Any) -> Any:
        try:
            return fn(*args, **kwargs)
        except NotAnswered as error:
            return str(error)

    return functools.update_wrapper(awaiting if inspect.iscoroutinefunction(fn) else calling, fn)


def _parsed(told: str) -> object:
    try:
        return json.loads(told) if told else {}
    except ValueError:
        return told


def _freevar(fn: object, name: str) -> object:
    """What a closure holds under this name, None when it holds no such thing."""
    if not isinstance(fn, FunctionType) or fn.__closure__ is None:
        return None
    cells = dict(zip(fn.__code__.co_freevars, fn.__closure__, strict=True))
    return cells[name].cell_contents if name in cells else None


def _rebound(fn: FunctionType, name: str, value: object) -> FunctionType:
    """The same function with another value for one of its free variables."""
    cells = dict(zip(fn.__code__.co_freevars, fn.__closure__ or (), strict=True))
    cells[name] = CellType(value)
    twin = FunctionType(fn.__code__, fn.__globals__, fn.__name__, fn.__defaults__, tuple(cells.values()))
    twin.__kwdefaults__ = fn.__kwdefaults__
    twin.__dict__.update(fn.__dict__)
    return twin
