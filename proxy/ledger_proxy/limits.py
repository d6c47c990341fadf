"""How long and how many: what the front puts up with before it closes a connection. No I/O, no clock of its own."""

from __future__ import annotations

from collections.abc import Iterator

MAX_CONNECTIONS = 4096
"""Connections of agents at one time; one more is closed at once."""
HEAD_SECONDS = 10.0
"""From a connection, a tunnel in it, or the first byte of a later head, to the whole head of a request."""
BODY_SECONDS = 60.0
"""From a head to the whole of a body that is held in memory."""
SILENCE_SECONDS = 600
"""A connection on which nobody says anything, and no answer is awaited, is closed after so long."""
FRESH_IDLE = 2.0
"""How long an origin's connection may be idle and be used again: its FIN may be on the way to one that was idle for
longer, and then nobody knows what became of the request."""


class Patience:
    """Which connections owe something, and until when. Times are seconds on one steadily rising clock."""

    def __init__(self) -> None:
        self._until: dict[str, float] = {}

    def expect(self, client: str, until: float) -> None:
        """This client has until then to send what is wanted of it."""
        self._until[client] = until

    def begun(self, client: str, until: float) -> None:
        """It has begun to send it, and has until then, or as long as it had before: nobody gains time by dripping."""
        self._until.setdefault(client, until)

    def met(self, client: str) -> None:
        """It has sent it, or is gone."""
        self._until.pop(client, None)

    def over(self, now: float) -> Iterator[str]:
        """The clients whose time has run out."""
        return (client for client, until in list(self._until.items()) if until < now)
