"""This process's id, without asking the system at every call; a forked child learns its own. And who is told of a fork.

What is open is told before a process is copied, so that nothing of it is copied half done, and told in the child, where
it leaves what it inherited before anything is opened there. Why, see `stores.forked`.
"""

from __future__ import annotations

import os
import threading
import weakref
from typing import Protocol

pid = os.getpid()
"""As `os.getpid()` gives it. To be read as `forks.pid`, whenever it is needed."""


class Open(Protocol):
    """Something that must not be copied in the midst of its work."""

    def hold(self) -> None:
        """A fork is near: end what is under way, and begin nothing."""
        ...

    def go_on(self) -> None:
        """The fork is over, and this is the parent."""
        ...

    def leave(self) -> None:
        """This is the child: close what was inherited."""
        ...


class Lock(Protocol):
    """As `threading` makes them."""

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool: ...
    def release(self) -> None: ...


HOLD_SECONDS = 5.0
"""A fork waits at most so long for work that is under way."""

# Not a WeakSet, which another thread must not change while it is gone through.
_open: dict[int, weakref.ref[Open]] = {}
_locks: dict[int, weakref.ref[Lock]] = {}
_holding: list[Open] = []
_held: list[Lock] = []
_forking = threading.RLock()
"""One fork at a time: another thread's would let go of what this one holds."""


def tell(opened: Open) -> None:
    """Tell it of every fork from now on, for as long as it lives."""
    number = id(opened)
    _open[number] = weakref.ref(opened, lambda _: _open.pop(number, None))


def free_in_child[L: Lock](lock: L) -> L:
    """The same lock, which no fork copies in the hands of a thread that the child does not have."""
    number = id(lock)
    _locks[number] = weakref.ref(lock, lambda _: _locks.pop(number, None))
    return lock


def _before() -> None:
    _forking.acquire()
    # First the locks: who holds one of them may be opening something.
    _held.extend(lock for ref in list(_locks.values()) if (lock := ref()) and lock.acquire(timeout=HOLD_SECONDS))
    for ref in list(_open.values()):
        opened = ref()
        if opened is not None:
            _holding.append(opened)
            opened.hold()


def _in_parent() -> None:
    while _holding:
        _holding.pop().go_on()
    _release()


def _in_child() -> None:
    global pid  # noqa: PLW0603 (the one thing that a fork changes here)
    pid = os.getpid()
    while _holding:
        _holding.pop().leave()
    _release()


def _release() -> None:
    while _held:
        _held.pop().release()
    _forking.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_parent=_in_parent, after_in_child=_in_child)
