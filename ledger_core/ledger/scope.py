"""Whose call it is: workflow and caller, local to the context, with a default for contexts that set none.

New threads start with an empty context, so what was set by a statement is also the default there. Threads and
tasks that serve different orders and set their own never mix.
"""

from __future__ import annotations

from contextvars import ContextVar, Token
from typing import Any, Self


class Setting:
    """One value, set for this context or as the default of all."""

    def __init__(self, name: str) -> None:
        self._here: ContextVar[str | None] = ContextVar(name, default=None)
        self._default: str | None = None

    def value(self) -> str | None:
        """What holds here: this context's, else the default, else None."""
        return self._here.get() or self._default

    def use(self, value: str) -> Use:
        """As a statement: from now on here, and where nothing is set. In a `with`: here, until its end."""
        if not isinstance(value, str) or not value:
            raise ValueError(f"a scope is named by text that is not empty, not {value!r}")
        used = Use(self, self._default, self._here.set(value))
        self._default = value
        return used

    def _restore_default(self, value: str | None) -> None:
        self._default = value

    def _restore_here(self, token: Token[str | None]) -> None:
        self._here.reset(token)


class Use:
    """One setting in use."""

    def __init__(self, setting: Setting, default: str | None, token: Token[str | None]) -> None:
        self._setting, self._default, self._token = setting, default, token

    def begin(self) -> None:
        """A `with` is local: give back the default that the call, seen as a statement, had set."""
        self._setting._restore_default(self._default)

    def end(self) -> None:
        """Back to what held before."""
        self._setting._restore_here(self._token)


class Scoped:
    """What `guard.workflow` and `guard.as_caller` return: the guard itself, and a `with` for its scope."""

    def __init__(self, guard: Any, uses: tuple[Use, ...]) -> None:
        self._guard, self._uses = guard, uses

    def workflow(self, name: str) -> Scoped:
        """Scope what follows to a workflow, too."""
        return self._and(self._guard.workflow(name))

    def as_caller(self, name: str) -> Scoped:
        """Tag what follows with a caller, too."""
        return self._and(self._guard.as_caller(name))

    def _and(self, more: Scoped) -> Scoped:
        return Scoped(self._guard, (*self._uses, *more._uses))

    def __enter__(self) -> Self:
        for use in reversed(self._uses):
            use.begin()
        return self

    def __exit__(self, *_: object) -> None:
        for use in reversed(self._uses):
            use.end()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._guard(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._guard, name)
