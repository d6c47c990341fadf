"""Root, held to the modes of files, for tests of what others may not do."""

from __future__ import annotations

import ctypes
import os


def without_roots_privileges() -> None:
    """In the child: root may write anywhere because of two capabilities; without them it is held to the file modes."""
    if os.getuid() == 0:
        libc, drop_from_bounding_set = ctypes.CDLL(None, use_errno=True), 24
        for dac_override_and_dac_read_search in (1, 2):
            assert libc.prctl(drop_from_bounding_set, dac_override_and_dac_read_search, 0, 0, 0) == 0
