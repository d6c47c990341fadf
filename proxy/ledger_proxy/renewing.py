"""The CA of a running sidecar: renewed before it ends, and taken up when somebody puts another in its place."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from ledger_proxy import certificates
from ledger_proxy.ca import CAError

logger = logging.getLogger(__name__)

LOOK_SECONDS = 60.0


class Renewal:
    """Looks after a CA. ensure: makes its directory right for a time; take: has the front sign with what is there.

    Several sidecars may look after one directory: whoever comes first renews, the others take up what they find.
    """

    def __init__(self, authority: Path, ensure: Callable[[datetime], object], take: Callable[[], None]) -> None:
        self._authority, self._ensure, self._take = authority, ensure, take
        self._asked = asyncio.Event()
        self._used = authority.read_bytes()
        self._said = ""

    def ask(self) -> None:
        """Look now; for a signal handler."""
        self._asked.set()

    async def run(self) -> None:
        """Until cancelled: now and then, and whenever asked."""
        while True:
            try:
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._asked.wait()
            except TimeoutError:
                pass
            self._asked.clear()
            self.look(datetime.now(UTC))

    def look(self, now: datetime) -> bool:
        """Renew the CA if it is time. Says whether another is used now; what fails is logged once, and tried again."""
        try:
            self._ensure(now)
            found = self._authority.read_bytes()
            if found == self._used:
                return False
            self._take()
        except (CAError, OSError, ValueError) as error:
            self._say(f"the CA was not renewed: {error}")
            return False
        went_on = certificates.same_key(self._used, found)
        self._used, self._said = found, ""
        told = "" if went_on else "; it is another one: agents go on when they trust its ca-cert.pem"
        logger.warning("%s: certificates are signed by the CA that is there now%s", self._authority, told)
        return True

    def _say(self, text: str) -> None:
        if text != self._said:
            logger.error("%s", text)
            self._said = text
