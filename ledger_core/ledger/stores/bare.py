"""Calling a user's own six methods: plain or awaited, always copies, every error as one of ours. Decides nothing."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ledger.errors import LedgerError, StoreUnavailable
from ledger.records import Record

METHODS = ("get", "claim", "put", "delete", "all", "clear")


@dataclass(frozen=True, slots=True)
class Shape:
    """What rows look like to the user's store. kind: their class; show and read: from our records, and back."""

    kind: type
    show: Callable[[Record], Any]
    read: Callable[[Any], Record]


class Bare:
    """The six methods as functions that may be called from any thread."""

    def __init__(self, store: Any, shape: Shape) -> None:
        """Raises TypeError, naming the methods that are not there."""
        missing = [name for name in METHODS if not callable(getattr(store, name, None))]
        if missing:
            raise TypeError(f"{type(store).__name__} is no store: it lacks {', '.join(missing)}")
        self.store, self.shape, self.name = store, shape, type(store).__name__
        self._loop: asyncio.AbstractEventLoop | None = None
        self._starting = threading.Lock()

    def get(self, id: str) -> Record | None:
        """A copy of the row, None when it is not there."""
        found = self._call("get", id)
        return None if found is None else self._read("get", found)

    def claim(self, r: Record) -> bool:
        """Whether this call put the row there."""
        won = self._call("claim", self.shape.show(r))
        if not isinstance(won, bool | int):
            raise StoreUnavailable(f"{self.name}.claim must say True or False, not {won!r}: nothing may run on that")
        return bool(won)

    def put(self, r: Record) -> None:
        """Insert or overwrite."""
        self._call("put", self.shape.show(r))

    def delete(self, id: str) -> None:
        """Remove."""
        self._call("delete", id)

    def all(self, wf: str | None) -> list[Record]:
        """Copies of every row."""
        rows = self._call("all", wf)
        return [read for row in rows or () if (read := self._read("all", row)) and wf in (None, read.wf)]

    def close(self) -> None:
        """End the thread that awaited for it."""
        loop, self._loop = self._loop, None
        if loop is not None:
            loop.call_soon_threadsafe(loop.stop)

    def _read(self, method: str, row: Any) -> Record:
        if not isinstance(row, self.shape.kind):
            raise StoreUnavailable(f"{self.name}.{method} gave a {type(row).__name__}, not the Record it was given")
        try:
            return self.shape.read(row)
        except (ValueError, TypeError, KeyError) as error:
            raise StoreUnavailable(f"{self.name}.{method} gave a Record that cannot be read: {error}") from error

    def _call(self, method: str, *args: Any) -> Any:
        try:
            answer = getattr(self.store, method)(*args)
            return self._awaited(answer) if inspect.isawaitable(answer) else answer
        except LedgerError:
            raise
        except Exception as error:
            raise StoreUnavailable(f"{self.name}.{method} failed: {type(error).__name__}: {error}") from error

    def _awaited(self, answer: Any) -> Any:
        """On a loop of our own: the caller's may be the one that waits for us."""

        async def whole() -> Any:
            return await answer

        return asyncio.run_coroutine_threadsafe(whole(), self._running_loop()).result()

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        with self._starting:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                threading.Thread(target=_serve, args=(self._loop,), name="ledger-store", daemon=True).start()
            return self._loop


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    try:
        loop.run_forever()
    finally:
        loop.close()
