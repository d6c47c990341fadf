"""What is written together, or alone in one statement, comes to what it comes to one by one: every answer, row, sum
and journal line."""

from __future__ import annotations

import sqlite3
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger import Event, Result, lifecycle
from ledger.lifecycle import Claimant
from ledger.records import EventType, Instant, Record, Status
from ledger.stores import bulk, schema
from ledger.stores.engine import Append, Insert, Op, Put, Remove, Replace, Write, begin, commit, end
from ledger.stores.files import open_ledger
from ledger.stores.rows import COLUMNS, COUNTERS

NOW = Instant(100.0, 50.0, "boot")
STANDING = {
    f"{n:02x}": Record(id=f"{n:02x}", tool="charge", owner=f"owner {n}", epoch=1, touched=NOW) for n in range(6)
}


def ends(id: str, status: Status, result: bool = False, owner: str | None = None) -> Replace:
    was = STANDING[id].but(**({"owner": owner} if owner else {}))
    kept = Result({"codec": 1}, b'"kept"') if result else None
    return Replace(lifecycle.finish(was, status, NOW, result=kept, error=None if result else "declined"))


def claims(id: str, owner: str, content: str | None = None) -> Insert:
    record = Record(id=id, tool="mail", content_id=content, about={"args": {"to": id}})
    return Insert(lifecycle.first_claim(record, Claimant(owner), NOW))


def answers(*ids: str) -> Append:
    return Append([Event(EventType.BLOCKED, id, "charge", "default", 100.0, None, {"epoch": 1}) for id in ids])


def told(folder: Path, batches: list[list[Op]], plainly: bool = False) -> tuple[list[Any], dict[str, Any]]:
    """What each op came to, and what the ledger then holds; order of journal lines aside."""
    path = str(folder / "ledger.db")
    Path(path).unlink(missing_ok=True)
    db = open_ledger(path, "normal")
    commit(db, path, [Write(Put(record)) for record in STANDING.values()])
    done = []
    for batch in batches:
        writes = [Write(op) for op in batch]
        if plainly:
            [writes[0].done] = begin(db, path, batch)
            end(db, path)
        else:
            commit(db, path, writes)
        done += [bool(write.result()) for write in writes]
    lines = "SELECT at, event, record, tool, wf, caller, detail, actions, attempts, runs, failed, refused FROM events"
    held = {
        "records": sorted(db.execute(f"SELECT {', '.join(COLUMNS)} FROM records")),
        "results": sorted(db.execute("SELECT r.id, x.epoch, x.meta, x.body FROM results x JOIN records r USING (seq)")),
        "events": Counter(db.execute(lines)),
    }
    db.close()
    return done, held


OPS: list[Op] = [
    *(ends(id, Status.SUCCESS, result=True) for id in ("00", "01")),
    ends("02", Status.FAILED), ends("03", Status.UNKNOWN), ends("04", Status.SUCCESS, result=True, owner="overtaken"),
    *(claims(f"a{n}", f"me {n}") for n in range(7)), claims("a1", "another"), claims("00", "too late"),
    claims("b0", "me", "bytes"), claims("b1", "you", "bytes"),
    answers("05", "05", "04"), answers("05", "not there"),
]  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(ops=st.lists(st.sampled_from(OPS), min_size=1, unique_by=id))
def test_a_batch_comes_to_the_same_as_one_by_one(tmp_path_factory: pytest.TempPathFactory, ops: list[Op]) -> None:
    folder = tmp_path_factory.getbasetemp()
    ops.sort(key=lambda op: (isinstance(op, Append), isinstance(op, Insert), OPS.index(op)))
    one_by_one = told(folder, [[op] for op in ops], plainly=True)
    assert told(folder, [ops]) == one_by_one
    assert told(folder, [[op] for op in ops]) == one_by_one


KINDS = [*lifecycle.ANSWERED, EventType.RESOLVED]
"""What an attempt is answered with, and a line that counts nothing."""
LINES = st.lists(
    st.tuples(st.sampled_from(KINDS), st.sampled_from([*STANDING, "not there", "removed"])), min_size=1, max_size=90
)


