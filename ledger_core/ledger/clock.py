"""The clocks. The only place in the core that reads the time."""

from __future__ import annotations

import time
from functools import cache
from pathlib import Path

from ledger.records import Instant

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
# Suspend counts where the platform has a clock that includes it.
_MONO = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


@cache
def boot_id() -> str:
    """A short name of this boot, "" where the platform has none."""
    try:
        return _BOOT_ID.read_text().strip().replace("-", "")[:16]
    except OSError:
        return ""


def now() -> Instant:
    """This instant, on both clocks."""
    return Instant(time.time(), time.clock_gettime(_MONO), boot_id())
