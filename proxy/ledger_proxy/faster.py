"""What mitmproxy does for every message that a sidecar does not need; `make bench` shows what it costs.

Private names of 12.2: a version without them is left as it is, only slower.
"""

from __future__ import annotations

import asyncio
import copy
import itertools
import types
from collections.abc import Callable, Coroutine
from typing import Any

from ledger_proxy.gathering import GatheringWriter

_TASKS: set[asyncio.Task[Any]] = set()
_PLAIN = (str, int, bool, float, type(None))


def apply() -> None:
    """Replace them. Safe to call again."""
    from mitmproxy import connection, flow, http, optmanager
    from mitmproxy.proxy import server
    from mitmproxy.utils import asyncio_utils

    for module in (connection, flow):
        if hasattr(module, "uuid"):
            # Its ids tell flows and connections of this process apart; a random one costs a system call.
            setattr(module, "uuid", types.SimpleNamespace(uuid4=itertools.count(1).__next__))  # noqa: B010
    _gather_writes(server.LiveConnectionHandler)
    if hasattr(http.MessageData, "__post_init__"):
        # It checks the type of every field of every message by walking annotations.
        http.MessageData.__post_init__ = _unchecked  # type: ignore[method-assign]
    if hasattr(optmanager._Option, "current"):
        optmanager._Option.current = _current  # type: ignore[method-assign]
    if hasattr(asyncio_utils, "set_task_debug_info"):
        asyncio_utils.set_task_debug_info = _unnamed


def run_inline(waits: Callable[[str], bool]) -> None:
    """Run hooks whose listeners never wait at once, where mitmproxy pauses the connection for a task of its own.

    waits: whether a listener of the hook of that name is a coroutine function.
    """
    from mitmproxy import hooks
    from mitmproxy.proxy import commands
    from mitmproxy.utils import asyncio_utils

    asyncio_utils.create_task = _create_task
    for name, hook in hooks.all_hooks.items():
        if issubclass(hook, commands.StartHook):
            # Not blocking: the layer goes on as soon as the hook was started, and eagerly started it has ended.
            hook.blocking = waits(name)


def _create_task(
    coro: Coroutine[Any, Any, Any], *, name: str, keep_ref: bool, client: tuple[Any, ...] | None = None
) -> asyncio.Task[Any]:
    eager = getattr(coro, "__name__", "") == "hook_task"
    task = asyncio.Task(coro, loop=asyncio.get_running_loop(), eager_start=eager)
    if keep_ref and not task.done():
        _TASKS.add(task)
        task.add_done_callback(_TASKS.discard)
    return task


def _gather_writes(handler: Any) -> None:
    made = handler.__init__
    if hasattr(made, "gathers"):
        return

    def init(self: Any, reader: Any, writer: Any, *rest: Any) -> None:
        gathers = isinstance(writer, asyncio.StreamWriter)
        made(self, reader, GatheringWriter(writer) if gathers else writer, *rest)

    init.gathers = True  # type: ignore[attr-defined]
    handler.__init__ = init


def _unchecked(self: object) -> None:
    """What the wire parsed is of its type."""


def _current(self: Any) -> Any:
    """An option's value; only what could be changed in place is copied."""
    from mitmproxy import optmanager

    value = self.default if self.value is optmanager.unset else self.value
    return value if isinstance(value, _PLAIN) else copy.deepcopy(value)


def _unnamed(task: asyncio.Task[Any], **_: object) -> None:
    """Names and times of tasks are for mitmproxy's own debugging."""
