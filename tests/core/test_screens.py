"""What screens ask of every store: pages, filters, sums, timelines; the same whether rows are filed or not."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import pytest

from ledger import lifecycle
from ledger.ports import Dimension, Query, Sort, SyncStore, cursor
from ledger.records import EventType, Status
from ledger.stores import counting, paging
from tests.core.world import at, claimed, done, draft, failed, lost, put_through


class TestScreens:
    @pytest.fixture(autouse=True)
    def _three(self, store: SyncStore) -> None:
        put_through(store, done(claimed(store, draft("aa1", tool="mail", wf="one", caller="A"))))
        put_through(store, lost(claimed(store, draft("aa2", tool="charge", wf="two", caller="B"))))
        running = claimed(store, draft("bb3", tool="mail", wf="two"))
        store.append(lifecycle.answered(running, EventType.BLOCKED, at(2), why="in flight"))

    @pytest.mark.parametrize(
        ("query", "ids"),
        [
            (Query(), ["bb3", "aa2", "aa1"]),
            (Query(limit=2), ["bb3", "aa2"]),
            (Query(limit=0), []),
            (Query(wf="two"), ["bb3", "aa2"]),
            (Query(tool="mail"), ["bb3", "aa1"]),
            (Query(caller="A"), ["aa1"]),
            (Query(status=Status.UNKNOWN), ["aa2"]),
            (Query(id_prefix="aa"), ["aa2", "aa1"]),
            (Query(id_prefix="aa", wf="one"), ["aa1"]),
            (Query(id_prefix=""), ["bb3", "aa2", "aa1"]),
            (Query(wf="nothing"), []),
        ],
    )
    def test_page(self, store: SyncStore, query: Query, ids: list[str]) -> None:
        assert [r.id for r in store.page(query)] == ids

    def test_events_follow_a_seq(self, store: SyncStore) -> None:
        every = store.events()
        assert [e.event.value for e in every] == ["claimed", "succeeded", "claimed", "unknown", "claimed", "blocked"]
        assert [e.seq for e in every] == sorted({e.seq for e in every})
        assert store.events(after=every[2].seq) == every[3:]
        assert store.events(after=every[2].seq, limit=2) == every[3:5]
        assert every[-1].detail["why"] == "in flight"

    @pytest.mark.parametrize(
        ("query", "records"),
        [
            (Query(wf="one"), ["aa1", "aa1"]),
            (Query(tool="charge"), ["aa2", "aa2"]),
            (Query(caller="B"), ["aa2", "aa2"]),
            (Query(id_prefix="bb"), ["bb3", "bb3"]),
        ],
    )
    def test_events_filter(self, store: SyncStore, query: Query, records: list[str]) -> None:
        assert [e.record for e in store.events(query=query)] == records

    def test_stats(self, store: SyncStore) -> None:
        told = store.stats(Query())
        assert {k: told[k] for k in ("actions", "attempts", "executed", "unknown", "running", "blocked", "failed")} == {
            "actions": 3, "attempts": 4, "executed": 1, "unknown": 1, "running": 1, "blocked": 1, "failed": 0,
        }  # fmt: skip
        assert store.stats(Query(wf="one"))["actions"] == 1
        assert store.stats(Query(wf="nothing"))["attempts"] == 0

    @pytest.mark.parametrize("small", [0, 1000])
    def test_what_a_person_released_waits_for_nobody(
        self, store: SyncStore, small: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(counting, "SMALL", small)
        found = store.get("aa2")
        assert found is not None
        assert store.replace(lifecycle.release(found, at(3)))
        for _ in range(2):
            for query in (Query(), Query(wf="two"), Query(tool="charge"), Query(status=Status.UNKNOWN)):
                told = store.stats(query)
                assert (told["unknown"], told["open"]) == (1, 0), query
            assert store.breakdown(Query(), Dimension.TOOL)["charge"]["open"] == 0
            getattr(store, "file", lambda: None)()

    @pytest.mark.parametrize("small", [0, 1000])
    def test_a_large_workflow_is_counted_as_a_small_one_is(
        self, store: SyncStore, small: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(counting, "SMALL", small)
        getattr(store, "file", lambda: None)()
        told = store.stats(Query(wf="two"))
        assert (told["actions"], told["running"], told["open"]) == (2, 1, 1)


def counted(told: dict[str, int]) -> dict[str, int]:
    return {name: count for name, count in told.items() if count}


class TestPaging:
    @pytest.fixture(autouse=True, params=["not filed", "filed", "half"])
    def _eight(self, store: SyncStore, request: pytest.FixtureRequest) -> None:
        """Newest first is by `created`, whatever order they were written in; two are of the same instant."""
        for number, second in enumerate([10, 80, 30, 40, 40, 60, 70, 20]):
            error = "Card DECLINED 100%" if number == 2 else None
            record = draft(f"{number:x}0", wf=f"w{number % 2}", tool="mail_" if number == 5 else "mailX", error=error)
            claimed(store, record, now=at(second))
            if request.param == "filed" or (request.param == "half" and number == 3):
                getattr(store, "file", lambda: None)()

    ORDER = ("10", "60", "50", "40", "30", "20", "70", "00")

    @pytest.mark.parametrize("size", [1, 2, 3, 8, 20])
    @pytest.mark.parametrize("oldest", [False, True])
    def test_pages_follow_each_other_without_gap_or_overlap(self, store: SyncStore, size: int, oldest: bool) -> None:
        seen: list[str] = []
        query = Query(limit=size, oldest=oldest)
        while page := store.page(query):
            seen += [r.id for r in page]
            query = Query(limit=size, oldest=oldest, before=cursor(page[-1]))
        assert tuple(seen) == (self.ORDER[::-1] if oldest else self.ORDER)

    def test_the_oldest_first_goes_on_although_its_last_one_went(self, store: SyncStore) -> None:
        first_page = store.page(Query(limit=3, oldest=True))
        store.remove([first_page[-1].id], at(100), set(Status))
        rest = store.page(Query(oldest=True, before=cursor(first_page[-1])))
        assert tuple(r.id for r in rest) == self.ORDER[::-1][3:]

    def test_a_page_goes_on_although_records_came_and_went(self, store: SyncStore) -> None:
        first_page = store.page(Query(limit=3))
        claimed(store, draft("99"), now=at(99))
        store.remove([first_page[-1].id], at(100), set(Status))
        rest = store.page(Query(before=cursor(first_page[-1])))
        assert tuple(r.id for r in rest) == self.ORDER[3:]

    @pytest.mark.parametrize(
        ("query", "ids"),
        [
            (Query(since=at(40).wall), ["10", "60", "50", "40", "30"]),
            (Query(until=at(40).wall), ["20", "70", "00"]),
            (Query(since=at(30).wall, until=at(70).wall, wf="w1"), ["50", "30"]),
            (Query(grep="declined"), ["20"]),
            (Query(grep="0%"), ["20"]),
            (Query(grep="_"), ["50"]),
            (Query(grep="MAIL", limit=2), ["10", "60"]),
            (Query(status=Status.RUNNING, wf="w0"), ["60", "40", "20", "00"]),
            (Query(status=Status.SUCCESS), []),
        ],
    )
    def test_filters(self, store: SyncStore, query: Query, ids: list[str]) -> None:
        assert [r.id for r in store.page(query)] == ids

    def test_a_cursor_of_another_make_is_refused(self, store: SyncStore) -> None:
        with pytest.raises(ValueError, match="no cursor"):
            store.page(Query(before="12"))


class TestSums:
    """One story over two hours, told by kept sums, by journal lines, or by both."""

    @pytest.fixture(autouse=True, params=["not filed", "filed", "half"])
    def _two_hours(self, store: SyncStore, request: pytest.FixtureRequest) -> None:
        file = getattr(store, "file", lambda: None)
        mail = claimed(store, draft("aa1", tool="mail", wf="one", caller="A"), now=at(0))
        put_through(store, done(mail, now=at(10)))
        if request.param == "half":
            file()
        put_through(store, lost(claimed(store, draft("bb2", tool="charge", wf="two", caller="B"), now=at(20))))
        for second, asker in ((3600, "A"), (3610, "B"), (7200, None)):
            store.append(lifecycle.answered(mail.but(caller=asker), EventType.REPLAYED, at(second)))
        claimed(store, draft("cc3", tool="mail", wf="two"), now=at(7300))
        store.flush()
        if request.param == "filed":
            file()
            file()

    def test_all(self, store: SyncStore) -> None:
        assert counted(store.stats(Query())) == {
            "actions": 3, "attempts": 6, "executed": 1, "replayed": 3, "blocked": 3, "unknown": 1, "running": 1,
            "open": 1,
        }  # fmt: skip

    @pytest.mark.parametrize(
        ("query", "told"),
        [
            (Query(wf="one"), {"actions": 1, "attempts": 4, "executed": 1, "replayed": 3, "blocked": 3}),
            (Query(wf="two", tool="mail"), {"actions": 1, "attempts": 1, "running": 1}),
            (Query(tool="charge"), {"actions": 1, "attempts": 1, "unknown": 1, "open": 1}),
            (Query(status=Status.UNKNOWN), {"actions": 1, "attempts": 1, "unknown": 1, "open": 1}),
            (Query(id_prefix="aa"), {"actions": 1, "attempts": 4, "executed": 1, "replayed": 3, "blocked": 3}),
            (Query(grep="timed OUT"), {"actions": 1, "attempts": 1, "unknown": 1, "open": 1}),
            (Query(caller="A"), {"actions": 1, "attempts": 2, "executed": 1, "replayed": 1, "blocked": 1}),
            (Query(since=at(3000).wall), {"actions": 1, "attempts": 4, "replayed": 3, "blocked": 3, "running": 1}),
            (Query(since=at(3000).wall, until=at(6000).wall), {"attempts": 2, "replayed": 2, "blocked": 2}),
            (Query(since=at(3000).wall, wf="one"), {"attempts": 3, "replayed": 3, "blocked": 3}),
            (
                Query(since=at(-9000).wall),
                {
                    "actions": 3,
                    "attempts": 6,
                    "executed": 1,
                    "replayed": 3,
                    "blocked": 3,
                    "unknown": 1,
                    "running": 1,
                    "open": 1,
                },
            ),
            (
                Query(since=at(-9000).wall, until=at(5000).wall),
                {"actions": 2, "attempts": 4, "executed": 1, "replayed": 2, "blocked": 2, "unknown": 1, "open": 1},
            ),
            (Query(since=at(3000).wall, caller="B"), {"attempts": 1, "replayed": 1, "blocked": 1}),
        ],
    )
    def test_of_a_part(self, store: SyncStore, query: Query, told: dict[str, int]) -> None:
        assert counted(store.stats(query)) == told

    @pytest.mark.parametrize(
        ("by", "attempts"),
        [
            (Dimension.TOOL, {"mail": 5, "charge": 1}),
            (Dimension.WF, {"one": 4, "two": 2}),
            (Dimension.CALLER, {"": 2, "A": 2, "B": 2}),
        ],
    )
    def test_breakdown(self, store: SyncStore, by: Dimension, attempts: dict[str, int]) -> None:
        told = store.breakdown(Query(), by)
        assert list({name: sums["attempts"] for name, sums in told.items()}.items()) == list(attempts.items())
        assert list(store.breakdown(Query(limit=1), by)) == list(attempts)[:1]
        assert sum(sums["running"] for sums in told.values()) == 1
        quick = store.breakdown(Query(), by, standing=False)
        assert quick == {name: {**sums, "running": 0, "open": 0} for name, sums in told.items()}

    def test_breakdown_of_a_part(self, store: SyncStore) -> None:
        told = store.breakdown(Query(since=at(3000).wall, until=at(6000).wall), Dimension.CALLER)
        assert {name: counted(sums) for name, sums in told.items()} == {
            "A": {"attempts": 1, "replayed": 1, "blocked": 1},
            "B": {"attempts": 1, "replayed": 1, "blocked": 1},
        }

    def test_activity(self, store: SyncStore) -> None:
        hour = at(0).wall // 3600 * 3600
        told = store.activity(Query(), 3600)
        assert {start - hour: sums["blocked"] for start, sums in told.items()} == {0: 0, 3600: 2, 7200: 1}
        assert counted(store.activity(Query(caller="B", wf="one"), 300)[at(3610).wall // 300 * 300]) == {
            "attempts": 1, "replayed": 1, "blocked": 1,
        }  # fmt: skip

    def test_a_stretch_is_not_finer_than_what_is_kept(self, store: SyncStore) -> None:
        with pytest.raises(ValueError, match="multiple of 300"):
            store.activity(Query(), 60)

    def test_what_is_removed_leaves_the_sums_and_not_the_history(self, store: SyncStore) -> None:
        store.remove(["aa1"], at(7400))
        assert store.stats(Query())["attempts"] == 2
        assert store.stats(Query(tool="mail", wf="one"))["actions"] == 0
        assert "one" not in store.breakdown(Query(), Dimension.WF)
        assert store.stats(Query(since=at(0).wall))["replayed"] == 3

    def test_what_is_written_whole_counts(self, store: SyncStore) -> None:
        found = store.get("aa1")
        assert found is not None
        store.put(found.but(attempts=10, replayed=9))
        assert store.stats(Query(tool="mail"))["replayed"] == 9
        assert store.stats(Query(since=at(0).wall))["replayed"] == 3

    def test_a_timeline_is_one_records_own(self, store: SyncStore) -> None:
        assert [e.event.value for e in store.timeline("aa1")] == ["claimed", "succeeded"] + ["replayed"] * 3
        assert [e.seq for e in store.timeline("aa1")] == sorted(e.seq for e in store.timeline("aa1"))
        assert store.timeline("dd4") == []


class TestOrders:
    @pytest.fixture(autouse=True, params=["not filed", "filed", "half"])
    def _nine(self, store: SyncStore, request: pytest.FixtureRequest) -> None:
        """Attempts, blocked, changes and ends all differ from the order in which they came."""
        ends = [done, lost, failed, None, done, done, lost, None, failed]
        again = [0, 3, 0, 1, 5, 0, 0, 3, 1]
        for number, (end, times) in enumerate(zip(ends, again, strict=True)):
            running = claimed(
                store, draft(f"{number:x}0", wf=f"w{number % 2}", note="x" * (number % 3)), now=at(number)
            )
            if end is not None:
                put_through(store, end(running, now=at(100 - 7 * number)))
            for _ in range(times):
                store.append(lifecycle.answered(running, EventType.BLOCKED, at(200), why="in flight"))
            store.flush()
            if request.param == "filed" or (request.param == "half" and number == 4):
                getattr(store, "file", lambda: None)()

    ORDERS: ClassVar = {
        Sort.CREATED: "80 70 60 50 40 30 20 10 00",
        Sort.TOUCHED: "00 10 20 40 50 60 80 70 30",
        Sort.ATTEMPTS: "40 70 10 80 30 60 50 20 00",
        Sort.BLOCKED: "40 70 10 80 30 60 50 20 00",
        Sort.STATUS: "60 10 70 30 80 20 50 40 00",
    }

    @pytest.mark.parametrize(("size", "few"), [(2, 0), (3, 20_000)])
    @pytest.mark.parametrize("oldest", [False, True])
    @pytest.mark.parametrize("sort", ORDERS)
    def test_pages_follow_each_other_without_gap_or_overlap(
        self, store: SyncStore, sort: Sort, size: int, oldest: bool, few: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Whether what fits is sorted, or looked for along the order's index."""
        monkeypatch.setattr(paging, "FEW", few)
        for filters, ids in (({}, self._ids(sort)), ({"wf": "w1"}, [id for id in self._ids(sort) if id[0] in "1357"])):
            seen: list[str] = []
            query = Query(limit=size, sort=sort, oldest=oldest, **filters)
            while page := store.page(query):
                seen += [r.id for r in page]
                query = replace(query, before=cursor(page[-1], sort))
            assert seen == (ids[::-1] if oldest else ids)

    @pytest.mark.parametrize("sort", ORDERS)
    def test_a_page_goes_on_although_its_last_one_went(self, store: SyncStore, sort: Sort) -> None:
        """Of equal ones, those that came later than the removed one may be left out, or come again; no other."""
        first_page = store.page(Query(limit=3, sort=sort))
        store.remove([first_page[-1].id], at(300), set(Status))
        rest = [r.id for r in store.page(Query(sort=sort, before=cursor(first_page[-1], sort)))]
        assert rest[-5:] == self._ids(sort)[4:]

    @pytest.mark.parametrize("sort", ORDERS)
    def test_a_filter_and_a_text(self, store: SyncStore, sort: Sort) -> None:
        found = store.page(Query(sort=sort, status=Status.UNKNOWN, grep="x"))
        assert [r.id for r in found] == ["10"]

    def test_the_cursor_of_another_order_is_refused(self, store: SyncStore) -> None:
        last = store.page(Query(limit=1))[-1]
        for before in (cursor(last), cursor(last, Sort.BLOCKED), "attempts.7:1.0:aa", "attempts.1:x"):
            with pytest.raises(ValueError, match=r"no cursor|could not convert"):
                store.page(Query(sort=Sort.ATTEMPTS, before=before))

    def _ids(self, sort: Sort) -> list[str]:
        return self.ORDERS[sort].split()
