"""How many files and sockets this process may have open: the usual soft limit, 1,024, is that of programs with few."""

from __future__ import annotations

import contextlib
import resource
from collections.abc import Iterator

from ledger_proxy.limits import MAX_CONNECTIONS

WANTED = 4 * MAX_CONNECTIONS + 1024
"""An agent's connection, the one to its origin, and both ends of a relay's, for each; the ledger and the rest."""


def widen() -> None:
    """Take what is wanted, or as much as this process may have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = WANTED if hard == resource.RLIM_INFINITY else min(WANTED, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        _set(wanted)


@contextlib.contextmanager
def usual(soft: int) -> Iterator[None]:
    """With this limit meanwhile, for a child to start with: some programs try every number below it."""
    now, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    _set(soft)
    try:
        yield
    finally:
        _set(now)


def limit() -> int:
    """The soft limit."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def _set(soft: int) -> None:
    with contextlib.suppress(OSError, ValueError):  # some kernels allow less than they say
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
