"""A copy taken while agents are at work is a whole ledger: what it knows is answered, and nothing of it is repeated."""

from __future__ import annotations

import contextlib
import itertools
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

from tests.upstream import Upstream
from tests.wire.sidecars import RULES, Sidecar, ledger, running

AGENTS = 4


@contextlib.contextmanager
def busy(sidecar: Sidecar) -> Iterator[None]:
    """Agents that charge as fast as they can, each charge another one."""
    numbers, over = itertools.count(), threading.Event()

    def charge() -> None:
        with sidecar.client() as client:
            while not over.is_set():
                client.post("https://api.stripe.com/ok/charges", json={"n": next(numbers)})

    agents = [threading.Thread(target=charge) for _ in range(AGENTS)]
    for agent in agents:
        agent.start()
    try:
        yield
    finally:
        over.set()
        for agent in agents:
            agent.join()


def test_a_copy_taken_under_load_is_whole_and_can_take_over(tmp_path: Path, upstream: Upstream) -> None:
    copies = [tmp_path / f"copy-{n}.db" for n in range(3)]
    with running(tmp_path / "s", upstream) as sidecar, busy(sidecar):
        for wanted, copy in enumerate(copies, start=1):
            upstream.wait_for(lambda u, least=60 * wanted: len(u.effects()) >= least, timeout=30)
            said = ledger("backup", copy, "--db", sidecar.db)
            assert said.returncode == 0, said.stderr
    for copy in copies:
        with contextlib.closing(sqlite3.connect(copy)) as opened:
            assert opened.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            assert opened.execute("SELECT count(*) FROM records").fetchone()[0] >= 60
    happened = len(upstream.effects())
    with running(tmp_path / "restored", upstream, RULES, "--db", copies[0]) as back:
        told = [back.post("/ok/charges", {"n": n}).headers["ledger-outcome"] for n in range(30)]
    assert set(told) == {"replayed"}
    assert len(upstream.effects()) == happened
