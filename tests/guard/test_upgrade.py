"""A `ledger.db` of Ledger-Once opens, and an upgrade runs nothing again. The fixture is what Ledger-Once wrote."""

from __future__ import annotations

import importlib.util
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType

import pytest

from ledger import Guard, NotALedger, SqliteStore
from ledger.ports import Dimension, Query

HERE = Path(__file__).parent / "ledger_once"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where LEDGER_DB points."""
    made = tmp_path / "ledger.db"
    restore(made)
    return made


def restore(path: Path) -> None:
    db = sqlite3.connect(path)
    db.execute("PRAGMA journal_mode = WAL")
    db.executescript((HERE / "ledger.sql").read_text())
    db.close()


@pytest.fixture
def shop() -> ModuleType:
    spec = importlib.util.spec_from_file_location("shop_tools", HERE / "shop_tools.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def guard(path: Path) -> Iterator[Guard]:
    upgraded = Guard()
    upgraded.quiet()
    yield upgraded
    upgraded.close()


class TestNothingRunsAgain:
    def test_a_success_is_blocked(self, guard: Guard, shop: ModuleType) -> None:
        assert guard(shop.charge, "A-7", amount=99.99) is None
        assert guard(shop.charge, order="A-7", amount=99.9900000001, currency="usd") is None
        assert guard(shop.send_email, "user@example.com", "Hello", "Bye", priority=1, tags=("a", None)) is None
        assert shop.ran == []

    def test_or_replayed_with_what_it_returned(self, guard: Guard, shop: ModuleType) -> None:
        guard.policy(shop.charge, replay=True)
        assert guard(shop.charge, "A-7", amount=99.99) == {"order": "A-7", "amount": 99.99, "$": "usd"}
        assert shop.ran == []

    def test_by_its_key(self, guard: Guard, shop: ModuleType) -> None:
        assert guard(shop.send_email, "somebody else", key="email-9") is None
        assert shop.ran == []

    def test_in_its_workflow(self, guard: Guard, shop: ModuleType) -> None:
        with guard.workflow("order-42"):
            guard(shop.charge, "A-7", amount=99.99)
        assert shop.ran == []
        with guard.workflow("order-43"):
            guard(shop.charge, "A-7", amount=99.99)
        assert shop.ran == ["charge A-7"]

    def test_up_to_its_maximum(self, guard: Guard, shop: ModuleType) -> None:
        guard.policy(shop.notify, max=2)
        assert [guard(shop.notify, "ann") for _ in range(3)] == ["told ann", None, None]

    def test_what_is_new_runs_once(self, guard: Guard, shop: ModuleType) -> None:
        for _ in range(2):
            guard(shop.charge, "A-8", amount=99.99)
        assert shop.ran == ["charge A-8"]


class TestWhatMayRun:
    def test_what_failed_runs_once_more(self, guard: Guard, shop: ModuleType) -> None:
        with guard.workflow("order-42"):
            for _ in range(2):
                guard(shop.refund, order="A-7")
        assert shop.ran == ["refund A-7"]

    @pytest.mark.parametrize(("silent", "ran"), [(290, []), (310, ["ship A-7"])])
    def test_what_a_process_died_in_runs_after_its_timeout_and_not_before(
        self, path: Path, shop: ModuleType, silent: int, ran: list[str]
    ) -> None:
        since = datetime.now(UTC) - timedelta(seconds=silent)
        db = sqlite3.connect(path)
        db.execute("UPDATE ledger SET since = ? WHERE status = 'running'", (since.isoformat(),))
        db.commit()
        db.close()
        guard = Guard()
        with guard.workflow("order-42"):
            for _ in range(2):
                guard(shop.ship, order="A-7")
        guard.close()
        assert shop.ran == ran

    def test_a_retry_that_a_person_allowed(self, guard: Guard, shop: ModuleType) -> None:
        guard.retry(shop.charge, "A-7", amount=99.99)
        for _ in range(2):
            guard(shop.charge, "A-7", amount=99.99)
        assert shop.ran == ["charge A-7"]


class TestTheRecords:
    def test_its_counts_are_ours(self, path: Path) -> None:
        store = SqliteStore(path)
        told = store.stats(Query())
        names = ("actions", "attempts", "executed", "refused", "failed", "running")
        assert [told[name] for name in names] == [7, 9, 5, 2, 1, 1]
        assert set(store.breakdown(Query(), Dimension.TOOL)) == {"charge", "send_email", "notify", "refund", "ship"}
        store.close()

    def test_they_are_imported_once(self, path: Path) -> None:
        for _ in range(3):
            store = SqliteStore(path)
            assert store.stats(Query())["actions"] == 7
            store.close()

    def test_what_it_did_after_the_upgrade_is_imported_too(self, path: Path, shop: ModuleType) -> None:
        SqliteStore(path).close()
        db = sqlite3.connect(path)
        db.execute("UPDATE ledger SET id = 'f00d' WHERE rowid = 1")
        db.execute("INSERT INTO ledger SELECT 'cafe', tool, args, wf, created, touched, since, status, attempts, runs, "
                   "blocked, result, error, caller FROM ledger WHERE rowid = 1")  # fmt: skip
        db.commit()
        db.close()
        store = SqliteStore(path)
        assert store.get("cafe") is not None
        assert store.stats(Query())["actions"] == 8
        store.close()

    def test_its_own_table_is_left_as_it_was(self, path: Path) -> None:
        SqliteStore(path).close()
        db = sqlite3.connect(path)
        assert db.execute("SELECT count(*) FROM ledger").fetchone() == (7,)
        db.close()

    def test_removed_is_removed(self, path: Path, guard: Guard, shop: ModuleType) -> None:
        guard.reset()
        guard.close()
        guard(shop.charge, "A-7", amount=99.99)
        assert shop.ran == ["charge A-7"]

    def test_a_table_of_that_name_is_not_enough(self, tmp_path: Path) -> None:
        db = sqlite3.connect(tmp_path / "books.db")
        db.execute("CREATE TABLE ledger (id TEXT, amount INTEGER)")
        db.close()
        with pytest.raises(NotALedger, match="not a ledger"):
            SqliteStore(tmp_path / "books.db")
