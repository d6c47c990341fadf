"""What befalls a sidecar amid a tunnel's transfer: what arrived is what was sent, and its end is one for both sides."""

from __future__ import annotations

import contextlib
import signal
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from tests.wire.raw import Origin, recorder, wait_until
from tests.wire.sidecars import Sidecar, running_for
from tests.wire.test_tunnels import PATIENCE, RULES, World, exactly

BLOCK = 65_536
MORE = 64
"""Blocks that pass each way before something happens, and after it where it changes nothing."""
NAMING = 'rules: [{name: late, match: {method: POST, url: "https://free.test:9/**"}}]'


@dataclass
class Pouring:
    """Blocks that are told apart, sent one after the other until it is enough; and those of the other end, in order."""

    raw: socket.socket
    enough: threading.Event
    sent: int = 0
    came: int = 0
    whole: bool = False
    """Whether the other end said that these are all."""

    def send(self) -> None:
        with contextlib.suppress(ConnectionError):
            while not self.enough.is_set():
                self.raw.sendall(_block(self.sent))
                self.sent += 1
            self.raw.sendall(b"that is all")
            self.raw.shutdown(socket.SHUT_WR)

    def take(self) -> None:
        got = b""
        with contextlib.suppress(ConnectionError):
            while more := self.raw.recv(1 << 20):
                got += more
                while len(got) >= BLOCK:
                    assert got[:BLOCK] == _block(self.came), f"block {self.came} is not the next"
                    got, self.came = got[BLOCK:], self.came + 1
        self.whole = got == b"that is all"
        assert self.whole or _block(self.came).startswith(got)


@dataclass(frozen=True)
class Transfer:
    """A tunnel with both ends pouring."""

    ends: tuple[Pouring, Pouring]
    enough: threading.Event
    tasks: list[Future[None]]

    def go_on(self) -> None:
        """Both ways, for a while."""
        wanted = [end.came + MORE for end in self.ends]
        wait_until(lambda: all(end.came >= n for end, n in zip(self.ends, wanted, strict=True)) or self._failed())
        assert not self._failed()

    def over(self) -> None:
        """Both ends have heard of its end, without being told to stop."""
        for task in self.tasks:
            task.result(PATIENCE)

    def _failed(self) -> bool:
        return any(task.done() for task in self.tasks)


def _block(number: int) -> bytes:
    return number.to_bytes(8) * (BLOCK // 8)


@contextlib.contextmanager
def pouring(sidecar: Sidecar, listening: socket.socket) -> Iterator[Transfer]:
    """A transfer that goes on for the block; its ends stop with it."""
    enough = threading.Event()
    with contextlib.ExitStack() as stack:
        client = stack.enter_context(World(sidecar, listening, "regular").asking())
        server = stack.enter_context(listening.accept()[0])
        ends = Pouring(client, enough), Pouring(server, enough)
        pool = stack.enter_context(ThreadPoolExecutor(4))
        for end in ends:
            end.raw.settimeout(PATIENCE)
        tasks = [pool.submit(work) for end in ends for work in (end.send, end.take)]
        stack.callback(enough.set)
        transfer = Transfer(ends, enough, tasks)
        transfer.go_on()
        yield transfer


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as made:
        made.settimeout(PATIENCE)
        yield made


@pytest.fixture
def origin(tmp_path: Path) -> Iterator[Origin]:
    with recorder(tmp_path / "origin") as made:
        yield made


@contextlib.contextmanager
def serving(folder: Path, origin: Origin, listening: socket.socket, workers: int) -> Iterator[Sidecar]:
    """The drain is longer than any test: only a second signal ends it."""
    more = ["--resolve", f"free.test:9:127.0.0.1:{listening.getsockname()[1]}", "--drain", "600"]
    with running_for(folder / "s", origin, RULES, *more, *(["--workers", workers] if workers else [])) as made:
        yield made


def refused(port: int) -> bool:
    with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port), PATIENCE):
        return False
    return True


def test_rules_that_come_to_name_its_host_change_nothing_of_it(
    tmp_path: Path, origin: Origin, listening: socket.socket
) -> None:
    with serving(tmp_path, origin, listening, 0) as sidecar:
        with pouring(sidecar, listening) as transfer:
            (sidecar.db.parent / "ledger.yaml").write_text(NAMING)
            sidecar.process.send_signal(signal.SIGHUP)
            assert sidecar.process.stderr is not None
            assert "rules reloaded" in sidecar.process.stderr.readline()
            transfer.go_on()
            transfer.enough.set()
            transfer.over()
        one, other = transfer.ends
        assert (one.whole, one.came, other.whole, other.came) == (True, other.sent, True, one.sent)
        sidecar.stop()


@pytest.mark.parametrize("workers", [0, 2])
def test_told_to_end_it_is_waited_for_and_told_twice_it_is_not(
    tmp_path: Path, origin: Origin, listening: socket.socket, workers: int
) -> None:
    with serving(tmp_path, origin, listening, workers) as sidecar, pouring(sidecar, listening) as transfer:
        sidecar.process.send_signal(signal.SIGTERM)
        wait_until(lambda: refused(sidecar.port))
        transfer.go_on()
        assert sidecar.stop() == 0  # the second
        transfer.over()
        assert not any(end.whole for end in transfer.ends), "neither is made to believe that these were all"


def test_a_worker_that_is_killed_amid_it_ends_it_for_both_and_another_serves(
    tmp_path: Path, origin: Origin, listening: socket.socket
) -> None:
    with serving(tmp_path, origin, listening, 2) as sidecar:
        with pouring(sidecar, listening) as transfer:
            carrying(sidecar, listening.getsockname()[1]).kill()
            transfer.over()
            assert not any(end.whole for end in transfer.ends)
        with World(sidecar, listening, "regular").tunnel(lambda client: client.sendall(exactly(client, 5))) as raw:
            raw.sendall(b"hello")
            assert exactly(raw, 5) == b"hello"
        assert sidecar.stop() == 0


def carrying(sidecar: Sidecar, port: int) -> psutil.Process:
    """The worker that is connected to that port."""
    workers = psutil.Process(sidecar.process.pid).children()
    (found,) = [one for one in workers if any(c.raddr and c.raddr[1] == port for c in one.net_connections("tcp"))]
    return found
