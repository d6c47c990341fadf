"""Whose call it is: workflow and caller, local to the context, with a default for contexts that set none.

New threads start with an empty context, so what was set by a statement is also the default there. Threads and
tasks that serve different orders and set their own never mix.
"""

from __future__ import annotations

from contextvars import ContextVar, Token


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
        used = Use(self, self._default, self._here.set(value))
        self._default = value
        return used

    def _restore_default(self, value: str | None) -> None:
        self._default = value

    def _restore_here(self, token: Token[str | None]) -> None:
        self._here.reset(token)


class Use:
    """What `guard.workflow` and `guard.as_caller` return; need not be kept."""

    def __init__(self, setting: Setting, default: str | None, token: Token[str | None]) -> None:
        self._setting, self._default, self._token = setting, default, token

    def __enter__(self) -> None:
        """A `with` is local: give back the default that the call, seen as a statement, had set."""
        self._setting._restore_default(self._default)

    def __exit__(self, *_: object) -> None:
        self._setting._restore_here(self._token)
