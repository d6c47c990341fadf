"""The demo's stage hands: processes that are started, listened to, killed and never left behind.

Tells no story and prints nothing.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import psutil
import stripe

HERE = Path(__file__).resolve().parent
PATIENCE = 30.0  # seconds before a wait is given up
PROXIES = {"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"}
_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class DemoError(Exception):
    """The demo cannot go on; the message says why."""


def clean_environment() -> dict[str, str]:
    """The user's environment without proxies and Ledger settings of their own, which would change the story."""
    return {
        name: value
        for name, value in os.environ.items()
        if name.upper() not in PROXIES and not name.startswith("LEDGER_")
    }


def wait_until(condition: Callable[[], object], what: str) -> None:
    """Poll until a condition holds. Raises DemoError after PATIENCE seconds."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise DemoError(f"waited {PATIENCE:.0f} s in vain for {what}")
        time.sleep(0.02)


def kill_tree(pid: int) -> None:
    """SIGKILL a process that we started and all it started, sidecars in sessions of their own included."""
    with contextlib.suppress(psutil.NoSuchProcess):
        parent = psutil.Process(pid)
        for process in [parent, *parent.children(recursive=True)]:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()


@dataclass(frozen=True)
class Started:
    """A helper process and the line it printed when it was ready."""

    process: subprocess.Popen[str]
    ready: str


@contextlib.contextmanager
def started(command: list[str]) -> Iterator[Started]:
    """A helper process for the length of a `with` block. Raises DemoError when it does not come up."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=clean_environment())
    assert process.stdout is not None
    try:
        ready = process.stdout.readline().strip()
        if not ready:
            raise DemoError(f"{Path(command[1]).name} did not start; its error is above")
        yield Started(process, ready)
    finally:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            kill_tree(process.pid)
            process.wait()
        process.stdout.close()


class FakeStripe:
    """fake_stripe.py in a process of its own, its control port, and Stripe's own list of charges."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        command = [sys.executable, str(HERE / "fake_stripe.py"), "--directory", str(self.directory)]
        ready = json.loads(self.stack.enter_context(started(command)).ready)
        self.port: int = ready["port"]
        self.ca = Path(ready["ca"])
        self.control: str = ready["control"]
        self.localstripe: str = ready["localstripe"]
        return self

    def __exit__(self, *_: object) -> None:
        self.stack.close()

    def weather(self, answers: str) -> None:
        """Say what becomes of answers from now on: fine, late or lost."""
        data = json.dumps({"answers": answers}).encode()
        _direct.open(urllib.request.Request(f"{self.control}/weather", data), timeout=5).close()

    def report(self) -> dict[str, Any]:
        """The weather and the counts of the front."""
        with _direct.open(f"{self.control}/weather", timeout=5) as answer:
            return dict(json.load(answer))

    def requests(self) -> int:
        """How many writes arrived at Stripe, repetitions of one key included."""
        return int(self.report()["requests"])

    def wait_until_answers_are_held(self) -> None:
        """Until Stripe has charged and its answer is on hold."""
        wait_until(lambda: self.report()["held"] > 0, "a charge whose answer is held")

    def charges(self) -> list[stripe.Charge]:
        """Every charge that Stripe holds, asked past the bad weather with Stripe's own SDK."""
        client = stripe.StripeClient("sk_test_demo", base_addresses={"api": self.localstripe}, proxy=None)
        return list(client.v1.charges.list(params={"limit": 100}).auto_paging_iter())


@dataclass(frozen=True)
class Launch:
    """How the agent is started in one half of the demo, and who dies with it."""

    who: str
    command: list[str]
    environment: dict[str, str]
    directory: Path


class Actor:
    """One run of the agent (and of whatever runs it) in a process group of its own."""

    def __init__(self, launch: Launch, hear: Callable[[str], None]) -> None:
        self.launch = launch
        self.hear = hear
        self.lines: list[str] = []
        self.errors = launch.directory / "errors.txt"

    def __enter__(self) -> Self:
        with self.errors.open("w") as errors:
            self.process = subprocess.Popen(
                self.launch.command,
                stdout=subprocess.PIPE,
                stderr=errors,
                stdin=subprocess.DEVNULL,
                text=True,
                env=self.launch.environment,
                cwd=self.launch.directory,
                start_new_session=True,
            )
        self.listener = threading.Thread(target=self.listen, daemon=True)
        self.listener.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.kill_everything()
        self.listener.join(5)

    def listen(self) -> None:
        """Pass the agent's lines on as they come."""
        assert self.process.stdout is not None
        with self.process.stdout:
            for line in self.process.stdout:
                self.lines.append(line)
                self.hear(line.rstrip("\n"))

    def said(self, word: str) -> bool:
        """Whether a line began with this word."""
        return any(line.startswith(word) for line in self.lines)

    def wait_until(self, condition: Callable[[], object]) -> None:
        """Wait for a condition while the agent lives. Raises DemoError, with its errors, when it ended before."""

        def settled() -> bool:
            return bool(condition()) or self.process.poll() is not None

        wait_until(settled, "the agent")
        self.listener.join(0 if self.process.poll() is None else 5)
        if not condition():
            raise DemoError(f"the agent ended too early\n{self.errors.read_text()}".rstrip())

    def finish(self) -> list[str]:
        """Wait for a good end; returns what was written to stderr. Raises DemoError with that otherwise."""
        try:
            code = self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            raise DemoError("the agent did not come to an end") from None
        self.listener.join(5)
        if code != 0:
            raise DemoError(f"the agent ended with exit code {code}\n{self.errors.read_text()}".rstrip())
        return self.errors.read_text().splitlines()

    def kill_everything(self) -> None:
        """`kill -9` for the whole group, and for what left it."""
        kill_tree(self.process.pid)
        self.process.wait()