@settings(max_examples=60, deadline=None)
@given(lines=LINES)
def test_the_sums_stay_those_of_the_records_whatever_was_answered(
    tmp_path_factory: pytest.TempPathFactory, lines: list[tuple[EventType, str]]
) -> None:
    """Of any kinds in any order, also of records that are gone; counted by hand, and the lines keep their order."""
    path = str(tmp_path_factory.getbasetemp() / "sums.db")
    Path(path).unlink(missing_ok=True)
    db = open_ledger(path, "normal")
    removed = Record(id="removed", tool="charge", attempts=3, runs=1, refused=2, touched=NOW, status=Status.SUCCESS)
    commit(db, path, [Write(Put(record)) for record in (*STANDING.values(), removed)])
    commit(db, path, [Write(Remove(["removed"], NOW, [Status.SUCCESS]))])
    before = db.execute("SELECT max(seq) FROM events").fetchone()[0]
    events = [Event(kind, id, "charge", "default", 100.0 + n, None, {"n": n}) for n, (kind, id) in enumerate(lines)]
    commit(db, path, [Write(Append(events))])

    held = {row[0]: row[1:] for row in db.execute(f"SELECT id, {', '.join(COUNTERS)} FROM records")}
    summed = db.execute(f"SELECT {', '.join(f'sum({name})' for name in ('actions', *COUNTERS))} FROM events").fetchone()
    order = [row[0] for row in db.execute("SELECT at FROM events WHERE seq > ? ORDER BY seq", (before,))]
    db.close()
    for id in STANDING:
        told = Counter(name for kind, of in lines if of == id for name in lifecycle.ANSWERED.get(kind, ()))
        assert dict(zip(COUNTERS, held[id], strict=True)) == {name: told[name] for name in COUNTERS}
    assert summed == (len(held), *map(sum, zip(*held.values(), strict=True)))
    assert order == [event.at for event in events]


def test_one_that_was_overtaken_costs_nobody_else_an_outcome(tmp_path: Path) -> None:
    batch: list[Op] = [ends(id, Status.SUCCESS, result=True) for id in ("00", "01", "02")]
    batch.insert(1, ends("03", Status.SUCCESS, owner="overtaken"))
    done, held = told(tmp_path, [batch])
    assert done == [True, False, True, True]
    assert [row[COLUMNS.index("status")] for row in held["records"]] == ["success"] * 3 + ["running"] * 3
    assert len(held["results"]) == 3


def test_of_two_claims_of_one_call_in_a_batch_one_wins(tmp_path: Path) -> None:
    done, held = told(tmp_path, [[claims("aa", "me"), claims("ab", "me too"), claims("aa", "you")]])
    assert done == [True, True, False]
    assert held["events"].total() == len(STANDING) + 2


def test_a_batch_of_any_size_tells_each_its_own_answer(tmp_path: Path) -> None:
    """Whatever size of statement it takes, or how many of them; refused ones in front, between and behind."""
    for size in (5, 33, 64, 70, 131):
        batch: list[Op] = [claims(f"c{n:03x}", f"me {n}") for n in range(size)]
        for at in (0, size // 2, size - 1):
            batch[at] = claims("00", f"too late {at}")
        done, held = told(tmp_path, [batch])
        assert [at for at, won in enumerate(done) if not won] == [0, size // 2, size - 1]
        assert len(held["records"]) == len(STANDING) + size - 3
        assert held["events"].total() == len(STANDING) + size - 3


def test_what_was_refused_before_is_not_taken_for_what_comes_later(tmp_path: Path) -> None:
    alone: list[list[Op]] = [[claims("00", f"too late {n}")] for n in range(3)]
    batch: list[Op] = [claims("a0", "me"), claims("01", "too late"), claims("a1", "me too")]
    again: list[Op] = [claims("a2", "me three"), claims("a3", "me four"), claims("a1", "too late")]
    done, _ = told(tmp_path, [*alone, batch, *alone, again, [claims("a4", "me five")]])
    assert done == [False] * 3 + [True, False, True] + [False] * 3 + [True, True, False, True]


def test_in_bulk_rows_are_found_by_their_id(tmp_path: Path) -> None:
    """On a ledger of a million records nothing else would do."""
    db = sqlite3.connect(":memory:")
    for script in schema.MIGRATIONS:
        db.executescript(script)
    for sql in (bulk._count(("attempts", "refused"), 8), schema.FINISH, schema.PUT_RESULT):
        plan = [row[-1] for row in db.execute(f"EXPLAIN QUERY PLAN {sql}", [None] * sql.count("?"))]
        assert any("SEARCH" in line and "(id=?)" in line for line in plan), plan
        assert not any("SCAN r" in line for line in plan), plan
    db.close()
