"""Parameters that an agent framework fills in by itself: contexts, call ids, configurations. They differ in every
retry and say nothing of what is intended, so they never count for a fingerprint.

Frameworks are recognised by the names of their classes; none is imported.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any, get_args, get_type_hints

_CLASSES = {
    # https://openai.github.io/openai-agents-python/tools/ (ToolContext inherits from it)
    "agents": {"RunContextWrapper"},
    # https://docs.langchain.com/oss/python/langchain/tools (ToolRuntime inherits from _DirectlyInjectedToolArg). Not
    # InjectedToolArg itself, and what a program makes of it: that only keeps an argument, such as whose account it is,
    # from the model, and the program fills it in.
    "langchain_core": {
        *("InjectedToolCallId", "_DirectlyInjectedToolArg", "RunnableConfig", "BaseCallbackManager", "BaseRunManager"),
    },
    "langgraph": {"InjectedState", "InjectedStore"},
    "mcp": {"Context"},
    "fastmcp": {"Context"},
    "pydantic_ai": {"RunContext"},
}


def injected_by_a_framework(fn: Callable[..., Any]) -> frozenset[str]:
    """The names of such parameters, by their annotations. One that cannot be evaluated here tells nothing."""
    function = getattr(fn, "__func__", fn)
    told = getattr(function, "__annotations__", None) or {}
    names = getattr(inspect.unwrap(function), "__globals__", {})
    return frozenset(name for name, hint in told.items() if any(is_injected(p) for p in _parts(_hint(hint, names))))


def _hint(told: Any, names: dict[str, Any]) -> Any:
    try:
        return get_type_hints(SimpleNamespace(__annotations__={"it": told}), names, include_extras=True)["it"]
    except Exception:  # whatever it is, it names no class that we know
        return None


def _parts(hint: Any) -> Iterator[Any]:
    """The hint and what it is made of: `Annotated[str, InjectedToolCallId]`, `Context | None`, `Wrapper[State]`."""
    yield hint
    yield getattr(hint, "__origin__", None)
    for part in (*get_args(hint), *getattr(hint, "__metadata__", ())):
        yield from _parts(part)


def is_injected(part: Any) -> bool:
    """Whether it is such a class, or an instance of one."""
    kind = part if isinstance(part, type) else type(part)
    return any(base.__name__ in _CLASSES.get(base.__module__.partition(".")[0], ()) for base in kind.__mro__)
