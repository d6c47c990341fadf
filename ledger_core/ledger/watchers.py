"""Who watches attempts from beginning to end, such as tracing: a hook. What hears of a call's end only is `observers`.

Nothing of OpenTelemetry is known here but where its adapter is, which is imported once a program has imported
`opentelemetry` itself: whoever does not trace pays for a look into a dictionary.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import suppress
from importlib import import_module
from types import TracebackType
from typing import Protocol, Self

from ledger import notices
from ledger.records import Record
from ledger.steps import Reply

NOTHING: Mapping[str, str] = {}
_ADAPTERS = {"opentelemetry.trace": "ledger_proxy.telemetry"}
"""By the module that somebody else must have imported: ours, whose `watcher` it is."""


class Watched(Protocol):
    """One attempt under way."""

    def left(self) -> None:
        """The thread or task that made the attempt goes on with something else; `ended` may still come."""
        ...

    def ended(self, reply: Reply | None, error: BaseException | None) -> None:
        """What became of it. reply: None where the ledger itself failed, with the error, or where nobody will know."""
        ...


class Watcher(Protocol):
    """Is told of every attempt of a guard and of a sidecar. What it raises is told on stderr and changes nothing."""

    def began(self, draft: Record, carrier: Mapping[str, str]) -> Watched | None:
        """An attempt begins; None: not of interest. carrier: trace headers that came along, in small letters."""
        ...


_watchers: dict[str, Watcher] = {}


def add(name: str, watcher: Watcher) -> None:
    """Tell it from now on; one of the same name is told no more."""
    _watchers[name] = watcher


def remove(name: str) -> None:
    """Tell it no more."""
    _watchers.pop(name, None)


def around(draft: Record, carrier: Mapping[str, str] = NOTHING) -> Around:
    """To be entered around one attempt."""
    return Around(draft, carrier) if somebody() else _NOBODY


def somebody() -> bool:
    """Whether anybody watches; if not, there is nothing to enter."""
    for needed, adapter in _ADAPTERS.items():
        if needed in sys.modules and adapter not in _watchers:
            _load(adapter)
    return bool(_watchers)


def _load(adapter: str) -> None:
    try:
        _watchers[adapter] = import_module(adapter).watcher()
    except Exception as error:
        _watchers[adapter] = _Deaf()
        notices.tell(f"⚠  attempts are not traced: {type(error).__name__}: {error}")


class _Deaf:
    def began(self, draft: Record, carrier: Mapping[str, str]) -> None:
        """Hear nothing."""


class Around:
    """All watchers of one attempt. Never an exception of theirs to who made it."""

    __slots__ = ("_apart", "_carrier", "_draft", "_error", "_reply", "_watched")

    def __init__(self, draft: Record, carrier: Mapping[str, str]) -> None:
        self._draft, self._carrier, self._watched = draft, carrier, list[Watched]()
        self._reply: Reply | None = None
        self._error: BaseException | None = None
        self._apart = False

    def told(self, reply: Reply) -> None:
        """The attempt ended with this; where it goes on apart, that is the end."""
        self._reply = reply
        if self._apart:
            self._end()

    def failed(self, error: BaseException) -> None:
        """The ledger failed, or the attempt was broken off."""
        self._error = error
        if self._apart:
            self._end()

    def apart(self) -> None:
        """The attempt goes on after the block: `told` or `failed` ends it."""
        self._apart = True

    def __enter__(self) -> Self:
        for watcher in list(_watchers.values()):
            with _harmless():
                watched = watcher.began(self._draft, self._carrier)
                if watched is not None:
                    self._watched.append(watched)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        for watched in reversed(self._watched):
            with _harmless():
                watched.left()
        if not self._apart:
            # What the caller gets may be an exception although the attempt ended well: `told` has the last word.
            self._error = self._error or (error if self._reply is None else None)
            self._end()

    def _end(self) -> None:
        watched, self._watched = self._watched, []
        for one in reversed(watched):
            with _harmless():
                one.ended(self._reply, self._error)


class _Nobody(Around):
    """What is entered where nobody watches; one for all, since it keeps nothing."""

    __slots__ = ()

    def told(self, reply: Reply) -> None: ...
    def failed(self, error: BaseException) -> None: ...
    def apart(self) -> None: ...
    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...


class _harmless(suppress):
    """A watcher's own fault: said, and no more."""

    def __init__(self) -> None:
        super().__init__(Exception)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if isinstance(error, Exception):
            notices.tell(f"⚠  a watcher failed: {type(error).__name__}: {error}")
        return super().__exit__(kind, error, trace)


_NOBODY = _Nobody(Record(id="", tool=""), NOTHING)
