"""Owner tokens, and whether the process behind one still lives. Reads /proc; decides nothing.

A token is `boot:pidns:pid:start:nonce`. Boot ids are equal across containers and pids are reused, so a pid is
trusted only when boot and PID namespace are ours, and it is the same process only when its raw start time is.
"""

from __future__ import annotations

import itertools
import os
from functools import cache
from pathlib import Path

from ledger import forks
from ledger.clock import boot_id

_DEAD_STATES = "ZX"
# As `secrets.token_hex`, which would load OpenSSL.
_NONCE = os.urandom(8).hex()
_numbers = itertools.count()


def new_token() -> str:
    """A token for one claim by this process. Random bytes are asked for once: a claim must not wait for them."""
    return f"{_prefix(forks.pid)}{next(_numbers):x}"


def alive(token: str) -> bool | None:
    """True or False where the owner's process can be seen from here, None where it cannot be told."""
    try:
        boot, namespace, pid, start, _ = token.split(":")
    except ValueError:
        return None
    if not boot or not start or (boot, namespace) != (boot_id(), _pid_namespace()):
        return None
    return _start_ticks(int(pid)) == start


@cache
def _prefix(pid: int) -> str:
    """Of this process's tokens. Cached by pid, so a forked child has its own."""
    return f"{boot_id()}:{_pid_namespace()}:{pid}:{_start_ticks(pid) or ''}:{_NONCE}"


@cache
def _pid_namespace() -> str:
    try:
        return str(os.stat("/proc/self/ns/pid").st_ino)
    except OSError:
        return ""


def _start_ticks(pid: int) -> str | None:
    """Field 22 of /proc/PID/stat; None for a process that is gone or a zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return None
    # The command in parentheses may hold any bytes, so count from its closing one: field 3 is the state.
    fields = stat[stat.rindex(b")") + 2 :].decode("ascii").split()
    return None if fields[0] in _DEAD_STATES else fields[19]
