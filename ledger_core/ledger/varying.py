"""Notices a tool that is called with ever different arguments: its retries cannot be recognised. Bounded memory."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence

from ledger import forks

CALLS, SECONDS = 4, 10.0
"""So many different calls within so many seconds are worth a word."""
TOOLS = 256
"""Tools that are watched; the one that was called longest ago is forgotten first."""


class Watch:
    """The last few calls of each tool, as hashes. Safe for threads."""

    def __init__(self) -> None:
        self._seen: OrderedDict[str, list[tuple[float, dict[str, int]]] | None] = OrderedDict()
        self._lock = forks.free_in_child(threading.RLock())

    def notice(self, tool: str, told: Mapping[str, str], mono: float) -> list[str] | None:
        """The names of the arguments that differ in each of the last calls, once per tool; None when all is well.

        told: each argument's name and normal form, as text. mono: seconds on a clock that is never turned back.
        """
        hashes = {name: hash(form) for name, form in told.items()}
        with self._lock:
            recent = self._recent(tool)
            if recent is None:
                return None
            recent[:] = [(at, seen) for at, seen in recent if mono - at < SECONDS and seen != hashes][-CALLS:]
            recent.append((mono, hashes))
            if len(recent) < CALLS:
                return None
            self._seen[tool] = None
            return _ever_different([seen for _, seen in recent])

    def _recent(self, tool: str) -> list[tuple[float, dict[str, int]]] | None:
        """None for a tool that was spoken of already."""
        if tool not in self._seen:
            self._seen[tool] = []
            if len(self._seen) > TOOLS:
                self._seen.popitem(last=False)
        self._seen.move_to_end(tool)
        return self._seen[tool]


def _ever_different(calls: Sequence[dict[str, int]]) -> list[str]:
    names = dict.fromkeys(name for call in calls for name in call)
    return [name for name in names if len({call.get(name) for call in calls}) == len(calls)]
