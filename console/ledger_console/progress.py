"""A progress bar on stderr for what can last over a second; nothing where nobody watches."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator

type Advance = Callable[[int, int], None]
"""Told how much is done, and of how much."""


@contextlib.contextmanager
def bar(what: str) -> Iterator[Advance]:
    """Draw a bar while the block runs, on a terminal only; it leaves nothing behind."""
    if not sys.stderr.isatty():
        yield lambda done, total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(what, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)
