"""A real Chromium, and a dashboard in a process of its own for it to look at."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

PATIENCE = 20_000
"""Milliseconds until what should happen is taken not to."""
NAMES = ("chromium", "chromium-browser", "google-chrome")
MISSING = "there is no chromium on PATH (Debian: apt-get install chromium)"


def executable() -> str:
    """Chromium's path. Skips the test, or fails it under LEDGER_REQUIRE_REAL=1, on a machine without it."""
    for found in filter(None, map(shutil.which, NAMES)):
        return found
    if os.environ.get("LEDGER_REQUIRE_REAL") == "1":
        pytest.fail(MISSING)
    pytest.skip(MISSING)


@contextmanager
def chromium(path: str) -> Iterator[Browser]:
    """A browser without a window. Its sandbox does not work for root."""
    arguments = ["--no-sandbox"] if os.getuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=arguments)
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Dashboard:
    """A running `ledger dashboard`. address: with the token; url: without."""

    process: subprocess.Popen[str]
    address: str

    @property
    def url(self) -> str:
        return self.address.partition("/?")[0]

    def stop(self) -> int:
        """Ctrl-C, and its exit code."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(30)


@contextmanager
def dashboard(
    db: Path, *options: str, within: Sequence[str] = (), become: Callable[[], None] | None = None
) -> Iterator[Dashboard]:
    """`ledger dashboard` on any free port. within: a command that runs it; become: what its process does first."""
    command = [*within, sys.executable, "-m", "ledger_console", "dashboard", str(db), "--port", "0", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, preexec_fn=become)  # noqa: PLW1509  one thread
    assert process.stdout is not None
    try:
        yield Dashboard(process, process.stdout.readline().strip())
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        process.stdout.close()
