"""A ledger as a screen reads it: the same answers as the store's, nothing written, and no read that lasts."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from ledger.errors import NotALedger, ReadTooLong, StoreBusy, StoreUnavailable
from ledger.ports import Dimension, Query
from ledger.records import Record
from ledger.stores.sqlite import SqliteStore
from ledger.stores.sqlite_view import SqliteView


@pytest.fixture
def filled(tmp_path: Path) -> Path:
    """Three records, closed again."""
    path = tmp_path / "a ledger?.db"
    store = SqliteStore(path)
    for id in ("aa", "bb", "cc"):
        assert store.claim(Record(id=id, tool="charge", wf=f"order-{id}", caller="me"))
    store.close()
    return path


def test_it_answers_as_the_store_does(filled: Path) -> None:
    store, view = SqliteStore(filled), SqliteView(filled)
    try:
        assert view.get("aa") == store.get("aa")
        assert view.page(Query(wf="order-bb")) == store.page(Query(wf="order-bb"))
        assert view.timeline("cc") == store.timeline("cc")
        assert view.events(1) == store.events(1)
        assert view.stats(Query()) == store.stats(Query())
        assert view.breakdown(Query(), Dimension.WF) == store.breakdown(Query(), Dimension.WF)
        assert view.activity(Query(), 300) == store.activity(Query(), 300)
        assert view.last_seq() == store.last_seq() == 3
    finally:
        view.close()
        store.close()


def test_it_sees_what_is_written_while_it_is_open(filled: Path) -> None:
    store, view = SqliteStore(filled), SqliteView(filled)
    try:
        assert store.claim(Record(id="dd", tool="charge"))
        assert view.get("dd") is not None
    finally:
        view.close()
        store.close()


def test_it_holds_nothing_between_two_reads(filled: Path) -> None:
    """A reader in a transaction would keep the log from being taken up into the file."""
    view = SqliteView(filled)
    store = SqliteStore(filled)
    view.page(Query())
    store.claim(Record(id="dd", tool="charge"))
    other = sqlite3.connect(filled)
    busy, in_log, taken_up = other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    other.close()
    view.close()
    store.close()
    assert (busy, in_log, taken_up) == (0, 0, 0)


def test_a_read_that_lasts_is_stopped_and_the_next_one_works(filled: Path) -> None:
    view = SqliteView(filled, seconds=0.0)
    many = sqlite3.connect(filled)
    many.execute(
        """WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
           INSERT INTO events (at, event, record, tool, wf, detail) SELECT 0, 'claimed', 'x', 't', 'w', '{}' FROM n"""
    )
    many.commit()
    many.close()
    with pytest.raises(ReadTooLong, match="took longer than 0 s and was stopped; ask for less"):
        view.events(0, 1000, Query(grep="nowhere"))
    assert view.get("aa") is not None
    view.close()


def test_it_knows_when_another_file_took_its_place(filled: Path) -> None:
    view = SqliteView(filled)
    assert view.current()
    filled.rename(filled.with_suffix(".old"))
    assert not view.current()
    SqliteStore(filled).close()
    assert not view.current()
    view.close()


def test_it_makes_nothing(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable):
        SqliteView(tmp_path / "nothing.db")
    (tmp_path / "empty.db").touch()
    with pytest.raises(StoreUnavailable, match="there is nothing in"):
        SqliteView(tmp_path / "empty.db")
    assert [p.name for p in tmp_path.iterdir()] == ["empty.db"]
    assert (tmp_path / "empty.db").stat().st_size == 0


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("CREATE TABLE other (x)", "a database, but not a ledger"),
        ("PRAGMA user_version = 999", "newer Ledger"),
    ],
)
def test_what_is_no_ledger_of_ours(filled: Path, tmp_path: Path, script: str, said: str) -> None:
    path = filled if "version" in script else tmp_path / "other.db"
    db = sqlite3.connect(path)
    db.execute(script)
    db.commit()
    db.close()
    with pytest.raises(NotALedger, match=said):
        SqliteView(path)


def test_what_is_no_database(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("these are notes " * 100)
    with pytest.raises(NotALedger, match="not a readable ledger"):
        SqliteView(path)


def test_a_lock_that_does_not_go_away_is_said(filled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ledger.stores import sqlite_view

    monkeypatch.setattr(sqlite_view, "PATIENCE", 0.05)
    holder = sqlite3.connect(filled, isolation_level=None)
    holder.execute("PRAGMA locking_mode = EXCLUSIVE")
    holder.execute("BEGIN EXCLUSIVE")
    started = time.monotonic()
    try:
        with pytest.raises(StoreBusy, match="locked by another process"):
            SqliteView(filled)
        assert time.monotonic() - started < 20
    finally:
        holder.close()


def test_a_ledger_that_may_not_be_written_can_be_read(filled: Path) -> None:
    """A copy on a read-only medium: not even shared memory for the log can be made beside it."""
    filled.chmod(0o444)
    filled.parent.chmod(0o555)
    script = """
        import sys
        from ledger.ports import Query
        from ledger.stores.sqlite_view import SqliteView
        try:
            open(sys.argv[1], "ab")
        except PermissionError:
            print(len(SqliteView(sys.argv[1]).page(Query())))
    """
    # To root nothing is read-only, unless it gives up that right.
    plain = [] if os.getuid() else ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
    command = [*plain, sys.executable, "-c", textwrap.dedent(script), str(filled)]
    said = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    filled.parent.chmod(0o755)
    assert said.stdout.strip() == "3", said.stderr
