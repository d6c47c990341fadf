"""New rules for a running sidecar: on SIGHUP and when their file changes, all of them or none."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable
from pathlib import Path

from ledger_proxy.errors import EngineError
from ledger_rules.errors import RulesError
from ledger_rules.ruleset import Ruleset

logger = logging.getLogger(__name__)

LOOK_SECONDS = 1.0

type Sign = tuple[int, int, int]
"""What changes when a file does, also when an editor puts another in its place."""


class Reloader:
    """Reads rules again and hands them over. Requests under way keep the rule they came in by."""

    def __init__(self, read: Callable[[], Ruleset], take: Callable[[Ruleset], None], file: Path | None) -> None:
        self._read, self._take, self._file = read, take, file
        self._asked = asyncio.Event()
        self._sign = self._seen = self._look()

    def ask(self) -> None:
        """Read them now; for a signal handler."""
        self._asked.set()

    async def run(self) -> None:
        """Until cancelled: whoever asks, and whatever changes."""
        while True:
            try:
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._asked.wait()
                # What is read now is not to be read again for having changed.
                self._sign = self._seen = self._look()
            except TimeoutError:
                if not self._changed():
                    continue
            self._asked.clear()
            self.reload()

    def reload(self) -> bool:
        """Take the rules if they are right; otherwise say what is wrong and go on with those that are there."""
        try:
            rules = self._read()
            self._take(rules)
        except (RulesError, EngineError, OSError) as error:
            logger.error("the rules were not changed: %s", "; ".join(str(error).splitlines()))
            return False
        logger.warning("rules reloaded; rules: %d, hosts: %d", len(rules.rules), len(rules.hosts()))
        return True

    def _changed(self) -> bool:
        """A file that is missing did not change, nor one that is being written: half of it may be half of the rules."""
        before, self._seen = self._seen, self._look()
        if self._seen is None or self._seen != before:
            return False
        changed, self._sign = self._seen != self._sign, self._seen
        return changed

    def _look(self) -> Sign | None:
        if self._file is None:
            return None
        try:
            found = os.stat(self._file)
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino
