"""A file that a disk has damaged: refused or right, never an effect again, never an answer that was not recorded."""

from __future__ import annotations

import contextlib
import os
import random
import sqlite3
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger import Guard
from ledger.errors import LedgerError, NotALedger, StoreUnavailable
from ledger.ports import Dimension, Query
from ledger.stores import files
from ledger.stores.sqlite import SqliteStore
from ledger.stores.sqlite_view import SqliteView

CALLS = 40
TRIALS = 500 if os.environ.get("LEDGER_CAMPAIGN") == "1" else 50
SEED = 20_26


class World:
    """A tool whose calls are counted, and guards over copies of one ledger."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.effects, self.said = folder, Counter[int](), list[str]()

        def charge(n: int) -> dict[str, object]:
            self.effects[n] += 1
            return self.answer(n)

        self.charge = charge

    def answer(self, n: int) -> dict[str, object]:
        return {"n": n, "text": f"answer {n} " * 20}

    @contextlib.contextmanager
    def guard(self, path: Path) -> Iterator[Guard]:
        with contextlib.closing(SqliteStore(path)) as store, contextlib.closing(Guard(store=store).quiet()) as guard:
            guard.policy("charge", replay=True)
            yield guard

    def whole(self) -> bytes:
        """A ledger of CALLS calls, as bytes of one file."""
        path = self.folder / "whole.db"
        with self.guard(path) as guard:
            for n in range(CALLS):
                guard(self.charge, n=n)
        with contextlib.closing(sqlite3.connect(path)) as db:
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self.effects.clear()
        return path.read_bytes()

    def asked(self, path: Path) -> list[object]:
        """What each call is answered; None where it is refused."""
        answers: list[object] = []
        try:
            with self.guard(path) as guard:
                answers = [self._answer(guard, n) for n in range(CALLS)]
        except LedgerError as error:
            self.said.append(str(error))
        return answers

    def _answer(self, guard: Guard, n: int) -> object:
        try:
            return guard(self.charge, n=n)
        except LedgerError as error:
            self.said.append(str(error))
            return None


def damaged(whole: bytes, dice: random.Random) -> bytes:
    """One bit, eight bits, a stretch of zeros, or the end missing."""
    data = bytearray(whole)
    match dice.randrange(4):
        case 0:
            _flip(data, dice)
        case 1:
            for _ in range(8):
                _flip(data, dice)
        case 2:
            start, length = dice.randrange(len(data)), dice.choice((16, 512, 4096))
            data[start : start + length] = bytes(len(data[start : start + length]))
        case _:
            del data[dice.randrange(512, len(data)) :]
    return bytes(data)


def _flip(data: bytearray, dice: random.Random) -> None:
    data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)


def test_whatever_is_damaged_nothing_happens_again_and_no_answer_is_made_up(tmp_path: Path) -> None:
    world, dice = World(tmp_path), random.Random(SEED)
    whole, told = world.whole(), Counter[str]()
    for trial in range(TRIALS):
        path = tmp_path / f"{trial}.db"
        path.write_bytes(damaged(whole, dice))
        answers = world.asked(path)
        assert world.effects == {}, f"trial {trial} ran again what was recorded"
        for n, answer in enumerate(answers):
            assert answer is None or answer == world.answer(n), f"trial {trial} answered what was never recorded"
        told["refused" if None in answers or not answers else "right"] += 1
        for left in tmp_path.glob(f"{trial}.db*"):
            left.unlink()
    assert not [line for line in world.said if "\n" in line]
    assert min(told["refused"], told["right"]) > TRIALS / 10, "some of the damage is harmless, some is noticed"


def test_a_large_file_is_not_checked_whole_but_its_answers_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "CHECKED", 0)
    world = World(tmp_path)
    path = tmp_path / "large.db"
    path.write_bytes(world.whole().replace(b"answer 7 answer 7", b"answer 7 answer 8"))
    answers = world.asked(path)
    assert [n for n, answer in enumerate(answers) if answer is None] == [7]
    assert world.effects == {}


def test_an_index_that_misses_a_record_is_told_at_once(tmp_path: Path) -> None:
    world = World(tmp_path)
    path = tmp_path / "indexed.db"
    path.write_bytes(world.whole())
    with contextlib.closing(sqlite3.connect(path)) as db:
        (id,) = db.execute("SELECT id FROM records LIMIT 1").fetchone()
    # The first is in the index, the second in the table, or the other way round; one of them is enough.
    path.write_bytes(path.read_bytes().replace(id.encode(), b"f" + id[1:].encode(), 1))
    with pytest.raises(NotALedger, match="damaged"):
        SqliteStore(path)


def test_a_schema_that_is_no_text_any_more_is_told_in_one_line(tmp_path: Path) -> None:
    """SQLite quotes what it cannot read, and Python cannot read what it quotes."""
    path = tmp_path / "schema.db"
    path.write_bytes(World(tmp_path).whole().replace(b"CREATE TABLE records", b"CREATE T\xef\x01LE records"))
    with pytest.raises(NotALedger, match=r"not a readable ledger .*T\\xef.*restore a copy") as told:
        SqliteStore(path)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("damage", ["DELETE FROM filed", "UPDATE filed SET upto = 'x'"])
def test_what_only_screens_need_keeps_no_duplicate_from_its_answer(tmp_path: Path, damage: str) -> None:
    world = World(tmp_path)
    path = tmp_path / "filed.db"
    path.write_bytes(world.whole())
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute(damage)
        db.commit()
    assert world.asked(path) == [world.answer(n) for n in range(CALLS)]
    assert world.effects == {}
    assert world.said == []
    with contextlib.closing(SqliteView(path)) as view:
        assert len(view.page(Query())) == CALLS
        assert view.stats(Query())["attempts"] == 2 * CALLS
    with contextlib.closing(SqliteStore(path)) as store:
        store.delete(store.page(Query(limit=1))[0].id)
        assert len(store.page(Query())) == CALLS - 1, "what is removed takes nothing else along"


@pytest.mark.parametrize(
    "damage",
    ["event = 'sucgeeded'", """detail = '{"epoch": '""", "detail = CAST(X'7bff7d' AS TEXT)"],
    ids=["no event", "no JSON", "no text"],
)
def test_a_damaged_line_of_the_journal_is_told_and_keeps_no_duplicate_from_its_answer(
    tmp_path: Path, damage: str
) -> None:
    world = World(tmp_path)
    path = tmp_path / "journal.db"
    path.write_bytes(world.whole())
    with contextlib.closing(sqlite3.connect(path)) as db:
        (record,) = db.execute("SELECT record FROM events WHERE seq = 1").fetchone()
        db.execute(f"UPDATE events SET {damage} WHERE seq = 1")
        db.commit()
    with contextlib.closing(SqliteView(path)) as view, contextlib.closing(SqliteStore(path)) as store:
        for reader in (view, store):
            for read in (reader.events, lambda reader=reader: reader.timeline(record)):
                with pytest.raises(StoreUnavailable, match=r"line 1 of the journal is damaged|cannot be used: Could"):
                    read()
            assert len(reader.page(Query())) == CALLS
    assert world.asked(path) == [world.answer(n) for n in range(CALLS)]
    assert world.effects == {}


def test_whatever_is_damaged_a_screen_shows_or_says_it(tmp_path: Path) -> None:
    """In words of ours: any other error is a bug to who reads it."""
    whole, dice = World(tmp_path).whole(), random.Random(SEED)
    told = Counter[str]()
    for trial in range(TRIALS):
        path = tmp_path / f"{trial}.db"
        path.write_bytes(damaged(whole, dice))
        try:
            with contextlib.closing(SqliteView(path)) as view:
                told.update(_look(view))
        except LedgerError:
            told["refused"] += 1
    assert min(told["refused"], told["shown"]) > TRIALS / 10


def _look(view: SqliteView) -> Iterator[str]:
    everything = Query()
    looks = (
        lambda: [found.whole() for r in view.page(everything) if (found := view.get(r.id)) is not None],
        lambda: [view.timeline(r.id) for r in view.page(everything)],
        lambda: view.events(query=everything),
        lambda: view.scan(everything, 10),
        lambda: view.stats(everything),
        lambda: view.breakdown(everything, Dimension.TOOL),
        lambda: view.activity(everything, 300),
    )
    for look in looks:
        try:
            look()
        except LedgerError:
            yield "refused"
        else:
            yield "shown"
