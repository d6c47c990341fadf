"""What a ledger forgets by itself, and what never."""

from __future__ import annotations

import sqlite3
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ledger import Guard, _Mem, lifecycle
from ledger.lifecycle import Trigger
from ledger.ports import Query
from ledger.records import EventType, Instant, Record, Result, Status
from ledger.stores.purging import EXAMINED
from ledger.stores.schema import MIGRATIONS
from ledger.stores.sqlite import SqliteStore
from tests.core.bare import DictStore
from tests.core.world import AwaitedStore, again, at, claimed, done, draft, failed, lost, put_through

HOUR, DAY = 3600.0, 86_400.0


@pytest.fixture(params=["sqlite", "async-sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SqliteStore | AwaitedStore]:
    path = tmp_path / "ledger.db"
    opened = SqliteStore(path) if request.param == "sqlite" else AwaitedStore(path)
    yield opened
    opened.close()


def tidy(store: SqliteStore | AwaitedStore, now: Instant) -> None:
    """Three rounds of a short ledger."""
    for _ in range(3):
        store.tidy(now)


def ids(store: SqliteStore | AwaitedStore) -> list[str]:
    return sorted(r.id for r in store.page(Query()))


class TestResults:
    def test_a_result_is_kept_for_its_window(self, store: SqliteStore | AwaitedStore) -> None:
        put_through(store, done(claimed(store, draft("a1", window=HOUR))))
        put_through(store, done(claimed(store, draft("b2", window=None))))
        tidy(store, at(HOUR))
        assert store.get("a1").result == Result({"n": 1}, b"ok")  # type: ignore[union-attr]
        tidy(store, at(HOUR + 2))
        assert store.get("a1").result is None  # type: ignore[union-attr]
        tidy(store, at(1000 * DAY))
        assert store.get("b2").result == Result({"n": 1}, b"ok"), "it answers for ever"  # type: ignore[union-attr]

    def test_the_window_begins_anew_with_each_success(self, store: SqliteStore | AwaitedStore) -> None:
        success = put_through(store, done(claimed(store, draft(window=HOUR))))
        running = put_through(store, again(success, Trigger.REPEAT, now=at(2 * HOUR)))
        put_through(store, done(running, b"second", now=at(2 * HOUR)))
        tidy(store, at(2.5 * HOUR))
        assert store.get("a1").result.body == b"second"  # type: ignore[union-attr]


class TestRecords:
    def test_ninety_days_and_never_what_may_have_happened(self, store: SqliteStore | AwaitedStore) -> None:
        claimed(store, draft("running"))
        put_through(store, lost(claimed(store, draft("unknown"))))
        put_through(store, failed(claimed(store, draft("failed"))))
        put_through(store, done(claimed(store, draft("over", window=HOUR))))
        put_through(store, done(claimed(store, draft("long", window=200 * DAY))))
        put_through(store, done(claimed(store, draft("for ever", window=None))))
        everything = ids(store)
        tidy(store, at(90 * DAY))
        assert ids(store) == everything
        tidy(store, at(91 * DAY))
        assert ids(store) == ["for ever", "long", "running", "unknown"]
        tidy(store, at(201 * DAY))
        assert ids(store) == ["for ever", "running", "unknown"]

    def test_the_sums_and_the_journal_say_so(self, store: SqliteStore | AwaitedStore) -> None:
        put_through(store, failed(claimed(store)))
        tidy(store, at(91 * DAY))
        assert store.stats(Query())["attempts"] == 0
        assert store.stats(Query(since=at(0).wall))["failed"] == 1, "what happened, happened"
        [cleared] = [e for e in store.events() if e.event is EventType.CLEARED]
        assert cleared.detail == {"why": "its time was over"}

    def test_a_clock_that_jumps_ahead_forgets_nothing(self, store: SqliteStore | AwaitedStore) -> None:
        put_through(store, done(claimed(store, draft("a1", window=HOUR))))
        put_through(store, failed(claimed(store, draft("b2"))))
        tidy(store, at(60, jump=365 * DAY))
        assert ids(store) == ["a1", "b2"]
        assert store.get("a1").result is not None  # type: ignore[union-attr]


def test_lines_go_with_their_records(store: SqliteStore | AwaitedStore) -> None:
    put_through(store, failed(claimed(store, draft("a1"))))
    put_through(store, lost(claimed(store, draft("b2"))))
    tidy(store, at(91 * DAY))
    assert {e.record for e in store.events()} == {"a1", "b2"}, "the line that says it went is new"
    tidy(store, at(200 * DAY))
    assert {e.record for e in store.events()} == {"b2"}


def test_one_sweep_does_a_bounded_part_and_the_next_goes_on(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "ledger.db", durability="normal")
    for n in range(2 * EXAMINED + 10):
        record = draft(f"{n:04x}", status=Status.FAILED, attempts=1, failed=1, touched=at(0), created=at(n))
        store.put(record)
    left = []
    for _ in range(3):
        store.tidy(at(91 * DAY))
        left.append(store.stats(Query())["actions"])
    assert left == [EXAMINED + 10, 10, 0]
    store.close()


def made_by_version_1(path: Path) -> None:
    """As the first released schema wrote it: one success with its result, one unknown."""
    db = sqlite3.connect(path)
    for statement in filter(str.strip, MIGRATIONS[0].split(";")):
        db.execute(statement)
    db.execute("PRAGMA user_version = 1")
    db.execute("PRAGMA application_id = 0x4C646772")
    columns = (
        "id, kind, tool, wf, payload, version, status, owner, epoch, generation, lease, spent, resent, released, "
        "created, touched, touched_mono, touched_boot, began, began_mono, began_boot, about, content_id, "
        "attempts, runs, failed, unknown, replayed, refused, held, conflicts"
    )
    for id, status, runs, unknown in (("a1", "success", 1, 0), ("b2", "unknown", 0, 1)):
        times = (5.0, 6.0, 1.0, "b", 5.0, 1.0, "b")
        values = (id, "call", "charge", "w", "", 1, status, "me", 1, 1, 30.0, 1, 0, 0, *times,
                  "{}", f"content of {id}", 3, runs, 0, unknown, 2, 0, 0, 0)  # fmt: skip
        db.execute(f"INSERT INTO records ({columns}) VALUES ({', '.join('?' * len(values))})", values)
        db.execute(
            "INSERT INTO events (at, event, record, tool, wf, detail) VALUES (5, 'claimed', ?, 'charge', 'w', '{}')",
            (id,),
        )
    db.execute("INSERT INTO results VALUES ('a1', 1, '{\"n\":1}', X'6f6b')")
    db.commit()
    db.close()


class TestMigration:
    @pytest.fixture
    def migrated(self, tmp_path: Path) -> Iterator[SqliteStore]:
        made_by_version_1(tmp_path / "ledger.db")
        store = SqliteStore(tmp_path / "ledger.db")
        yield store
        store.close()

    def test_records_and_results_are_there(self, migrated: SqliteStore) -> None:
        assert migrated.get("a1").result == Result({"n": 1}, b"ok")  # type: ignore[union-attr]
        assert [r.id for r in migrated.page(Query())] == ["b2", "a1"]
        assert [r.id for r in migrated.page(Query(status=Status.UNKNOWN))] == ["b2"]
        assert [e.event.value for e in migrated.timeline("a1")] == ["claimed"]

    def test_the_sums_are_theirs(self, migrated: SqliteStore) -> None:
        for _ in range(2):
            told = migrated.stats(Query(wf="w"))
            assert (told["actions"], told["attempts"], told["executed"], told["replayed"]) == (2, 6, 1, 4)
            migrated.file()

    def test_what_was_open_still_refuses_its_content(self, migrated: SqliteStore) -> None:
        other: Record = draft("c3", content_id="content of b2")
        assert not migrated.insert(lifecycle.first_claim(other, lifecycle.Claimant("x"), at(9)))
        assert migrated.look(other).id == "b2"  # type: ignore[union-attr]


@pytest.mark.parametrize("made", [_Mem, DictStore])
def test_a_result_that_was_cleared_is_nowhere_in_memory_any_more(made: Callable[[], object]) -> None:
    guard = Guard(store=made()).quiet()
    tracemalloc.start()
    try:
        for number in range(5):
            assert guard(lambda n: "x" * 1_000_000 + str(n), number, key=str(number))
        guard.reset()
        assert guard.stats()["actions"] == 0
        assert tracemalloc.get_traced_memory()[0] < 1_000_000
    finally:
        tracemalloc.stop()
        guard.close()
