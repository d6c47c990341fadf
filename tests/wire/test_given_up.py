"""An answer that begins to stream just when a sidecar gives up: its head is being recorded, and nobody sends it yet."""

from __future__ import annotations

import pytest

from ledger.records import Record, Status
from ledger_proxy.recording import BrokenOff, Recording
from ledger_proxy.sending import STOPPED, Live, Sender
from ledger_proxy.upstream import Streamed
from ledger_rules import loads

RULE = 'rules: [{name: a, match: {url: "https://api.example.com/**"}}]'


class Body:
    """An answer's body, of which nothing is to be waited for."""

    closed = False

    async def read(self) -> bytes:
        pytest.fail("what was given up is read")

    def close(self) -> None:
        self.closed = True


async def test_its_rest_is_not_waited_for_and_its_outcome_is_unknown() -> None:
    async def holds(_: Record) -> bool:
        return True

    sender = Sender(upstream=None, max_stored=100, confirm=holds)  # type: ignore[arg-type] - nothing is sent
    body = Body()
    answer = Streamed(200, "OK", [], body)
    live = Live(loads(RULE).rules[0], Record(id="aa", tool="a"), answer, Recording(body, 100))
    sender.give_up()
    outcome = await sender.follow(live)
    assert (outcome.status, outcome.error) == (Status.UNKNOWN, STOPPED)
    with pytest.raises(BrokenOff):
        await live.recording.read()
    assert body.closed
