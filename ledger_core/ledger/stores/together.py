"""Group commit for threads: one of those who wait writes for all of them, in one transaction. Knows no SQL.

Who finds nobody leading leads: it has everything written that waits, calls the next leader, and wakes its own batch.
Each thread sleeps on a lock of its own, so that nobody whose write is done stands in the way of the next leader, and
batches grow to the number of threads that write.
"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Sequence

from ledger.stores import within
from ledger.stores.engine import Op, Write

GATHER_SECONDS = 0.0001
"""A leader waits for those who wrote with the last one, but goes ahead when nobody came for so long: many a disk syncs
faster than threads come again."""
LOOK_AGAIN_SECONDS = 1.0
"""A sleeper looks for itself after so long, should Ctrl-C have swallowed the call that was meant for it."""
_LEADS = "leads"


class Ticket(Write):
    """One write of a thread that sleeps until it is done, or until it is called to lead."""

    __slots__ = ("_asleep",)

    def __init__(self, op: Op) -> None:
        super().__init__(op)
        self._asleep = threading.Lock()
        self._asleep.acquire()

    def sleep(self, seconds: float = LOOK_AGAIN_SECONDS) -> None:
        """Until it is woken, or for so long."""
        self._asleep.acquire(timeout=seconds)

    def wake(self) -> None:
        """To wake it twice is to wake it once."""
        try:  # noqa: SIM105 - a thread wakes many, and contextlib.suppress takes ten times as long
            self._asleep.release()
        except RuntimeError:
            pass


class Together:
    """The writes of many threads; safe for them."""

    def __init__(self, commit: Callable[[Sequence[Write]], None]) -> None:
        """commit: see `engine.commit`; called by one thread at a time. A write without `done` was not written."""
        self._commit = commit
        self._waiting: deque[Ticket] = deque()
        """In the order they came, each until it is written or its thread has left: so that no Ctrl-C can lose one."""
        self._seat: dict[str, Write] = {}
        """Who leads. A dict, whose `setdefault` gives the seat to one of any number of threads."""
        self._crowd = 1
        """How many wrote with the last leader or came while it did."""
        self._gathering: Ticket | None = None
        """A leader that waits for the crowd."""

    def __len__(self) -> int:
        """How many writes of those who sleep are not written yet."""
        return len(self._waiting)

    def write(self, op: Op) -> int:
        """Have it written, together with whatever waits. Raises what it failed with.

        After a KeyboardInterrupt it was written or will not be.
        """
        if self._crowd == 1 and not self._waiting:
            # While nobody else writes, and nobody wrote with the last leader, there is no crowd to gather.
            write = Write(op)
            try:
                try:
                    if self._seat.setdefault(_LEADS, write) is write:
                        self._commit((write,))
                        return write.result()
                finally:
                    if self._seat.get(_LEADS) is write:
                        self._crowd = 1 + len(self._waiting)
                        self._leave_the_seat()
            finally:
                # Ctrl-C may come in a `finally` as well.
                if self._seat.get(_LEADS) is write:
                    self._leave_the_seat()
        return self._write_with_others(op)

    def _write_with_others(self, op: Op) -> int:
        ticket = Ticket(op)
        try:
            self._waiting.append(ticket)
            gathering = self._gathering
            if gathering is not None and len(self._waiting) >= self._crowd:
                gathering.wake()
            while ticket.done is None:
                if self._seat.setdefault(_LEADS, ticket) is ticket:
                    self._lead(ticket)
                else:
                    self._refuse_within(ticket)
                    ticket.sleep()
        finally:
            if ticket.done is None or self._seat.get(_LEADS) is ticket:
                self._leave(ticket)
        return ticket.result()

    def _refuse_within(self, ticket: Ticket) -> None:
        """A thread that was interrupted amid a write cannot lead, and would wait for itself for ever."""
        leader = self._seat.get(_LEADS)
        if leader is not None and leader.thread == ticket.thread:
            raise within.refused()

    def _lead(self, ticket: Ticket) -> None:
        batch: list[Ticket] = []
        try:
            if ticket.done is None:
                self._gather(ticket)
                batch = [found for found in self._waiting.copy() if found.done is None]
                self._commit(batch)
        finally:
            # Whoever broke it off, by Ctrl-C, took only its own write back: the next leader writes the others.
            for found in self._waiting.copy():
                if found.done is not None:
                    self._forget(found)
            self._crowd = max(1, len(batch) + len(self._waiting))
            self._leave(ticket)
            for written in batch:
                if written is not ticket:
                    written.wake()

    def _gather(self, ticket: Ticket) -> None:
        """Until the crowd is here, or nobody came for a while."""
        self._gathering = ticket
        try:
            seen = 0
            while seen < len(self._waiting) < self._crowd:
                seen = len(self._waiting)
                ticket.sleep(GATHER_SECONDS)
        finally:
            self._gathering = None

    def _leave(self, ticket: Ticket) -> None:
        """Nobody waits for it any more; if it led, or was called to, another one is called."""
        if ticket.done is None:
            self._forget(ticket)
        if self._seat.get(_LEADS) is ticket:
            self._leave_the_seat()
        elif not self._seat:
            self._call_next()

    def _forget(self, ticket: Ticket) -> None:
        """In one step, and this one only: who waits beside it must not be lost. Its thread, and a leader, may both."""
        with contextlib.suppress(ValueError):
            self._waiting.remove(ticket)

    def _leave_the_seat(self) -> None:
        del self._seat[_LEADS]
        if self._waiting:
            self._call_next()

    def _call_next(self) -> None:
        following = next((ticket for ticket in self._waiting.copy() if ticket.done is None), None)
        if following is not None:
            following.wake()
