"""An open dashboard never keeps the log of a busy ledger from being reset, however slow who looks at it is."""

from __future__ import annotations

import contextlib
import socket
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from ledger.stores.sqlite_view import SqliteView
from tests.console.conftest import Agent
from tests.dashboard import browsers
from tests.dashboard.browsers import Dashboard

PAGES = ("/", "/operations?q=nothing", "/operations?order=attempts", "/operations/aa", "/workflow?wf=default")
LONGEST = 1.0
"""Seconds a reader may keep the log: what the dashboard promises."""


@contextlib.contextmanager
def asked(shown: Dashboard, path: str) -> Iterator[socket.socket]:
    """A browser that asks for something and reads none of the answer; its buffer is small."""
    at = urlsplit(shown.address)
    with socket.socket() as one, socket.socket() as other:
        other.connect(("127.0.0.1", at.port))
        other.sendall(f"GET /?{at.query} HTTP/1.1\r\nHost: localhost:{at.port}\r\n\r\n".encode())
        given = other.recv(65536).decode().partition("Set-Cookie: ")[2].partition(";")[0]
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        one.connect(("127.0.0.1", at.port))
        one.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost:{at.port}\r\nCookie: {given}\r\n\r\n".encode())
        yield one


def is_reset(path: Path) -> bool:
    """Whether a writer can start the log anew: SQLite waits for readers that still need it, for LONGEST."""
    with contextlib.closing(sqlite3.connect(path, timeout=LONGEST, isolation_level=None)) as writer:
        busy, _, _ = writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    return not busy and path.with_name(f"{path.name}-wal").stat().st_size == 0


def test_while_a_slow_browser_has_a_stream_and_pages_open(agent: Agent) -> None:
    agent.ask("aa", times=20)
    with browsers.dashboard(agent.path) as shown, contextlib.ExitStack() as slow:
        stream = slow.enter_context(asked(shown, "/events"))
        said = b""
        while b"event: state" not in said:
            said += stream.recv(4096)
        for page in PAGES:
            slow.enter_context(asked(shown, page))
        for number in range(10):
            # More than the buffers of both sides hold: the stream stands still while it owes lines.
            agent.ask(f"{number:04x}{'long' * 50}", times=300)
            assert is_reset(agent.path), number


def test_a_reader_that_lasts_would_be_noticed(agent: Agent) -> None:
    agent.ask("aa")
    with contextlib.closing(SqliteView(agent.path, seconds=60)) as view, view._reading() as db:
        db.execute("SELECT count(*) FROM events").fetchone()
        agent.ask("bb")
        began = time.monotonic()
        assert not is_reset(agent.path)
        assert time.monotonic() - began >= LONGEST
    assert is_reset(agent.path)
