"""What the tests of Ledger-Once's users reach for."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import ledger
from ledger import BLOCKED, Guard, Policy, Record, Status, Store, _Mem, _SQLite
from tests.guard.conftest import Tool


def ago(seconds: float) -> datetime:
    return datetime.now(UTC) - timedelta(seconds=seconds)


@pytest.fixture(params=["_Mem", "_SQLite"])
def seeds(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Guard]:
    store = _Mem() if request.param == "_Mem" else _SQLite(tmp_path / "seed.db")
    made = Guard(store=store).quiet()
    yield made
    made.close()
    store.close()


def test_the_names_are_there() -> None:
    assert {"Guard", "guard", "Store", "Record", "Status", "Policy", "BLOCKED"} <= set(ledger.__all__)
    assert Policy().max == 1
    assert isinstance(_Mem(), Store)


def test_blocked_is_what_a_blocked_call_returns(seeds: Guard, tool: Tool) -> None:
    seeds(tool.charge, "a")
    assert seeds(tool.charge, "a") is BLOCKED
    assert not BLOCKED


class TestRecords:
    def test_as_the_store_hands_them_out(self, seeds: Guard, tool: Tool) -> None:
        seeds.workflow("order-1").as_caller("A")(tool.charge, "a", 5)
        seeds(tool.charge, "a", 5)
        [record] = seeds._engine.store.all()
        assert isinstance(record, Record)
        assert (record.tool, record.wf, record.caller, record.status) == ("Tool.charge", "order-1", "A", Status.SUCCESS)
        assert (record.attempts, record.runs, record.blocked) == (2, 1, 1)
        assert (record.result, record.args["customer"]) == ({"id": "ch_1"}, "a")
        assert seeds._engine.store.get(record.id) == record
        assert abs((record.touched - datetime.now(UTC)).total_seconds()) < 60
        assert repr(record) == "<Record Tool.charge caller='A' attempts=2 runs=1 blocked=1 status=success>"
        assert seeds._engine.store.all("order-2") == []
        assert seeds._engine.store.get("nonsense") is None

    def test_expired_and_stale(self) -> None:
        record = Record(id="x", tool="t", args={}, wf="w", created=ago(500), since=ago(400), touched=ago(100))
        assert (record.stale(300), record.stale(500)) == (True, False)
        assert (record.expired(50), record.expired(200), record.expired(None)) == (True, False, False)
        record.status = Status.SUCCESS
        assert not record.stale(300)

    def test_a_record_put_back_older_has_expired(self, seeds: Guard, tool: Tool) -> None:
        seeds.policy(tool.charge, ttl=60)
        seeds(tool.charge, "a")
        [record] = seeds._engine.store.all()
        record.touched = ago(61)
        seeds._engine.store.put(record)
        assert seeds(tool.charge, "a") == {"id": "ch_2"}

    def test_a_crash_told_by_a_test_is_recovered(self, seeds: Guard, tool: Tool) -> None:
        seeds(tool.charge, "a")
        [record] = seeds._engine.store.all()
        record.status, record.since = Status.RUNNING, ago(299)
        seeds._engine.store.put(record)
        assert seeds(tool.charge, "a") is None
        record.since = ago(301)
        seeds._engine.store.put(record)
        assert seeds(tool.charge, "a") == {"id": "ch_2"}

    def test_a_failure_told_by_a_test_may_be_retried(self, seeds: Guard, tool: Tool) -> None:
        seeds(tool.charge, "a")
        [record] = seeds._engine.store.all()
        record.status, record.error = Status.FAILED, "CardError: declined"
        seeds._engine.store.put(record)
        assert seeds.history()[0]["error"] == "CardError: declined"
        assert seeds(tool.charge, "a") == {"id": "ch_2"}

    def test_a_store_by_hand(self, seeds: Guard) -> None:
        store = seeds._engine.store
        made = Record(id="abc", tool="t", args={"x": 1}, wf="w", created=ago(0))
        assert [store.claim(made), store.claim(made)] == [True, False]
        found = store.get("abc")
        assert (found.status, found.args) == (Status.RUNNING, {"x": 1})
        found.status, found.result, found.runs = Status.SUCCESS, {"ok": True}, 1
        store.put(found)
        assert store.get("abc").result == {"ok": True}
        store.delete("abc")
        assert store.get("abc") is None
        store.claim(made)
        found = store.get("abc")
        found.status = Status.FAILED
        store.put(found)
        store.clear("w")
        assert store.all() == []

    def test_as_dict_is_what_history_says(self, seeds: Guard, tool: Tool) -> None:
        seeds(tool.charge, "a")
        told, [row] = seeds._engine.store.all()[0].as_dict(), seeds.history()
        assert {name: row[name] for name in told} == told


def test_callbacks_get_the_record(seeds: Guard, tool: Tool) -> None:
    seen: list[tuple[str, Record]] = []
    for name in ("on_success", "on_block", "on_failure", "on_unknown"):
        getattr(seeds, name)(lambda r, name=name: seen.append((name, r)))
    tool.raises = [ValueError("declined")]
    with pytest.raises(ValueError, match="declined"):
        seeds(tool.charge, "a")
    seeds(tool.charge, "a")
    seeds(tool.charge, "a")
    tool.raises = [TimeoutError()]
    with pytest.raises(TimeoutError):
        seeds(tool.charge, "b")
    assert [(name, r.status, r.attempts, r.runs, r.blocked) for name, r in seen] == [
        ("on_failure", Status.FAILED, 1, 0, 0),
        ("on_success", Status.SUCCESS, 2, 1, 0),
        ("on_block", Status.SUCCESS, 3, 1, 1),
        ("on_unknown", Status.UNKNOWN, 1, 0, 0),
    ]


def test_persist_moves_the_ledger(seeds: Guard, tool: Tool, tmp_path: Path) -> None:
    seeds(tool.charge, "a")
    assert seeds.persist(tmp_path / "elsewhere.db") is seeds
    assert seeds(tool.charge, "a") == {"id": "ch_2"}
    assert (tmp_path / "elsewhere.db").exists()
    assert seeds.stats()["actions"] == 1
    with pytest.raises(ledger.StoreUnavailable, match=r"/nonexistent/x\.db"):
        seeds.persist("/nonexistent/x.db")
    assert seeds(tool.charge, "a") is None, "the ledger it had stays"


def test_reset_forgets(seeds: Guard, tool: Tool) -> None:
    for wf in ("a", "b"):
        with seeds.workflow(wf):
            seeds(tool.charge, "x")
    tool.raises = [TimeoutError()]
    with pytest.raises(TimeoutError):
        seeds(tool.charge, "lost")
    seeds.reset("a")
    assert {row["wf"] for row in seeds.history()} == {"b", "default"}
    seeds.reset()
    assert seeds.stats()["actions"] == 0
    assert seeds(tool.charge, "lost") is not None
