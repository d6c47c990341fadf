"""Whose the far end of a redirected connection is: one that we opened ourselves would lead us to ourselves for ever.

The kernel is asked, which knows a connection before it is accepted, and whichever worker opened it: sock_diag(7) gives
the user and the inode of the socket at the far end, if it is on this machine, and /proc who has it open.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from ledger_proxy.errors import EngineError

_SOCK_DIAG, _BY_FAMILY, _REQUEST = 4, 20, 1
_HEADER = struct.Struct("=IHHII")
_ASKED = struct.Struct("=BBBxI")
_TOLD = struct.Struct("=4x48x12xII")
"""inet_diag_msg: state and timers, the two ends, what is queued; then user and inode."""
_ANY_STATE = 0xFFFFFFFF
_NO_COOKIE = b"\xff" * 8
_PROC = Path("/proc")


class Ends:
    """Asks for one process, and for those of the same parent where it is a worker."""

    def __init__(self, worker: bool) -> None:
        """Raises EngineError where the kernel cannot be asked: then no loop would be noticed."""
        self._worker = worker
        try:
            self._kernel = socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, _SOCK_DIAG)
            self._kernel.setblocking(False)
            self._owner(("127.0.0.1", 1), ("127.0.0.1", 1))
        except (OSError, AttributeError) as error:
            raise EngineError(
                f"transparent mode asks the kernel whose a connection is, and cannot here: {error}; "
                "allow sockets of the family AF_NETLINK, and the kernel's inet_diag"
            ) from None

    def close(self) -> None:
        """Ask no more."""
        self._kernel.close()

    def ours(self, end: tuple[Any, ...], to: tuple[Any, ...]) -> bool:
        """Say whether a connection from `end`, which was on its way to `to`, was opened by this sidecar."""
        user, inode = self._owner(end, to)
        # Reading who has what open is for the rare case alone: an agent usually is another user.
        return bool(inode) and user == os.geteuid() and any(_has(process, inode) for process in self._crew())

    def _owner(self, end: tuple[Any, ...], to: tuple[Any, ...]) -> tuple[int, int]:
        """User and inode of the socket at `end`; no inode where it is not on this machine."""
        family = socket.AF_INET6 if ":" in end[0] else socket.AF_INET
        ports = struct.pack("!HH", end[1], to[1])
        addresses = b"".join(socket.inet_pton(family, one[0].partition("%")[0]).ljust(16, b"\0") for one in (end, to))
        interface = struct.pack("=I", end[3] if len(end) > 3 else 0)
        asked = _ASKED.pack(family, socket.IPPROTO_TCP, 0, _ANY_STATE) + ports + addresses + interface + _NO_COOKIE
        self._kernel.send(_HEADER.pack(_HEADER.size + len(asked), _BY_FAMILY, _REQUEST, 0, 0) + asked)
        told = self._kernel.recv(4096)
        if _HEADER.unpack_from(told)[1] != _BY_FAMILY:
            return 0, 0
        user, inode = _TOLD.unpack_from(told, _HEADER.size)
        return user, inode

    def _crew(self) -> Iterator[int]:
        yield os.getpid()
        if self._worker:
            parent = os.getppid()
            yield from (process for process in _processes() if _parent(process) == parent)


def _processes() -> Iterator[int]:
    return (int(one) for one in os.listdir(_PROC) if one.isdecimal())


def _parent(process: int) -> int | None:
    """Its parent; the name before it may hold anything: see proc_pid_stat(5)."""
    with suppress(OSError):
        return int((_PROC / str(process) / "stat").read_bytes().rpartition(b")")[2].split()[1])
    return None  # it has ended


def _has(process: int, inode: int) -> bool:
    wanted, folder = f"socket:[{inode}]", _PROC / str(process) / "fd"
    with suppress(OSError):
        for one in os.listdir(folder):
            with suppress(OSError):
                if os.readlink(folder / one) == wanted:
                    return True
    return False
