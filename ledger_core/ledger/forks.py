"""This process's id, without asking the system at every call. A forked child learns its own."""

from __future__ import annotations

import os

_pid = os.getpid()


def pid() -> int:
    """As `os.getpid()`."""
    return _pid


def _renew() -> None:
    global _pid  # noqa: PLW0603 (the one thing that a fork changes here)
    _pid = os.getpid()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)
