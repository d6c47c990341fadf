"""Threads share commits: few of them, every one told the truth, also when Ctrl-C breaks off the one that leads."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from ledger import SqliteStore, clock
from ledger.lifecycle import Change, Claimant, first_claim
from ledger.records import Record
from ledger.stores import files
from ledger.stores.engine import Probe, Write
from ledger.stores.together import Ticket, Together


def claim(id: str, **fields: Any) -> Change:
    return first_claim(Record(id=id, tool="charge", **fields), Claimant("me"), clock.now())


class Told:
    """Threads that each write one thing, and what each of them heard."""

    def __init__(self, write: Callable[[str], object]) -> None:
        self._write = write
        self.heard: dict[str, object] = {}
        self._threads: list[threading.Thread] = []

    def start(self, *names: str) -> None:
        for name in names:
            self._threads.append(threading.Thread(target=self._work, args=(name,)))
            self._threads[-1].start()

    def join(self) -> dict[str, object]:
        for thread in self._threads:
            thread.join()
        return self.heard

    def _work(self, name: str) -> None:
        try:
            self.heard[name] = self._write(name)
        except BaseException as error:
            self.heard[name] = type(error).__name__


class Interrupted(files.Connection):
    """A connection whose thread gets Ctrl-C once: at the first statement of which `at` is true, before or after it."""

    at: Callable[..., bool] | None = None
    before = False

    def execute(self, sql: str, *values: Any) -> Any:
        at = Interrupted.at
        if at is None or not at(sql, *values):
            return super().execute(sql, *values)
        Interrupted.at = None
        if not Interrupted.before:
            super().execute(sql, *values)
        raise KeyboardInterrupt


@pytest.fixture
def interrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SqliteStore]:
    """A store whose connection is an `Interrupted`."""
    monkeypatch.setattr(files, "Connection", Interrupted)
    monkeypatch.setattr(Interrupted, "at", None)
    monkeypatch.setattr(Interrupted, "before", False)
    store = SqliteStore(tmp_path / "ledger.db")
    yield store
    store.close()


def writes_many(sql: str, *_: object) -> bool:
    return sql.startswith("INSERT INTO written") and "), (" in sql


def writes_one(sql: str, *_: object) -> bool:
    return sql.startswith("INSERT INTO written") and "), (" not in sql


def forgets_refusals(sql: str, *_: object) -> bool:
    return sql.startswith("DELETE FROM missed")


@pytest.mark.parametrize("when", ["before", "after"])
def test_who_waits_for_an_interrupted_leader_hears_what_really_happened(interrupted: SqliteStore, when: str) -> None:
    store = interrupted
    told = Told(lambda id: store.insert(claim(id)))
    names = {f"{n:04x}" for n in range(8)}
    with store._writing:
        told.start(*names)
        while len(store._writes) < len(names) - 1:  # one of them leads already
            time.sleep(0.001)
        Interrupted.at, Interrupted.before = writes_many, when == "before"
    heard = told.join()
    [leader] = [name for name, said in heard.items() if said == "KeyboardInterrupt"]
    assert {name for name, said in heard.items() if said is True} == names - {leader}
    kept = {record.id for record in store.all()}
    assert kept == names if when == "after" else kept == names - {leader}
    assert store.insert(claim("ffff")), "the ledger is still led"


def start_in_turn(store: SqliteStore, told: Told, first: str, *others: str) -> None:
    """The first leads and waits for the file, which the caller gives free; the others wait for it in this order."""
    store._writing.acquire()
    told.start(first)
    while not store._writes._seat:
        time.sleep(0.001)
    for waiting, name in enumerate(others, start=1):
        told.start(name)
        while len(store._writes) < waiting:
            time.sleep(0.001)


def test_who_was_refused_beside_an_interrupted_leader_is_not_told_that_it_won(interrupted: SqliteStore) -> None:
    store = interrupted
    assert store.insert(claim("taken"))
    assert not store.insert(claim("taken")), "one that was refused before, alone"
    told = Told(lambda id: store.insert(claim(id)))
    start_in_turn(store, told, "first", "leader", "taken")
    Interrupted.at = forgets_refusals
    store._writing.release()
    assert told.join() == {"first": True, "leader": "KeyboardInterrupt", "taken": False}


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_claim_alone_that_is_broken_off_is_whole_or_not_there(interrupted: SqliteStore, when: str) -> None:
    store = interrupted
    Interrupted.at, Interrupted.before = writes_one, when == "before"
    with pytest.raises(KeyboardInterrupt):
        store.insert(claim("aa"))
    assert [(r.id, r.attempts) for r in store.all()] == ([("aa", 1)] if when == "after" else [])
    assert len(store.events()) == (when == "after")
    assert store.insert(claim("bb")), "the ledger is still led"


def test_who_is_written_alone_by_a_leader_that_is_interrupted_hears_that_it_won(interrupted: SqliteStore) -> None:
    """One of a batch cannot be written, so the leader tries each alone, and is interrupted amid it."""
    store = interrupted
    told = Told(lambda id: store.insert(claim(id, note="\ud800" if id == "odd" else None)))
    start_in_turn(store, told, "first", "leader", "odd", "follower", "last")
    Interrupted.at = lambda sql, *values: writes_one(sql) and "follower" in values[0]
    store._writing.release()
    heard = told.join()
    assert heard == {
        "first": True, "leader": "KeyboardInterrupt", "odd": "StoreUnavailable", "follower": True, "last": True,
    }  # fmt: skip
    assert {record.id for record in store.all()} == {"first", "leader", "follower", "last"}


class InterruptedLeaving(dict[str, Write]):
    """A seat whose holder gets Ctrl-C when it is about to leave."""

    armed = True

    def get(self, key: str, default: Any = None) -> Any:
        if self and self.armed:
            self.armed = False
            raise KeyboardInterrupt
        return super().get(key, default)


def test_one_that_is_interrupted_while_it_leaves_the_seat_leaves_it() -> None:
    def commit(tickets: Sequence[Write]) -> None:
        for ticket in tickets:
            ticket.done = 1

    writes = Together(commit)
    writes._seat = InterruptedLeaving()
    with pytest.raises(KeyboardInterrupt):
        writes.write(Probe(0))
    assert not writes._seat
    assert writes.write(Probe(0)) == 1


def test_threads_share_commits_until_a_batch_holds_all_of_them() -> None:
    batches: list[int] = []

    def commit(tickets: Sequence[Write]) -> None:
        batches.append(len(tickets))
        time.sleep(0.01)
        for ticket in tickets:
            ticket.done = 1

    writes = Together(commit)
    told = Told(lambda _: sum(writes.write(Probe(0)) for _ in range(20)))
    told.start(*map(str, range(32)))
    assert set(told.join().values()) == {20}
    assert sum(batches) == 32 * 20
    assert len(batches) <= 32 * 20 / 8


def test_a_waiter_that_leaves_takes_its_write_back_and_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[float] = []
    busy = threading.Lock()

    def commit(tickets: Sequence[Write]) -> None:
        with busy:
            for ticket in tickets:
                assert isinstance(ticket.op, Probe)
                written.append(ticket.op.at)
                ticket.done = 1

    def sleep(ticket: Ticket, *seconds: float) -> None:
        slept(ticket, *seconds)
        if ticket.op == Probe(2.0):
            raise KeyboardInterrupt

    slept = Ticket.sleep
    monkeypatch.setattr(Ticket, "sleep", sleep)
    writes = Together(commit)
    told = Told(lambda name: writes.write(Probe(float(name))))
    with busy:
        told.start("1")
        while not writes._seat or len(writes):
            time.sleep(0.001)
        # The second is called to lead after the first, and is interrupted at that very moment.
        for waiting, name in enumerate("234", start=1):
            told.start(name)
            while len(writes) < waiting:
                time.sleep(0.001)
    assert told.join() == {"1": 1, "2": "KeyboardInterrupt", "3": 1, "4": 1}
    assert sorted(written) == [1.0, 3.0, 4.0]
