"""Root held to the modes of files, and namespaces of one's own, for tests of what others may not do."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess

import pytest


def without_roots_privileges() -> None:
    """In the child: root may write anywhere because of two capabilities; without them it is held to the file modes."""
    if os.getuid() == 0:
        libc, drop_from_bounding_set = ctypes.CDLL(None, use_errno=True), 24
        for dac_override_and_dac_read_search in (1, 2):
            assert libc.prctl(drop_from_bounding_set, dac_override_and_dac_read_search, 0, 0, 0) == 0


def bubblewrap() -> str:
    """Its path. Without it the test skips, or fails under LEDGER_REQUIRE_REAL=1; a kernel that forbids it skips."""
    found = shutil.which("bwrap")
    if found is None:
        if os.environ.get("LEDGER_REQUIRE_REAL") == "1":
            pytest.fail("bubblewrap is missing; install bubblewrap")
        pytest.skip("bubblewrap is missing; install bubblewrap")
    tried = subprocess.run([found, "--unshare-user", "--ro-bind", "/", "/", "true"], check=False, capture_output=True)
    if tried.returncode:
        pytest.skip(f"this kernel lets nobody make a namespace: {tried.stderr.decode().strip()}")
    return found
