"""A person's word, given in Python: resolve, retry, force; and what is printed of calls."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable

import pytest

from ledger import Guard, LedgerError, OutcomeUnknown, clock
from ledger.records import Instant
from tests.guard.conftest import Tool


def lose(guard: Guard, tool: Tool) -> str:
    """A charge that may have happened; its record's id, as the error tells it."""
    tool.raises = [TimeoutError("no answer")]
    with pytest.raises(TimeoutError):
        guard(tool.charge, "a", 5)
    with pytest.raises(OutcomeUnknown) as held:
        guard(tool.charge, "a", 5)
    return held.value.record


class TestResolve:
    def test_it_happened_by_the_record(self, guard: Guard, tool: Tool) -> None:
        guard.resolve(lose(guard, tool), done=True, note="seen in the dashboard")
        assert guard(tool.charge, "a", 5) is None
        [row] = guard.history()
        assert (row["status"], row["note"], row["runs"], row["unknown"]) == ("success", "seen in the dashboard", 1, 0)

    def test_it_happened_by_the_call_and_this_is_its_result(self, guard: Guard, tool: Tool) -> None:
        guard.policy(tool.charge, replay=True)
        lose(guard, tool)
        guard.resolve(tool.charge, "a", amount=5, done=True, result={"id": "ch_seen"})
        assert guard(tool.charge, "a", 5) == {"id": "ch_seen"}
        assert len(tool.effects) == 1

    def test_it_did_not(self, guard: Guard, tool: Tool) -> None:
        guard.resolve(lose(guard, tool), done=False)
        assert guard(tool.charge, "a", 5) == {"id": "ch_2"}

    def test_what_is_known_is_not_resolved(self, guard: Guard, tool: Tool) -> None:
        guard(tool.charge, "a")
        with pytest.raises(LedgerError, match="is success, not unknown"):
            guard.resolve(tool.charge, "a", done=False)
        with pytest.raises(LedgerError, match="there is no record"):
            guard.resolve("0" * 32, done=True)


class TestWhileItRuns:
    def _started(self, guard: Guard) -> tuple[threading.Thread, threading.Event, list[int]]:
        began, go, ran = threading.Event(), threading.Event(), []

        def slow(order: int) -> None:
            ran.append(order)
            began.set()
            go.wait(30)

        self.slow = slow
        thread = threading.Thread(target=guard, args=(slow, 1))
        thread.start()
        began.wait(30)
        return thread, go, ran

    def test_retry_and_resolve_are_refused_and_reset_leaves_it(self, guard: Guard) -> None:
        thread, go, ran = self._started(guard)
        with pytest.raises(LedgerError, match="is running; wait"):
            guard.retry(self.slow, 1)
        with pytest.raises(LedgerError, match="is running; wait"):
            guard.resolve(self.slow, 1, done=True)
        guard.reset()
        assert guard.stats()["running"] == 1
        go.set()
        thread.join()
        assert guard(self.slow, 1) is None
        assert ran == [1]

    def test_force_runs_beside_it_and_the_first_owner_does_not_overwrite_the_second(self, guard: Guard) -> None:
        thread, go, ran = self._started(guard)
        go.set()
        thread.join()
        guard.force(self.slow, 1)
        assert ran == [1, 1]
        told = guard.stats()
        assert told["attempts"] == told["executed"] + told["unknown"] + told["blocked"]

    def test_what_a_dead_process_left_may_be_retried_at_once(self, guard: Guard, tool: Tool) -> None:
        from ledger.records import Status
        from tests.guard.test_calls import _dead_owner

        guard(tool.charge, "a")
        store = guard._engine.store
        [row] = store.all()
        store.put(row.but(status=Status.RUNNING, owner=_dead_owner(), touched=clock.now(), runs=0, spent=0))
        assert guard(tool.charge, "a") is None, "blocked until its timeout"
        guard.retry(tool.charge, "a")
        assert guard(tool.charge, "a") == {"id": "ch_2"}


class TestWhatIsPrinted:
    def test_each_call(self, guard: Guard, tool: Tool, capsys: pytest.CaptureFixture[str]) -> None:
        guard.policy(tool.charge, replay=True)
        id = lose(guard, tool)
        guard(tool.charge, "b")
        guard(tool.charge, "b")
        tool.raises = [ValueError("card\ndeclined " + "x" * 500)]
        with pytest.raises(ValueError, match="declined"):
            guard(tool.charge, "c")
        lines = capsys.readouterr().out.splitlines()
        settle = f"settle it: ledger resolve {id} --done, or --not-done)"
        assert [re.sub(r"\d\d:\d\d:\d\d", "TIME", line) for line in lines] == [
            f"[ledger] ? Tool.charge (may have happened — TimeoutError: no answer; {settle}",
            f"[ledger] ✗ Tool.charge (held — may have happened at TIME — TimeoutError: no answer; {settle}",
            "[ledger] ✓ Tool.charge",
            "[ledger] ✗ Tool.charge (replayed — already ran at TIME)",
            lines[4],
        ]
        assert lines[4].startswith("[ledger] ✗ Tool.charge (failed — ValueError: card declined xxx")
        assert len(lines[4]) < 160

    def test_quiet(self, guard: Guard, tool: Tool, capsys: pytest.CaptureFixture[str]) -> None:
        guard.quiet()(tool.charge, "a")
        guard(tool.charge, "a")
        assert capsys.readouterr() == ("", "")
        guard.log()
        assert "Tool.charge" in capsys.readouterr().out

    def test_the_log(self, guard: Guard, tool: Tool, capsys: pytest.CaptureFixture[str]) -> None:
        guard.quiet().log()
        assert capsys.readouterr().out == "[ledger] nothing recorded yet\n"
        guard.as_caller("A")(tool.charge, "x")
        id = lose(guard, tool)
        capsys.readouterr()
        guard.log()
        first, second = capsys.readouterr().out.splitlines()
        assert first == "✓ Tool.charge  attempts 1   executed 1   blocked 0   [A]"
        assert f"may have happened; ledger resolve {id} --done | --not-done → TimeoutError: no answer" in second
        guard.log("another workflow")
        assert capsys.readouterr().out == "[ledger] nothing recorded yet\n"


