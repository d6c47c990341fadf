"""This process's id, without asking the system at every call. A forked child learns its own."""

from __future__ import annotations

import os

pid = os.getpid()
"""As `os.getpid()` gives it. To be read as `forks.pid`, whenever it is needed."""


def _renew() -> None:
    global pid  # noqa: PLW0603 (the one thing that a fork changes here)
    pid = os.getpid()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)
