"""Group commit for threads: one of those who wait writes for all of them, in one transaction. Knows no SQL.

Who finds nobody leading leads: it takes all writes that wait, has them written, wakes their threads, and calls one of
those who came meanwhile to lead next. Each thread sleeps on a lock of its own, so that nobody whose write is done
stands in the way of the next leader, and batches grow to the number of threads that write.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Sequence

from ledger.stores.engine import Op, Write

GATHER_SECONDS = 0.00005
"""A leader lets those who wrote with the last one catch up: many a disk syncs faster than threads come again."""
LOOK_AGAIN_SECONDS = 1.0
"""A sleeper looks for itself after so long, should Ctrl-C have swallowed the call that was meant for it."""


class Ticket(Write):
    """One write of a thread that sleeps until it is done, or until it is called to lead."""

    __slots__ = ("_asleep",)

    def __init__(self, op: Op) -> None:
        super().__init__(op)
        self._asleep = threading.Lock()
        self._asleep.acquire()

    def sleep(self) -> None:
        """Until it is woken, or for LOOK_AGAIN_SECONDS."""
        self._asleep.acquire(timeout=LOOK_AGAIN_SECONDS)

    def wake(self) -> None:
        """To wake it twice is to wake it once."""
        with contextlib.suppress(RuntimeError):
            self._asleep.release()


class Together:
    """The writes of many threads; safe for them."""

    def __init__(self, commit: Callable[[Sequence[Write]], None]) -> None:
        """commit: see `engine.commit`; called by one thread at a time. A write without `done` was not written."""
        self._commit = commit
        self._waiting: list[Ticket] = []
        self._leader: Write | None = None
        self._crowd = 1
        self._mutex = threading.Lock()

    def __len__(self) -> int:
        """How many writes wait for a leader."""
        return len(self._waiting)

    def write(self, op: Op) -> int:
        """Have it written, together with whatever waits. Raises what it failed with.

        After a KeyboardInterrupt it was written or will not be.
        """
        write = Write(op)
        try:
            if self._leads_alone(write):
                self._commit((write,))
                return write.result()
        finally:
            if self._leader is write:
                self._leave(write)
        return self._write_with_others(op)

    def _leads_alone(self, write: Write) -> bool:
        """While nobody else writes, and nobody wrote with the last leader, there is no crowd to gather."""
        with self._mutex:
            if self._leader is None and self._crowd == 1 and not self._waiting:
                self._leader = write
            return self._leader is write

    def _write_with_others(self, op: Op) -> int:
        ticket = Ticket(op)
        try:
            with self._mutex:
                self._waiting.append(ticket)
            while ticket.done is None:
                if self._leads(ticket):
                    self._lead()
                else:
                    ticket.sleep()
        finally:
            self._leave(ticket)
        return ticket.result()

    def _leads(self, ticket: Ticket) -> bool:
        with self._mutex:
            if self._leader is None and ticket.done is None:
                self._leader = ticket
            return self._leader is ticket

    def _lead(self) -> None:
        self._gather()
        batch: list[Ticket] = []
        try:
            with self._mutex:
                batch, self._waiting = self._waiting, []
            self._crowd = len(batch)
            self._commit(batch)
        finally:
            # Whoever broke it off, by Ctrl-C, took only its own write back: the next leader writes the others.
            unwritten = [ticket for ticket in batch if ticket.done is None]
            if unwritten:
                with self._mutex:
                    self._waiting[:0] = unwritten
            for ticket in batch:
                ticket.wake()

    def _gather(self) -> None:
        """As long as somebody came since the last look, and fewer are here than wrote together the last time."""
        seen = 0
        while seen < len(self._waiting) < self._crowd:
            seen = len(self._waiting)
            time.sleep(GATHER_SECONDS)

    def _leave(self, ticket: Write) -> None:
        """Nobody waits for it any more; if it led, or was called to, another one is called."""
        with self._mutex:
            if isinstance(ticket, Ticket) and ticket.done is None and ticket in self._waiting:
                self._waiting.remove(ticket)
            if self._leader is ticket:
                self._leader = None
            following = self._waiting[0] if self._waiting and self._leader is None else None
        if following is not None:
            following.wake()