def sender(module: str) -> Callable[[int], None]:
    """Each module has a tool of that name."""

    def send(number: int) -> None: ...

    send.__module__ = module
    return send


class TestHistory:
    def test_arguments_are_shown_short_and_without_secrets(self, guard: Guard) -> None:
        def pay(card: dict[str, object], api_key: str, items: list[int], note: str, client: object = None) -> None: ...

        guard(pay, {"last4": "4242", "cvc": "123"}, "sk_live", list(range(1000)), "x" * 10_000)
        [row] = guard.history()
        assert row["args"]["card"] == {"last4": "4242", "cvc": "***"}
        assert row["args"]["api_key"] == "***"
        assert len(row["args"]["items"]) == 12
        assert len(row["args"]["note"]) < 130
        assert "sk_live" not in str(guard._engine.store.all()[0])

    def test_card_numbers_are_masked_wherever_they_stand(self, guard: Guard) -> None:
        def pay(card: object, note: str, order: object) -> None: ...

        number = "4242 4242-4242 4242"
        guard(pay, 4242424242424242, "x" * 110 + number + " please", {"n": number, "order": 4242424242424243})
        [row] = guard.history()
        assert row["args"]["card"] == "****4242"
        assert row["args"]["note"] == "x" * 110 + "****4242 p…"
        assert row["args"]["order"] == {"n": "****4242", "order": 4242424242424243}, "no card: its check digit is wrong"

    def test_by_tool_workflow_and_limit(self, guard: Guard, tool: Tool) -> None:
        for n in range(5):
            with guard.workflow(f"order-{n % 2}"):
                guard(tool.charge, "a", n)
        guard(len, "abc")
        assert [row["args"]["amount"] for row in guard.history(tool.charge, "order-0")] == [0, 2, 4]
        assert [row["args"]["amount"] for row in guard.history("Tool.charge", limit=2)] == [3, 4]
        assert len(guard.history(tool=len)) == 1

    def test_two_tools_of_one_name_are_told_apart(self, guard: Guard) -> None:
        mail, sms = sender("mail"), sender("sms")
        guard(mail, 1)
        guard(sms, 1)
        assert len(guard.history(tool=mail)) == 1
        assert len(guard.history(tool="send")) == 2

    def test_page_by_page_each_row_comes_once_whatever_is_recorded_meanwhile(self, guard: Guard) -> None:
        mail, sms = sender("mail"), sender("sms")
        for tool, wanted in ((mail, 23), ("send", 46)):
            guard.reset()
            for n in range(23):
                guard(mail, n)
                guard(sms, n)
            page = guard.history(tool=tool, limit=5)
            pages = [page]
            while page:
                guard(mail, 100 + len(pages))
                page = guard.history(tool=tool, limit=5, before=page[0]["cursor"])
                pages.append(page)
            assert [len(p) for p in pages] == [5] * (wanted // 5) + [wanted % 5, 0]
            assert len({row["id"] for p in pages for row in p}) == wanted

    def test_a_cursor_that_is_none_says_so(self, guard: Guard) -> None:
        with pytest.raises(ValueError, match="'5' is no cursor"):
            guard.history(before="5")

    def test_by_the_full_name_that_ledger_once_used(self, guard: Guard) -> None:
        guard(shout, "a")
        assert [row["tool"] for row in guard.history(tool=f"{__name__}.shout")] == ["shout"]
        assert guard.history(tool="elsewhere.shout") == []


def shout(text: str) -> str:
    return text.upper()


def test_a_clock_set_back_by_an_hour_changes_nothing(guard: Guard, tool: Tool, monkeypatch: pytest.MonkeyPatch) -> None:
    guard.policy(tool.charge, ttl=60)
    guard(tool.charge, "a")
    then = clock.now()
    for wall, mono in ((-3600, 1), (-3600, 59), (3600, 59)):
        monkeypatch.setattr(clock, "now", lambda w=wall, m=mono: Instant(then.wall + w, then.mono + m, then.boot))
        assert guard(tool.charge, "a") is None, (wall, mono)
    monkeypatch.setattr(clock, "now", lambda: Instant(then.wall + 3600, then.mono + 61, then.boot))
    assert guard(tool.charge, "a") == {"id": "ch_2"}
