"""Whether a ledger is where SQLite's locks and syncs hold. Reads what Linux says of its mounts; opens nothing."""

from __future__ import annotations

import os
from pathlib import Path

from ledger import settings
from ledger.errors import StoreUnavailable

REMOTE = frozenset(
    ("nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "ceph", "fuse.ceph", "fuse.sshfs", "glusterfs", "fuse.glusterfs",
     "lustre", "beegfs", "gpfs", "ocfs2", "gfs2")
)  # fmt: skip
"""File systems of several machines: WAL needs the memory of one (https://sqlite.org/wal.html#overview), and locks or
syncs may not hold (https://sqlite.org/howtocorrupt.html). Not 9p, which is also how a sandbox shows its own disk."""
_MOUNTS = Path("/proc/self/mountinfo")


def file_system(path: str | Path) -> str:
    """The type of the file system that a file is on, or would be; "" where that cannot be told."""
    place = Path(path).absolute()
    try:
        device = next(folder for folder in (place, *place.parents) if folder.exists()).stat().st_dev
        lines = _MOUNTS.read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return ""
    wanted = f"{os.major(device)}:{os.minor(device)}"
    # proc(5): the third field is the device, and behind a lone dash comes the type.
    found = (line.partition(" - ")[2].split(" ")[0] for line in lines if line.split(" ", 3)[2] == wanted)
    return next(found, "")


def refuse_remote(path: str) -> None:
    """Raise StoreUnavailable where several machines could share the file, unless LEDGER_NETWORK_DISK allows it."""
    kind = file_system(path)
    if kind in REMOTE and not settings.network_disk():
        raise StoreUnavailable(
            f"the ledger {path} would be on {kind}, a network file system, where its locks do not hold; "
            "put it on a local disk, or set LEDGER_NETWORK_DISK=1 if one process alone will ever use it"
        )
