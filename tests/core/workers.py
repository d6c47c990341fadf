"""Workers, crashes, pauses and people in any order, one step of I/O at a time, against a dict: see `test_stateful`."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from ledger import lifecycle
from ledger.lifecycle import Change, Guard
from ledger.policy import OnUnknown, Policy
from ledger.ports import ENDED, Held, Query, SyncStore
from ledger.records import EventType, Instant, Record, Result, Status
from ledger.steps import (
    Announce,
    Answer,
    Attempt,
    Claim,
    Execute,
    Finish,
    Follow,
    Look,
    Opened,
    Outcome,
    Overtaken,
    Reply,
    Seen,
    Step,
    Swap,
    Wait,
    Written,
    begin,
)
from tests.core.world import BOOT, balanced, draft, who

HOLD = Policy(replay=True, wait=20)
RESEND = Policy(replay=True, wait=20, on_unknown=OnUnknown.RESEND, key_retention=1000)
IDS = st.sampled_from(["a1", "a1", "b2", "c3", "d4", "d4"])
OPERATIONS = {
    "a1": (draft("a1"), HOLD),
    "b2": (draft("b2", content_id="same"), HOLD),
    "c3": (draft("c3", content_id="same"), HOLD),
    "d4": (draft("d4"), RESEND),
}
"""b2 and c3 are one content under two rules' names; d4 goes to a provider that honours our key."""
OPEN = (Status.RUNNING, Status.UNKNOWN)
SENDING = Execute | Announce | Follow | Finish
WORKERS = 4


@dataclass
class Row:
    """What the ledger must say of one record: kept by hand, from the writes that were accepted."""

    record: Record
    attempts: int = 1


@dataclass
class World:
    """The other side, which counts effects by the key they came under."""

    effects: Counter[str] = field(default_factory=Counter)

    def send(self, record: Record) -> None:
        key = record.upstream_key or ""
        if not (OPERATIONS[record.id][1] is RESEND and self.effects[key]):
            self.effects[key] += 1


