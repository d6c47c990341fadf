"""Three things mitmproxy does for every message that a sidecar does not need; `make bench` shows what they cost.

Private names of 12.2: a version without them is left as it is, only slower.
"""

from __future__ import annotations

import asyncio
import copy
from typing import Any

_PLAIN = (str, int, bool, float, type(None))


def apply() -> None:
    """Replace them. Safe to call again."""
    from mitmproxy import http, optmanager
    from mitmproxy.utils import asyncio_utils

    if hasattr(http.MessageData, "__post_init__"):
        # It checks the type of every field of every message by walking annotations.
        http.MessageData.__post_init__ = _unchecked  # type: ignore[method-assign]
    if hasattr(optmanager._Option, "current"):
        optmanager._Option.current = _current  # type: ignore[method-assign]
    if hasattr(asyncio_utils, "set_task_debug_info"):
        asyncio_utils.set_task_debug_info = _unnamed


def _unchecked(self: object) -> None:
    """What the wire parsed is of its type."""


def _current(self: Any) -> Any:
    """An option's value; only what could be changed in place is copied."""
    from mitmproxy import optmanager

    value = self.default if self.value is optmanager.unset else self.value
    return value if isinstance(value, _PLAIN) else copy.deepcopy(value)


def _unnamed(task: asyncio.Task[Any], **_: object) -> None:
    """Names and times of tasks are for mitmproxy's own debugging."""
