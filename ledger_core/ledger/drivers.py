"""Two dumb drivers: they do each step's I/O through a port and decide nothing.

Only asynchronous calls stream: `aopen` stops where the caller has the head of its answer, `arun` goes on to the end.
"""

from __future__ import annotations

from typing import Protocol, assert_never

from ledger.lifecycle import Change
from ledger.records import Event, Instant, Record
from ledger.steps import (
    Announce,
    Claim,
    Execute,
    Finish,
    Follow,
    Look,
    Opened,
    Outcome,
    Overtaken,
    Reply,
    Seen,
    Step,
    Swap,
    Verdict,
    Verify,
    Wait,
    Written,
)


class Port(Protocol):
    """The world of one synchronous call."""

    def now(self) -> Instant: ...
    def claim(self, change: Change) -> bool: ...
    def look(self, record: Record) -> Seen | None: ...
    def swap(self, change: Change) -> bool: ...
    def wait(self, record: Record, seconds: float) -> bool: ...
    def verify(self, record: Record) -> Verdict: ...
    def execute(self, record: Record) -> Outcome: ...
    def finish(self, step: Finish) -> Written: ...
    def note(self, event: Event) -> None: ...


class AsyncPort(Protocol):
    """The world of one asynchronous call; `now` and `note` never wait."""

    def now(self) -> Instant: ...
    async def claim(self, change: Change) -> bool: ...
    async def look(self, record: Record) -> Seen | None: ...
    async def swap(self, change: Change) -> bool: ...
    async def wait(self, record: Record, seconds: float) -> bool: ...
    async def verify(self, record: Record) -> Verdict: ...
    async def execute(self, record: Record) -> Outcome | Opened: ...
    async def announce(self, step: Announce) -> bool: ...
    async def follow(self, step: Follow) -> Outcome: ...
    async def finish(self, step: Finish) -> Written: ...
    def note(self, event: Event) -> None: ...


def run(step: Step, port: Port) -> Reply:  # noqa: PLR0912 - one branch for each step
    """Drive a call to its reply. Raises what the port raises: StoreUnavailable before anything was executed."""
    while True:
        match step:
            case Claim():
                step = step.next(port.claim(step.change))
            case Execute():
                step = step.next(port.execute(step.record), port.now())
            case Finish():
                step = step.next(port.finish(step))
            case Reply():
                if step.event is not None:
                    port.note(step.event)
                return step
            case Look():
                step = step.next(port.look(step.wanted), port.now())
            case Wait():
                step = step.next(port.wait(step.record, step.seconds), port.now())
            case Swap():
                step = step.next(port.swap(step.change))
            case Verify():
                step = step.next(port.verify(step.record), port.now())
            case Overtaken():
                step = step.next(port.look(step.record), port.now())
            case Announce() | Follow():
                raise TypeError("a synchronous call has no answer that streams")
            case _:
                assert_never(step)


async def arun(step: Step, port: AsyncPort) -> Reply:
    """As `run`, awaiting; from a `Follow` on, the rest of a call that `aopen` began."""
    while isinstance(opened := await aopen(step, port), Follow):
        step = opened.next(await port.follow(opened), port.now())
    return opened


async def aopen(step: Step, port: AsyncPort) -> Reply | Follow:  # noqa: PLR0912 - one branch for each step
    """Drive a call to its reply, or to where the head of a streamed answer is durable and may be passed on."""
    while True:
        match step:
            case Claim():
                step = step.next(await port.claim(step.change))
            case Look():
                step = step.next(await port.look(step.wanted), port.now())
            case Execute():
                step = step.next(await port.execute(step.record), port.now())
            case Announce():
                step = step.next(await port.announce(step))
            case Follow():
                return step
            case Finish():
                step = step.next(await port.finish(step))
            case Reply():
                if step.event is not None:
                    port.note(step.event)
                return step
            case Wait():
                step = step.next(await port.wait(step.record, step.seconds), port.now())
            case Swap():
                step = step.next(await port.swap(step.change))
            case Verify():
                step = step.next(await port.verify(step.record), port.now())
            case Overtaken():
                step = step.next(await port.look(step.record), port.now())
            case _:
                assert_never(step)