class Workers(RuleBasedStateMachine):
    """Four workers; the last one is on another machine, so that nobody can see whether it lives."""

    def open_store(self) -> SyncStore:
        raise NotImplementedError

    def __init__(self) -> None:
        super().__init__()
        self.store = self.open_store()
        self.model: dict[str, Row] = {}
        self.world = World()
        self.keys: dict[str, set[str]] = {id: set() for id in OPERATIONS}
        self.allowed: Counter[str] = Counter()
        self.working: dict[int, Step] = {}
        self.dead: set[str] = set()
        self.owed: list[Finish] = []
        self.seconds, self.jumped = 0.0, 0.0

    def now(self) -> Instant:
        return Instant(1_700_000_000.0 + self.seconds + self.jumped, 1_000.0 + self.seconds, BOOT)

    # -- what workers do ---------------------------------------------------------------------------------------

    def _arrive(self, id: str) -> int:
        worker = min(set(range(WORKERS)) - set(self.working))
        record, policy = OPERATIONS[id]
        by = who()
        by = lifecycle.Claimant(f"{worker}/{by.token}", by.nonce)
        self.working[worker] = begin(Attempt(record, policy, by, self.now()), self.now())
        return worker

    def _sending(self) -> list[str]:
        return [s.record.id for _, s in sorted(self.working.items()) if isinstance(s, SENDING)]

    def _work_until(self, worker: int, until: type, data: st.DataObject) -> None:
        for _ in range(8):
            if not isinstance(self.working[worker], until | Wait | Reply):
                self._work(worker, data)

    def _work(self, worker: int, data: st.DataObject) -> None:
        step = self.advance(self.working.pop(worker), data)
        if step is not None:
            self.working[worker] = step

    @precondition(lambda self: len(self.working) < WORKERS)
    @rule(id=IDS)
    def arrive(self, id: str) -> None:
        self._arrive(id)

    @precondition(lambda self: len(self.working) < WORKERS)
    @rule(id=IDS, data=st.data())
    def arrive_and_stop_before_the_effect_or_after_it(self, id: str, data: st.DataObject) -> None:
        """The moments that matter most: claimed and not sent, sent and not recorded, answered."""
        worker, until = self._arrive(id), data.draw(st.sampled_from([Execute, Follow, Finish, Reply]))
        self._work_until(worker, until, data)

    @precondition(lambda self: len(self.working) < WORKERS and self._sending())
    @rule(data=st.data())
    def come_while_an_owner_is_paused_past_its_lease(self, data: st.DataObject) -> None:
        paused = data.draw(st.sampled_from(self._sending()))
        self.seconds += 31
        self._work_until(self._arrive(paused), Execute, data)

    @precondition(lambda self: self.working)
    @rule(data=st.data(), steps=st.integers(1, 3))
    def work(self, data: st.DataObject, steps: int) -> None:
        worker = data.draw(st.sampled_from(sorted(self.working)))
        for _ in range(steps):
            if worker in self.working:
                self._work(worker, data)

    @precondition(lambda self: self.working)
    @rule(data=st.data())
    def crash(self, data: st.DataObject) -> None:
        step = self.working.pop(data.draw(st.sampled_from(sorted(self.working))))
        if not isinstance(step, Reply):
            self.dead.add(step.attempt.by.token)

    @precondition(lambda self: any(isinstance(s, SENDING) for s in self.working.values()))
    @rule(data=st.data())
    def beat(self, data: st.DataObject) -> None:
        step = self.working[data.draw(st.sampled_from(sorted(self.working)))]
        if isinstance(step, SENDING):
            mine = step.record
            self.store.renew([Held(mine.id, mine.owner, mine.epoch)], self.now())
            row = self.model.get(mine.id)
            now = row.record if row else mine
            if row and (now.owner, now.epoch, now.status) == (mine.owner, mine.epoch, Status.RUNNING):
                now.touched = self.now()

    @precondition(lambda self: self.owed)
    @rule(data=st.data())
    def pay(self, data: st.DataObject) -> None:
        """The disk has room again."""
        step: Step | None = self.owed.pop(0)
        while step is not None:
            step = self.advance(step, data, full=False)

    # -- what happens around them ------------------------------------------------------------------------------

    @precondition(lambda self: self.model)
    @rule(seconds=st.sampled_from([0.5, 31.0]))
    def time_passes(self, seconds: float) -> None:
        self.seconds += seconds

    @precondition(lambda self: self.model)
    @rule(jump=st.sampled_from([-3600.0, -60.0, 60.0, 86_400.0]))
    def the_clock_is_turned(self, jump: float) -> None:
        self.jumped += jump

    @precondition(lambda self: any(r.record.status is Status.UNKNOWN for r in self.model.values()))
    @rule(id=IDS)
    def a_person_finds_out(self, id: str) -> None:
        """Truthfully, and only once nothing is on its way any more (that is what `settle` is for)."""
        row = self.model.get(id)
        if row is None or row.record.status is not Status.UNKNOWN or self._on_its_way(row.record.upstream_key):
            return
        happened = self.world.effects[row.record.upstream_key or ""] > 0
        found = self.store.get(id)
        assert found is not None
        self._write(lifecycle.resolve(found, happened, self.now(), "looked", self._proof(found) if happened else None))

    @precondition(lambda self: any(r.record.status is not Status.RUNNING for r in self.model.values()))
    @rule(data=st.data())
    def a_person_allows_another(self, data: st.DataObject) -> None:
        settled = sorted(id for id, r in self.model.items() if r.record.status is not Status.RUNNING)
        id = data.draw(st.sampled_from(settled))
        found = self.store.get(id)
        assert found is not None
        if self._write(lifecycle.release(found, self.now())):
            self.allowed[id] += 1

    @precondition(lambda self: len(self.model) > 2)
    @rule(id=IDS)
    def a_person_clears_it(self, id: str) -> None:
        row = self.model.get(id)
        removed = self.store.remove([id], self.now(), ENDED)
        assert removed == (row is not None and row.record.status is not Status.RUNNING)
        if removed:
            del self.model[id]
            self.allowed[id] += 1

    @rule()
    def what_was_written_is_filed(self) -> None:
        getattr(self.store, "file", lambda: None)()

    # -- one step of a call ------------------------------------------------------------------------------------

    def advance(self, step: Step, data: st.DataObject, full: bool = True) -> Step | None:
        match step:
            case Claim():
                return step.next(self._insert(step.change))
            case Look():
                return step.next(self._see(step.wanted), self.now())
            case Wait():
                return step.next(data.draw(st.sampled_from([False, False, True])), self.now())
            case Swap():
                return step.next(self._write(step.change))
            case Execute():
                if data.draw(st.sampled_from([False] * 3 + [True])):
                    self.world.send(step.record)
                    return step.next(Opened("head", {"response_status": 200}), self.now())
                return step.next(self._execute(step.record, data), self.now())
            case Announce():
                return step.next(self._write(step.change))
            case Follow():
                whole = Outcome(Status.SUCCESS, result=self._proof(step.record))
                return step.next(data.draw(st.sampled_from([whole, Outcome(Status.UNKNOWN)])), self.now())
            case Finish():
                if full and data.draw(st.sampled_from([False] * 5 + [True])):
                    self.owed.append(step)
                    return step.next(Written.OWED)
                return step.next(Written.YES if self._write(step.change) else Written.NO)
            case Overtaken():
                return step.next(self._see(step.record), self.now())
            case Reply():
                self._reply(step)
                return None

    def _execute(self, record: Record, data: st.DataObject) -> Outcome:
        """`refused` is at the door: it says nothing of an earlier send under the same key."""
        how = data.draw(st.sampled_from(["success", "refused", "lost before", "lost after"]))
        if how in ("success", "lost after"):
            self.world.send(record)
        if how == "success":
            return Outcome(Status.SUCCESS, result=self._proof(record))
        return Outcome(Status.FAILED if how == "refused" else Status.UNKNOWN, error=how)

    def _reply(self, step: Reply) -> None:
        if step.answer is Answer.REPLAYED:
            assert self.world.effects[step.record.upstream_key or ""] == 1, "never a replay without an effect"
            assert step.record.result == self._proof(step.record)
        if step.event is not None:
            self.store.append(step.event)
            row = self.model.get(step.event.record)
            if row is not None:
                row.attempts += 1

    # -- the dict's own opinion --------------------------------------------------------------------------------

    def _insert(self, change: Change) -> bool:
        expected = change.record.id not in self.model and not self._open_twin(change.record)
        assert self.store.insert(change) == expected
        if expected:
            self.model[change.record.id] = Row(change.record.but())
            self.keys[change.record.id].add(change.record.upstream_key or "")
        return expected

    def _write(self, change: Change) -> bool:
        row, was, record = self.model.get(change.record.id), change.was, change.record
        assert was is not None
        now = row.record if row else None
        expected = now is not None and (now.owner, now.epoch, now.status) == (was.owner, was.epoch, was.status)
        if expected and now is not None and change.guard is Guard.SEEN:
            expected = (now.touched, now.released) == (was.touched, was.released)
        if expected and was.status not in OPEN and record.status is Status.RUNNING:
            expected = not self._open_twin(record)
        assert self.store.replace(change) == expected
        if expected and row is not None:
            row.record = record.but()
            if change.event.event is EventType.CLAIMED:
                row.attempts += 1
                self.keys[record.id].add(record.upstream_key or "")
        return expected

    def _open_twin(self, record: Record) -> bool:
        others = [r.record for r in self.model.values() if r.record.id != record.id and r.record.status in OPEN]
        return any(o.content_id is not None and o.content_id == record.content_id for o in others)

    def _see(self, record: Record) -> Seen | None:
        found = self.store.look(record)
        if found is None:
            return None
        alive = None if found.owner.startswith("3/") else found.owner not in self.dead
        return Seen(found, alive if found.status is Status.RUNNING else None)

    def _on_its_way(self, key: str | None) -> bool:
        executing = [s.record for s in self.working.values() if isinstance(s, Execute)]
        return any(record.upstream_key == key for record in executing)

    def _proof(self, record: Record) -> Result:
        return Result({"id": record.id}, (record.upstream_key or "").encode())

    # -- what must hold at every moment ------------------------------------------------------------------------

    @invariant()
    def one_intended_effect_happens_at_most_once(self) -> None:
        assert all(n <= 1 for n in self.world.effects.values())

    @invariant()
    def an_operation_has_one_effect_and_those_a_person_allowed(self) -> None:
        for id, keys in self.keys.items():
            assert sum(self.world.effects[key] for key in keys) <= 1 + self.allowed[id]

    @invariant()
    def the_ledger_says_what_the_dict_says(self) -> None:
        found = {r.id: r for r in self.store.page(Query())}
        assert found.keys() == self.model.keys()
        for id, row in self.model.items():
            for name in (
                "status",
                "owner",
                "epoch",
                "generation",
                "spent",
                "released",
                "upstream_key",
                "touched",
                "resent",
            ):
                assert getattr(found[id], name) == getattr(row.record, name), name
            assert found[id].attempts == row.attempts
            assert balanced(found[id]), found[id]
            assert found[id].unknown >= (found[id].status is Status.UNKNOWN)
            assert found[id].unknown <= row.record.generation, "a resend that is lost again is no second unknown"

    @invariant()
    def the_sums_are_those_of_the_records(self) -> None:
        told = self.store.stats(Query())
        assert told["actions"] == len(self.model)
        assert told["attempts"] == sum(row.attempts for row in self.model.values())

    @invariant()
    def a_success_had_an_effect_and_a_failure_had_none(self) -> None:
        for row in self.model.values():
            happened = self.world.effects[row.record.upstream_key or ""]
            if row.record.status is Status.SUCCESS:
                assert happened
            if row.record.status is Status.FAILED:
                assert not happened

    @invariant()
    def the_same_content_is_open_once(self) -> None:
        open_ = [r.record.content_id for r in self.model.values() if r.record.status in OPEN and r.record.content_id]
        assert len(open_) == len(set(open_))

    def teardown(self) -> None:
        events = Counter(e.event for e in self.store.events(limit=10_000) if e.record in self.model)
        assert events[EventType.CLAIMED] >= len(self.model), "journalled in the same transaction"
        self.store.close()
