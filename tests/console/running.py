"""A `ledger` command in a process of its own, on a pipe or a terminal."""

from __future__ import annotations

import contextlib
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

PATIENCE = 20.0


class Running:
    """A `ledger` command in a process of its own; its output is collected as it comes."""

    def __init__(self, output: int, process: subprocess.Popen[bytes]) -> None:
        self._output, self.process, self.seen = output, process, ""

    def sees(self, text: str) -> bool:
        """Whether `text` comes before patience ends."""
        deadline = time.monotonic() + PATIENCE
        while text not in self.seen and time.monotonic() < deadline:
            if select.select([self._output], [], [], 0.1)[0]:
                more = self._read()
                if not more:
                    break
                self.seen += more.decode()
        return text in self.seen

    def _read(self) -> bytes:
        try:
            return os.read(self._output, 65536)
        except OSError:
            # How a terminal says that its other side is closed.
            return b""

    def interrupted(self) -> int:
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(PATIENCE)


@contextlib.contextmanager
def running(*words: str, terminal: bool, **env: str) -> Iterator[Running]:
    ours, theirs = pty.openpty() if terminal else os.pipe()
    command = [sys.executable, "-m", "ledger_console", *words]
    process = subprocess.Popen(
        command, stdout=theirs, stderr=theirs, stdin=subprocess.DEVNULL, env={**os.environ, "TERM": "xterm", **env}
    )
    os.close(theirs)
    try:
        yield Running(ours, process)
    finally:
        process.kill()
        process.wait()
        os.close(ours)
