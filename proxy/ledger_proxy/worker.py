"""One worker as its parent sees it: a process that says when it listens, answers questions, and is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from aiohttp import ClientError, ClientSession, ClientTimeout, UnixConnector

from ledger_proxy import rings
from ledger_proxy.errors import EngineError
from ledger_proxy.listening import Handed
from ledger_proxy.measures import Numbers
from ledger_proxy.settings import Address

ASK_SECONDS = 6.0
"""A little more than a worker's own probe gives its ledger."""
_numbers = itertools.count(1)


class Unheard(Exception):
    """A worker did not answer; str() says why."""


class Worker:
    """A worker that listens. counted: the last of its numbers that are known."""

    def __init__(self, process: asyncio.subprocess.Process, asked: str | None) -> None:
        self._process, self._asked = process, asked
        self.counted = Numbers()
        self.told_to_stop = False

    @classmethod
    async def start(
        cls, words: Sequence[str], sockets: Sequence[socket.socket], folder: Path | None, admin: Address | None
    ) -> Self:
        """Start one and wait until it listens. folder: where its Unix socket goes, if it will be asked.

        Raises EngineError when it ends before; it has said why on stderr.
        """
        asked = str(folder / f"{next(_numbers)}") if folder is not None else None
        listening = tuple(sock.fileno() for sock in sockets)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "ledger_console", *words),
            # Nothing is ever written there: its end tells the worker that its parent is gone.
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, **Handed(listening, asked, admin, rings.name()).variable()},
            pass_fds=listening,
            # Ctrl-C in a terminal is for the parent, which passes it on.
            process_group=0,
        )
        worker = cls(process, asked)
        try:
            listens = (await worker._line()).startswith("listening on ")
        except asyncio.CancelledError:
            worker.stop()
            raise
        if not listens:
            await process.wait()
            raise EngineError(f"a worker did not start (exit code {process.returncode}); it said why above")
        return worker

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    async def ended(self) -> str:
        """Wait for its end; how it came, continuing "a worker"."""
        with contextlib.suppress(ValueError, KeyError):
            self.counted = Numbers.heard(json.loads(await self._line()))
        code = await self._process.wait()
        return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with {code}"

    def signal(self, number: int) -> None:
        """Pass a signal on; harmless when it has ended."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)

    def stop(self) -> None:
        """Let it drain and end."""
        self.told_to_stop = True
        self.signal(signal.SIGTERM)

    async def healthy(self) -> None:
        """Raises Unheard when it cannot write to its ledger, or does not answer."""
        told = await self._ask("/healthz")
        if told.get("status") != "ok":
            raise Unheard(str(told.get("why")))

    async def count(self) -> None:
        """Bring `counted` up to date, if it answers."""
        if self._asked is not None:
            with contextlib.suppress(Unheard):
                self.counted = Numbers.heard(await self._ask("/metrics"))

    async def _ask(self, path: str) -> dict[str, Any]:
        try:
            connector = UnixConnector(self._asked or "")
            async with (
                ClientSession(connector=connector, timeout=ClientTimeout(ASK_SECONDS)) as session,
                session.get(f"http://localhost{path}") as answer,
            ):
                told: dict[str, Any] = await answer.json()
                return told
        except (ClientError, OSError, TimeoutError) as error:
            raise Unheard(f"worker {self.pid} does not answer: {type(error).__name__}") from None

    async def _line(self) -> str:
        assert self._process.stdout is not None
        return (await self._process.stdout.readline()).decode()
