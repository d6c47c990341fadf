"""The machine the figures come from: what it is, and a directory on a disk that really syncs."""

from __future__ import annotations

import os
import platform
import tempfile
from importlib.metadata import version
from pathlib import Path

import psutil

IN_MEMORY = frozenset({"tmpfs", "ramfs"})


def workplace() -> Path:
    """Return a parent for the runs' directories; a ledger in memory would make the claim's fsync free."""
    for candidate in (Path(tempfile.gettempdir()), Path.cwd()):
        if filesystem(candidate) not in IN_MEMORY:
            return candidate
    raise SystemExit("bench: the temporary and the current directory are both in memory; set TMPDIR to a real disk")


def filesystem(path: Path) -> str:
    """Name the file system that holds `path`."""
    resolved = path.resolve()
    mounts = [m for m in psutil.disk_partitions(all=True) if resolved.is_relative_to(m.mountpoint)]
    return max(mounts, key=lambda m: len(m.mountpoint)).fstype if mounts else "unknown"


def describe(parent: Path) -> str:
    """One line: cores, Python, peers, file system, and how busy the machine was."""
    load = os.getloadavg()[0]
    parts = [
        f"{os.cpu_count()} cores",
        f"{platform.system()} {platform.machine()}",
        f"Python {platform.python_version()}",
        f"mitmproxy {version('mitmproxy')}",
        f"aiohttp {version('aiohttp')}",
        f"ledger on {filesystem(parent)}",
        f"load average at the start {load:.1f}",
    ]
    return ", ".join(parts)
