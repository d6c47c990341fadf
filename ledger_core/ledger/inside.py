"""The operations that a thread or task is inside of, and who of several guards around one function runs it.

Knows no store and no step; what is asked for again from inside is decided in `engine.py`.
"""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from ledger import effects, forks
from ledger.records import Record, Status
from ledger.steps import Outcome


class Inside:
    """An operation that this thread or task is inside of. outer: the one around it.

    through: see `Intent`. left: what is guarded inside was called, or is about to be, and nothing proves that it had no
    effect.
    """

    __slots__ = ("_token", "id", "left", "outer", "owner", "through")

    def __init__(self, record: Record, through: bool) -> None:
        self.id, self.owner, self.through, self.outer = record.id, record.owner, through, executing.get()
        self.left = False
        if through:
            under_way[self.id] = self

    def has(self, id: str) -> bool:
        """Whether it, or one around it, is this operation: who asks for that again must not wait for it."""
        inside: Inside | None = self
        while inside is not None and inside.id != id:
            inside = inside.outer
        return inside is not None

    def take(self) -> bool:
        """Leave for what is guarded inside; of several that ask at once, one does."""
        with _taking:
            took, self.left = not self.left, True
        return took

    def __enter__(self) -> None:
        """To be entered around its effect."""
        self._token = executing.set(self)

    def __exit__(self, *_: object) -> None:
        executing.reset(self._token)

    @contextmanager
    def called(self) -> Iterator[None]:
        """To be entered around what was left for. A decorator around that may try again, or fail after the effect."""
        try:
            yield
        except BaseException as error:
            self.left = effects.leaves_open(error)
            raise

    def ran(self, fn: Callable[[], Any]) -> Any:
        """What is guarded inside; where it is still to be awaited, so that this is no end of it."""
        with self.called():
            value = fn()
        return self.awaited(value) if hasattr(type(value), "__await__") else value

    async def awaited(self, value: Awaitable[Any]) -> Any:
        """As `ran`, awaiting."""
        with self.called():
            return await value

    def told(self, outcome: Outcome) -> Outcome:
        """What it came to, at its end: no failure, where it may have had its effect inside."""
        if under_way.get(self.id) is self:
            under_way.pop(self.id, None)
        if self.left and outcome.status is Status.FAILED:
            return Outcome(Status.UNKNOWN, outcome.value, error=outcome.error)
        return outcome


under_way: dict[str, Inside] = {}
"""This process's executions that go through another guard's function, by the operation."""
_taking = forks.free_in_child(threading.RLock())
executing: ContextVar[Inside | None] = ContextVar("ledger_executing", default=None)
"""The innermost."""
