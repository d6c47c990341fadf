"""When things go wrong: a clear error that names the thing, nothing lost, never a second execution."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import sqlite3
import threading
from pathlib import Path
from typing import Any

import pytest

from ledger import (
    Guard,
    InFlight,
    MemoryStore,
    NotALedger,
    OutcomeUnknown,
    ResultUnavailable,
    SqliteStore,
    Status,
    StoreBusy,
    StoreUnavailable,
    UnstableArgument,
)
from ledger.lifecycle import Change
from ledger.ports import Query
from ledger.stores import sqlite as sqlite_store
from tests.guard.conftest import Tool


class TestArguments:
    def test_what_contains_itself(self, guard: Guard, tool: Tool) -> None:
        loop: list[object] = []
        loop.append(loop)
        with pytest.raises(UnstableArgument, match="'note' is nested too deeply or in itself; pass key="):
            guard(tool.charge, "a", note=loop)
        assert guard(tool.charge, "a", note=loop, key="k") is not None

    def test_what_says_something_else_at_every_look(self, guard: Guard, tool: Tool) -> None:
        class Moody:
            count = itertools.count()

            def __repr__(self) -> str:
                return f"Moody({next(self.count)})"

        with pytest.raises(UnstableArgument, match="'note' has no stable form"):
            guard(tool.charge, "a", note=Moody())
        assert tool.effects == []

    def test_a_hundred_megabytes(self, guard: Guard, tool: Tool) -> None:
        huge = b"x" * 100_000_000
        guard(tool.charge, "a", note=huge)
        assert guard(tool.charge, "a", note=bytearray(huge)) is None
        assert guard(tool.charge, "a", note=huge[:-1] + b"y") is not None
        assert len(str(guard.history())) < 2_000

    def test_nan_and_infinities(self, guard: Guard) -> None:
        ran: list[float] = []

        def note(value: float) -> None:
            ran.append(value)

        for value in (float("nan"), float("nan"), float("inf"), float("-inf"), float("inf")):
            guard(note, value)
        assert [str(v) for v in ran] == ["nan", "inf", "-inf"]
        assert [row["args"]["value"] for row in guard.history()] == ["nan", "inf", "-inf"]


class TestResults:
    @pytest.mark.parametrize("kind", ["unpicklable", "circular", "huge", "nan"])
    def test_one_that_cannot_be_kept(self, guard: Guard, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
        circular: list[object] = []
        circular.append(circular)
        results: dict[str, Any] = {"unpicklable": threading.Lock(), "circular": circular, "huge": "x" * 100_000_000}
        results["nan"] = {"price": float("nan")}
        ran: list[str] = []

        def get(kind: str) -> object:
            ran.append(kind)
            return results[kind]

        guard.policy(get, replay=True)
        assert guard(get, kind) is results[kind]
        if kind == "nan":
            assert str(guard(get, kind)) == "{'price': nan}"
        else:
            assert "the result cannot be kept" in capsys.readouterr().err
            with pytest.raises(ResultUnavailable, match="get ran, but its result was not kept"):
                guard(get, kind)
        assert ran == [kind]


class TestRecursion:
    def test_under_replay_it_does_not_wait_for_itself(self, guard: Guard) -> None:
        ran: list[int] = []

        def countdown(n: int) -> int:
            ran.append(n)
            return guard(countdown, n) or 0

        guard.policy(countdown, replay=True)
        with pytest.raises(InFlight, match="countdown calls itself through guard with the same arguments"):
            guard(countdown, 3)
        assert ran == [3]

    def test_without_replay_it_is_blocked_as_any_duplicate(self, guard: Guard) -> None:
        def countdown(n: int) -> object:
            return [guard(countdown, n)]

        assert guard(countdown, 3) == [None]

    def test_with_other_arguments_it_is_another_operation(self, guard: Guard) -> None:
        def countdown(n: int) -> int:
            return n and (guard(countdown, n - 1) or 0) + 1

        guard.policy(countdown, replay=True)
        assert [guard(countdown, 3), guard(countdown, 2)] == [3, 2]

    async def test_in_tasks_too(self, guard: Guard) -> None:
        async def countdown(n: int) -> int:
            return (await asyncio.create_task(guard(countdown, n))) or 0

        guard.policy(countdown, replay=True)
        with pytest.raises(InFlight, match="calls itself"):
            await guard(countdown, 3)


def test_a_callback_that_raises_changes_nothing(guard: Guard, tool: Tool, capsys: pytest.CaptureFixture[str]) -> None:
    def broken(record: object) -> None:
        raise RuntimeError("metrics are down")

    guard.on_success(broken).on_block(broken)
    assert guard(tool.charge, "a") == {"id": "ch_1"}
    assert guard(tool.charge, "a") is None
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 2
    assert "broken failed: RuntimeError: metrics are down" in told[0]


def test_an_async_callback_is_told_so_and_never_left_unawaited(
    guard: Guard, tool: Tool, capsys: pytest.CaptureFixture[str]
) -> None:
    async def report(record: object) -> None: ...

    guard.on_success(report)(tool.charge, "a")
    assert "report failed: TypeError: it is to be awaited; give a plain function" in capsys.readouterr().err


class Interrupted(SqliteStore):
    """Ctrl-C arrives at one of the writes."""

    at = ""
    after = False

    def _now(self, what: str) -> None:
        if self.at == what:
            self.at = ""
            raise KeyboardInterrupt

    def insert(self, change: Change) -> bool:
        self._now("before the claim")
        done = super().insert(change)
        self._now("after the claim")
        return done

    def replace(self, change: Change) -> bool:
        self._now("before the outcome")
        done = super().replace(change)
        self._now("after the outcome")
        return done


@pytest.mark.parametrize(
    ("at", "status", "effects"),
    [
        ("before the claim", None, 0),
        ("after the claim", Status.FAILED, 0),
        ("before the outcome", Status.SUCCESS, 1),
        ("after the outcome", Status.SUCCESS, 1),
    ],
)
def test_ctrl_c_between_claim_effect_and_commit_loses_nothing(
    tmp_path: Path, tool: Tool, at: str, status: Status | None, effects: int
) -> None:
    """The process lives on, as in a notebook: what is known of the call is recorded, and it is never stuck."""
    store = Interrupted(tmp_path / "c.db")
    guard = Guard(store=store)
    store.at = at
    with pytest.raises(KeyboardInterrupt):
        guard(tool.charge, "a")
    held = guard._engine.keeper._claims
    assert len(held) == at.endswith("the outcome"), "renewed for as long as its outcome is owed"
    guard._engine.keeper.beat()
    assert not held
    assert [r.status for r in store.all()] == ([] if status is None else [status])
    assert len(tool.effects) == effects
    assert guard(tool.charge, "a") == (None if effects else {"id": "ch_1"})
    guard.close()
    store.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:This process.*multi-threaded:DeprecationWarning")
def test_a_fork_while_a_claim_is_held_leaves_it_to_the_parent(tmp_path: Path) -> None:
    """The child comes out of the tool as well, with an error, and must not write the parent's outcome."""
    store = SqliteStore(tmp_path / "fork.db")
    guard = Guard(store=store)
    parent, ran = os.getpid(), []

    def work() -> str:
        ran.append(1)
        child = os.fork()
        if child == 0:
            raise TimeoutError("of the child")
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        assert guard.stats()["running"] == 1
        return "done"

    try:
        assert guard(work) == "done"
    except TimeoutError:
        if os.getpid() != parent:
            os._exit(7)
        raise
    assert [r.status for r in store.all()] == [Status.SUCCESS]
    guard.close()
    store.close()


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3)])
def test_the_interpreter_is_told_to_end_inside_an_async_tool(guard: Guard, tool: Tool, error: BaseException) -> None:
    async def charge() -> None:
        tool.effects.append(())
        raise error

    with pytest.raises(type(error)):
        asyncio.run(guard(charge))
    with pytest.raises(OutcomeUnknown):
        asyncio.run(guard(charge))
    assert len(tool.effects) == 1


