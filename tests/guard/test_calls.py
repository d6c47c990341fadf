"""What a user of `guard` sees of calls and their duplicates."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from ledger import (
    Guard,
    InFlight,
    MemoryStore,
    OutcomeUnknown,
    ResultUnavailable,
    SqliteStore,
    Status,
    StoreUnavailable,
    _Mem,
    clock,
)
from ledger.ports import Query
from ledger.records import Instant
from tests.guard.conftest import Tool


class TestTheSeedsPromises:
    def test_once(self, guard: Guard, tool: Tool) -> None:
        assert guard(tool.charge, customer="cus_42", amount=99) == {"id": "ch_1"}
        assert guard(tool.charge, customer="cus_42", amount=99) is None
        assert guard(tool.charge, "cus_42", 99.0) is None
        assert tool.effects == [("cus_42", 99)]
        told = guard.stats()
        assert {k: told[k] for k in ("actions", "attempts", "executed", "blocked", "failed")} == {
            "actions": 1, "attempts": 3, "executed": 1, "blocked": 2, "failed": 0,
        }  # fmt: skip

    def test_other_arguments_are_another_operation(self, guard: Guard, tool: Tool) -> None:
        guard(tool.charge, "a", 1)
        guard(tool.charge, "a", 2)
        guard(tool.charge, "b", 1)
        assert len(tool.effects) == 3

    def test_replay(self, guard: Guard, tool: Tool) -> None:
        guard.policy(tool.charge, replay=True)
        first = guard(tool.charge, "a", 1)
        assert guard(tool.charge, "a", 1) == first == {"id": "ch_1"}
        assert guard.stats()["replayed"] == 1

    def test_a_key_names_the_effect_whatever_the_arguments(self, guard: Guard, tool: Tool) -> None:
        guard(tool.charge, "a", 1, note=object(), key="order-1")
        assert guard(tool.charge, "a", 2, note=object(), key="order-1") is None
        guard(tool.charge, "a", 1, key="order-2")
        assert len(tool.effects) == 2

    def test_a_function_with_a_key_of_its_own_gets_it(self, guard: Guard) -> None:
        stored: dict[str, str] = {}

        def put(key: str, body: str) -> None:
            stored[key] = body

        guard(put, key="a", body="1")
        guard(put, key="a", body="2")
        assert stored == {"a": "2"}

    def test_what_raises_may_be_retried(self, guard: Guard, tool: Tool) -> None:
        tool.raises = [ValueError("declined")]
        with pytest.raises(ValueError, match="declined") as caught:
            guard(tool.charge, "a", 1)
        assert any(entry.name == "charge" for entry in caught.traceback)
        assert guard(tool.charge, "a", 1) == {"id": "ch_2"}
        assert guard(tool.charge, "a", 1) is None
        told = guard.stats()
        assert (told["attempts"], told["executed"], told["failed"], told["blocked"]) == (3, 1, 1, 1)

    def test_a_function_that_returns_an_exception_has_not_failed(self, guard: Guard) -> None:
        error = ValueError("as a value")
        assert guard(lambda: error) is error
        assert guard.stats()["executed"] == 1

    def test_max_and_ttl(self, guard: Guard, tool: Tool, monkeypatch: pytest.MonkeyPatch) -> None:
        guard.policy(tool.charge, max=2, ttl=86_400)
        for _ in range(4):
            guard(tool.charge, "a", 1)
        assert len(tool.effects) == 2
        today = clock.now()
        monkeypatch.setattr(clock, "now", lambda: Instant(today.wall + 90_000, today.mono + 90_000, today.boot))
        for _ in range(4):
            guard(tool.charge, "a", 1)
        assert len(tool.effects) == 4

    def test_results_come_back_from_another_process_of_the_same_file(self, tool: Tool) -> None:
        for _ in range(2):
            guard = Guard()
            guard.policy(tool.charge, replay=True)
            assert guard(tool.charge, "a", 1) == {"id": "ch_1"}
            guard.close()

    def test_the_seeds_names_for_tests(self) -> None:
        store = _Mem()
        guard = Guard(store=store)
        guard(len, "abc")
        assert guard._engine.store is store
        assert [r.status for r in store.all()] == [Status.SUCCESS]
        guard.close()


class TestWhatPeopleSee:
    def test_tools_are_named_shortly(self, guard: Guard, tool: Tool) -> None:
        def refund() -> None: ...

        guard(tool.charge, "a")
        guard(refund)
        guard(len, "abc")
        assert {r.tool for r in guard._engine.store.all()} == {"Tool.charge", "refund", "len"}

    def test_stats_of_one_workflow(self, guard: Guard, tool: Tool) -> None:
        with guard.workflow("order-1"):
            guard(tool.charge, "a")
        guard(tool.charge, "a")
        assert guard.stats()["actions"] == 2
        assert guard.stats(wf="order-1")["actions"] == 1

    def test_wrong_arguments_are_told_as_python_tells_them(self, guard: Guard, tool: Tool) -> None:
        with pytest.raises(TypeError, match=r"Tool.charge\(\): missing a required argument: 'customer'"):
            guard(tool.charge)
        assert guard.stats()["attempts"] == 0

    def test_a_called_function_is_recognised(self, guard: Guard, tool: Tool) -> None:
        with pytest.raises(TypeError, match=r"guard\(fn, x\)"):
            guard(tool.charge("a"))  # type: ignore[arg-type]

    def test_a_generator_cannot_be_guarded(self, guard: Guard) -> None:
        def pages() -> object:
            yield 1

        with pytest.raises(TypeError, match="generator"):
            guard(pages)

    def test_a_policy_that_means_nothing_is_refused_and_changes_nothing(self, guard: Guard, tool: Tool) -> None:
        guard.policy(tool.charge, max=2)
        with pytest.raises(ValueError, match="max must be at least 1"):
            guard.policy(tool.charge, max=0)
        with pytest.raises(ValueError, match="sometimes"):
            guard.policy(tool.charge, on_unknown="sometimes")
        guard.policy(tool.charge, replay=True)
        assert [guard(tool.charge, "a") for _ in range(3)] == [{"id": "ch_1"}, {"id": "ch_2"}, {"id": "ch_2"}]

    def test_a_store_of_another_kind_is_refused(self) -> None:
        with pytest.raises(TypeError, match="dict is no store"):
            Guard(store={})  # type: ignore[arg-type]


class TestResults:
    def test_a_result_that_cannot_be_kept_is_a_success_without_one(
        self, guard: Guard, capsys: pytest.CaptureFixture[str]
    ) -> None:
        ran: list[object] = []

        def connect() -> object:
            ran.append(object())
            return ran[-1]

        guard.policy(connect, replay=True)
        assert guard(connect) is ran[0], "the first caller gets it all the same"
        assert "cannot be kept" in capsys.readouterr().err
        for _ in range(2):
            with pytest.raises(ResultUnavailable, match="not run again"):
                guard(connect)
        assert len(ran) == 1
        assert guard.stats()["executed"] == 1

    def test_without_replay_nobody_is_warned(self, guard: Guard, capsys: pytest.CaptureFixture[str]) -> None:
        guard(object)
        assert guard(object) is None
        assert capsys.readouterr().err == ""

    def test_quiet(self, guard: Guard, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        monkeypatch.setenv("LEDGER_QUIET", "1")
        guard.policy(object, replay=True)
        guard(object)
        assert capsys.readouterr().err == ""

    def test_a_value_that_breaks_when_it_is_looked_at_changes_nothing(self, guard: Guard) -> None:
        class Nasty:
            def __getattribute__(self, name: str) -> object:
                raise RuntimeError(name)

        def get() -> Nasty:
            return Nasty()

        assert type(guard(get)) is Nasty
        assert guard(get) is None

    def test_none_is_a_result(self, guard: Guard) -> None:
        def nothing() -> None: ...

        guard.policy(nothing, replay=True)
        assert [guard(nothing), guard(nothing)] == [None, None]
        assert guard.stats()["replayed"] == 1


class TestConcurrency:
    def _storm(self, guard: Guard, threads: int, wait: bool) -> tuple[list[object], int]:
        effects: list[int] = []
        results: list[object] = []
        gate = threading.Barrier(threads)

        def slow(order: int) -> str:
            effects.append(order)
            time.sleep(0.2)
            return "done"

        def agent() -> None:
            gate.wait()
            results.append(guard(slow, 1))

        guard.policy(slow, replay=wait)
        workers = [threading.Thread(target=agent) for _ in range(threads)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        return results, len(effects)

    def test_under_replay_everybody_gets_the_one_result(self, guard: Guard) -> None:
        assert self._storm(guard, 20, wait=True) == (["done"] * 20, 1)
        told = guard.stats()
        assert (told["attempts"], told["executed"], told["replayed"]) == (20, 1, 19)

    def test_without_replay_the_others_are_blocked_at_once(self, guard: Guard) -> None:
        results, effects = self._storm(guard, 20, wait=False)
        assert (sorted(results, key=str), effects) == ([None] * 19 + ["done"], 1)
        told = guard.stats()
        assert (told["attempts"], told["executed"], told["blocked"]) == (20, 1, 19)


class TestFailsClosed:
    def test_a_ledger_that_cannot_be_opened_runs_nothing(self, tool: Tool, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("LEDGER_DB", "/nonexistent/ledger.db")
        with pytest.raises(StoreUnavailable, match=r"/nonexistent/ledger\.db"):
            Guard()(tool.charge, "a")
        assert tool.effects == []

    def test_a_ledger_that_is_no_file_runs_nothing(self, tool: Tool, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("LEDGER_DB", "postgresql://db/ledger")
        with pytest.raises(StoreUnavailable, match="LEDGER_DB=postgresql://db/ledger is a URL"):
            Guard()(tool.charge, "a")
        assert tool.effects == []

    def test_a_ledger_that_fails_after_the_effect_does_not_cost_the_result(self, tool: Tool, tmp_path: Path) -> None:
        class FullLater(SqliteStore):
            full = False

            def replace(self, change):  # type: ignore[no-untyped-def]
                if self.full:
                    raise StoreUnavailable("disk full")
                return super().replace(change)

        store = FullLater(tmp_path / "full.db")
        guard = Guard(store=store)

        def charge() -> str:
            store.full = True
            return tool.charge("a")["id"]  # type: ignore[return-value]

        assert guard(charge) == "ch_1"
        assert store.stats(Query())["running"] == 1
        guard._engine.keeper.beat()
        assert guard(charge) is None, "owed, and not run again"
        store.full = False
        guard._engine.keeper.beat()
        assert guard.stats()["executed"] == 1
        guard.close()
        store.close()


def test_a_second_call_while_the_first_owner_is_dead_is_told_so(tool: Tool) -> None:
    """The seed's contract: blocked until `timeout` is over, then it runs."""
    store = MemoryStore()
    guard = Guard(store=store)
    guard.policy(tool.charge, replay=True, timeout=300)
    guard(tool.charge, "a")
    dead = store.all()[0].but(status=Status.RUNNING, owner="boot:ns:1:1:x", spent=0, runs=0)
    store.put(dead.but(touched=clock.now(), owner=_dead_owner()))
    with pytest.raises(InFlight, match="its process died"):
        guard(tool.charge, "a")
    long_ago = clock.now()
    store.put(dead.but(touched=Instant(long_ago.wall - 301, long_ago.mono - 301, long_ago.boot), owner=_dead_owner()))
    assert guard(tool.charge, "a") == {"id": "ch_2"}
    guard.close()


def test_strict_holds_it_instead(tool: Tool) -> None:
    store = MemoryStore()
    guard = Guard(store=store, strict=True)
    guard(tool.charge, "a")
    long_ago = Instant(clock.now().wall - 9e6, 0.0, "another boot")
    record = store.all()[0]
    assert record.timeout is None
    store.put(record.but(status=Status.RUNNING, touched=long_ago, spent=0, runs=0, owner=_dead_owner()))
    with pytest.raises(OutcomeUnknown):
        guard(tool.charge, "a")
    assert len(tool.effects) == 1
    guard.close()


def _dead_owner() -> str:
    """A token like ours, of a process whose start time is not that of whoever has the pid today."""
    from ledger.owners import new_token

    boot, namespace, pid, start, nonce = new_token().split(":")
    return f"{boot}:{namespace}:{pid}:{int(start) - 1}:{nonce}"
