"""Opening a guard's ledger when it is first needed, once per process, and letting go of it."""

from __future__ import annotations

import atexit
import contextlib
import threading
import weakref
from collections.abc import Callable
from typing import Any

from ledger import forks, settings
from ledger.compat import _SQLite
from ledger.engine import Engine
from ledger.errors import LedgerError, StoreUnavailable
from ledger.ports import SyncStore
from ledger.steps import Reply


class Opening:
    """Safe for threads and forks."""

    def __init__(self, store: SyncStore | None, observe: Callable[[Reply], None]) -> None:
        """store: whose owner closes it; without one, the file LEDGER_DB is opened and closed here."""
        self._store, self._observe = store, observe
        self._opened: tuple[int, Engine] | None = None
        self._places: dict[str, str] = {}
        """Where a ledger of this name was when it was first opened, whatever the working folder is now."""
        self._left: list[Engine] = []
        self._lock = forks.free_in_child(threading.RLock())
        _openings.add(self)

    @property
    def engine(self) -> Engine:
        """This process's engine. Raises StoreUnavailable, NotALedger."""
        opened, pid = self._opened, forks.pid
        if opened is not None and opened[0] == pid:
            return opened[1]
        with self._lock:
            if self._opened is None or self._opened[0] != pid:
                self._opened = (pid, self._opened[1].after_fork() if self._opened else self._open())
            return self._opened[1]

    @property
    def is_open(self) -> bool:
        """Whether this very process opened it."""
        return self._opened is not None and self._opened[0] == forks.pid

    def move(self, path: str) -> None:
        """Keep the records in this file from now on. Calls in flight still end where they began."""
        engine = Engine(_SQLite(path, cipher=_cipher()), owns=True, observe=self._observe)
        with self._lock:
            if self._opened is not None and self._opened[0] == forks.pid:
                self._left.append(self._opened[1])
            self._opened = (forks.pid, engine)

    def close(self) -> None:
        """Write what is owed and buffered, and let go of the file. The next call opens it again."""
        with self._lock:
            opened, self._opened = self._opened, None
            left, self._left = self._left, []
        for engine in left:
            engine.close()
        if opened is not None and opened[0] == forks.pid:
            opened[1].close()

    def _open(self) -> Engine:
        if self._store is not None:
            return Engine(self._store, owns=False, observe=self._observe)
        path = settings.database()
        if "://" in path:
            raise StoreUnavailable(f"LEDGER_DB={path} is a URL, and guard opens files; give the path of a file")
        store = _SQLite(self._places.get(path, path), cipher=_cipher())
        self._places[path] = store.path
        return Engine(store, owns=True, observe=self._observe)


_openings: weakref.WeakSet[Opening] = weakref.WeakSet()


@atexit.register
def _close_all() -> None:
    """What is called later still, by who asked to be called at exit before Ledger did, opens its ledger again."""
    for opening in list(_openings):
        # What a forked child inherited is its parent's to close.
        if opening.is_open:
            with contextlib.suppress(LedgerError):
                opening.close()


def _cipher() -> Any:
    """What the environment asks for: a `Cipher`, or None. Raises LedgerError for a bad key or a missing extra."""
    if not settings.encrypts():
        return None
    from importlib import import_module

    # By name: the core imports nothing from outside, and only who encrypts needs what encrypts.
    return import_module("ledger_proxy.sealing").sealer()