class TestTheFile:
    def test_read_only(self, tmp_path: Path, tool: Tool, monkeypatch: pytest.MonkeyPatch) -> None:
        path = tmp_path / "ro.db"
        first = Guard(store=SqliteStore(path))
        first(tool.charge, "a")
        first._engine.store.close()  # type: ignore[attr-defined]
        db = sqlite3.connect(path)
        db.execute("PRAGMA journal_mode=DELETE")
        db.close()
        monkeypatch.setenv("LEDGER_DB", f"{path}")
        store = SqliteStore(path)
        store._writer.execute("PRAGMA query_only = 1")
        guard = Guard(store=store)
        with pytest.raises(StoreUnavailable, match=r"ro\.db cannot be used: .*readonly"):
            guard(tool.charge, "b")
        assert len(tool.effects) == 1
        store.close()

    @pytest.mark.parametrize("how", ["deleted", "replaced"])
    def test_gone_from_under_us(self, tmp_path: Path, tool: Tool, how: str) -> None:
        """Records that nobody will find again would let the next process run it all once more."""
        path = tmp_path / "gone.db"
        store = SqliteStore(path)
        guard = Guard(store=store)
        guard(tool.charge, "a")
        for file in (path, path.with_name("gone.db-wal"), path.with_name("gone.db-shm")):
            file.unlink(missing_ok=True)
        if how == "replaced":
            SqliteStore(path).close()
        for _ in range(2):
            with pytest.raises(StoreUnavailable, match=r"gone\.db"):
                guard(tool.charge, "b")
        assert len(tool.effects) == 1
        store.close()

    def test_made_by_a_newer_ledger(self, tmp_path: Path, tool: Tool, monkeypatch: pytest.MonkeyPatch) -> None:
        path = tmp_path / "newer.db"
        SqliteStore(path).close()
        db = sqlite3.connect(path)
        db.execute("PRAGMA user_version = 9999")
        db.close()
        monkeypatch.setenv("LEDGER_DB", str(path))
        with pytest.raises(NotALedger, match=r"newer\.db"):
            Guard()(tool.charge, "a")
        assert tool.effects == []


