"""What lies between a sidecar and an origin, and breaks: bytes pass unread, until it is time for the fault."""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

NEVER = 1 << 60


@dataclass
class Line:
    """Listens, and passes on to `to`. how: the fault, None for none at all; it comes when so many bytes have passed up
    or down, or when it is told to.
    """

    to: int
    listening: socket.socket
    how: str | None = None
    up: int = NEVER
    down: int = NEVER
    now: threading.Event = field(default_factory=threading.Event)
    over: threading.Event = field(default_factory=threading.Event)
    carrying: set[threading.Thread] = field(default_factory=set)

    @property
    def port(self) -> int:
        return int(self.listening.getsockname()[1])

    def breaks(self, how: str | None, *, up: int = NEVER, down: int = NEVER) -> None:
        """From the next connection on; those that are open end."""
        self.over.set()
        for thread in list(self.carrying):
            thread.join()
        self.carrying.clear()
        for event in (self.over, self.now):
            event.clear()
        self.how, self.up, self.down = how, up, down

    def serve(self) -> None:
        while True:
            try:
                client, _ = self.listening.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._carry, args=(client,), daemon=True)
            self.carrying.add(thread)
            thread.start()

    def _carry(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.to)) as server:
            left = {client: self.up, server: self.down}
            others = {client: server, server: client}
            while not self._due(left):
                if self.over.is_set():
                    return
                for one in select.select([client, server], [], [], 0.02)[0]:
                    data = one.recv(min(65_536, left[one] or 1))
                    if not data:
                        return
                    others[one].sendall(data)
                    left[one] -= len(data)
            self._fault(client, server)

    def _due(self, left: dict[socket.socket, int]) -> bool:
        return self.how is not None and (self.now.is_set() or min(left.values()) <= 0)

    def _fault(self, client: socket.socket, server: socket.socket) -> None:
        if self.how == "reset":
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif self.how == "stall":
            self.over.wait()
        elif self.how == "half-close":
            client.shutdown(socket.SHUT_WR)
            while data := client.recv(65_536):
                server.sendall(data)


@contextlib.contextmanager
def line(to: int) -> Iterator[Line]:
    """One for the length of a `with` block."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        made = Line(to, listening)
        threading.Thread(target=made.serve, daemon=True).start()
        try:
            yield made
        finally:
            made.over.set()
            listening.shutdown(socket.SHUT_RDWR)
