"""A progress bar on stderr for what lasts over a second; nothing where nobody watches."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress

type Advance = Callable[[int, int], None]
"""Told how much is done, and of how much; 0 of 0 where nobody knows."""

SECONDS = 0.5
"""What is over sooner needs no bar."""


@contextlib.contextmanager
def bar(what: str) -> Iterator[Advance]:
    """Draw a bar while the block runs, on a terminal only; it leaves nothing behind."""
    if not sys.stderr.isatty():
        yield lambda done, total: None
        return
    with contextlib.ExitStack() as drawn:
        began, progress = time.monotonic(), None

        def advance(done: int, total: int) -> None:
            nonlocal progress
            if progress is None and time.monotonic() - began > SECONDS:
                progress = drawn.enter_context(_drawn())
                progress.add_task(what, total=None)
            if progress is not None:
                progress.update(progress.task_ids[0], completed=done, total=total or None)

        yield advance


def _drawn() -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True), transient=True)