def test_a_signal_handler_that_raises_in_the_tool_leaves_it_open(guard: Guard, tool: Tool) -> None:
    class Alarm(BaseException): ...

    def ring(*_: object) -> None:
        raise Alarm

    def charge() -> None:
        tool.effects.append(())
        signal.raise_signal(signal.SIGUSR1)

    before = signal.signal(signal.SIGUSR1, ring)
    try:
        with pytest.raises(Alarm):
            guard(charge)
    finally:
        signal.signal(signal.SIGUSR1, before)
    with pytest.raises(OutcomeUnknown, match="Alarm"):
        guard(charge)
    assert len(tool.effects) == 1


def test_a_signal_handler_that_interrupts_the_ledger_is_refused_it_and_waits_for_nothing(
    tmp_path: Path, tool: Tool, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []

    def on_signal(*_: object) -> None:
        try:
            guard(tool.charge, "the handler's")
        except StoreBusy as error:
            told.append(str(error))

    def interrupted(*args: Any) -> None:
        signal.raise_signal(signal.SIGUSR1)
        commit(*args)

    commit, before = sqlite_store.commit, signal.signal(signal.SIGUSR1, on_signal)
    guard = Guard(store=SqliteStore(tmp_path / "ledger.db"))
    monkeypatch.setattr(sqlite_store, "commit", interrupted)
    try:
        assert guard(tool.charge, "a") is not None
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert told
    assert {line.partition(";")[0] for line in told} == {
        "the ledger is being used by the code that a signal handler interrupted, so the handler cannot use it"
    }
    assert tool.effects == [("a", 0.0)]
    monkeypatch.undo()
    assert guard(tool.charge, "the handler's") is not None
    assert guard(tool.charge, "a") is None
    guard.close()
    guard._engine.store.close()


def test_a_signal_handler_cannot_come_between_the_look_of_a_change_and_its_write(
    tool: Tool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It asks for the very operation that is about to run again: one of them does."""
    told: list[str] = []

    def on_signal(*_: object) -> None:
        try:
            guard(tool.charge, "a")
        except StoreBusy as error:
            told.append(str(error))

    def opens(change: Change) -> bool:
        before = found(change)
        if change.record.epoch == 2 and not told:
            signal.raise_signal(signal.SIGUSR1)
        return before

    guard = Guard(store=MemoryStore()).quiet()
    tool.raises.append(ValueError("declined"))
    with pytest.raises(ValueError, match="declined"):
        guard(tool.charge, "a")
    found, before = Change.opens.fget, signal.signal(signal.SIGUSR1, on_signal)
    monkeypatch.setattr(Change, "opens", property(opens))
    try:
        assert guard(tool.charge, "a") is not None
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert "let it set a flag" in told[0]
    assert guard._engine.store.stats(Query())["executed"] == 1
    assert len(tool.effects) == 2  # the one that failed, and one


def test_where_no_thread_can_be_started_nothing_runs(
    tmp_path: Path, tool: Tool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without its heartbeat a claim could be taken over on another machine while the tool still runs."""
    store = SqliteStore(tmp_path / "ledger.db")
    guard = Guard(store=store)

    def start(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", start)
        with pytest.raises(RuntimeError, match="new thread"):
            guard(tool.charge, "a")
    assert tool.effects == []
    guard.close()  # which says of the claim that nothing happened
    assert Guard(store=store)(tool.charge, "a") is not None
    store.close()
