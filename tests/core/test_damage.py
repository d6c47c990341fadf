"""What can be wrong with a ledger: one clear line, nothing lost, nothing sent. And whose eyes it is for."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ledger.errors import KeyMismatch, NotALedger, StoreUnavailable
from ledger.stores.schema import MIGRATIONS
from ledger.stores.sqlite import SqliteStore
from tests.core.world import AwaitedStore, done, draft, first

ME_IS_ROOT = os.geteuid() == 0


def run(code: str, *args: str) -> str:
    """In a process of its own, because it changes what the process may do."""
    prelude = "import os, resource, sys\nfrom ledger.errors import *\nfrom tests.core.world import *\n"
    return subprocess.run(
        [sys.executable, "-c", prelude + code, *args], capture_output=True, text=True, check=True, timeout=60
    ).stdout


class TestKey:
    def test_it_is_made_with_the_ledger_and_stays(self, tmp_path: Path) -> None:
        keys = set()
        for _ in range(2):
            store = SqliteStore(tmp_path / "ledger.db")
            keys |= {store.secret(), store.secret()}
            store.close()
        assert len(keys) == 1
        assert len(keys.pop()) == 32

    def test_two_ledgers_have_two(self, tmp_path: Path) -> None:
        stores = [SqliteStore(tmp_path / name) for name in ("one.db", "two.db")]
        assert stores[0].secret() != stores[1].secret()
        for store in stores:
            store.close()

    @pytest.mark.parametrize(
        ("first", "second"), [(b"one", b"two"), (b"one", None), (None, b"one")], ids=["other", "none", "given later"]
    )
    def test_another_key_is_refused_before_anything_is_deduplicated_by_it(
        self, tmp_path: Path, first: bytes | None, second: bytes | None
    ) -> None:
        store, other = SqliteStore(tmp_path / "ledger.db"), AwaitedStore(tmp_path / "ledger.db")
        store.secret(first)
        with pytest.raises(KeyMismatch, match="LEDGER_KEY") as caught:
            other._store.secret(second)
        assert "\n" not in str(caught.value)
        assert store.secret(first), "the first is not disturbed"
        store.close()
        other.close()

    def test_a_given_key_is_not_in_the_file(self, tmp_path: Path) -> None:
        store = SqliteStore(tmp_path / "ledger.db")
        assert store.secret(b"correct horse battery") == b"correct horse battery"
        store.close()
        whole = b"".join(path.read_bytes() for path in tmp_path.iterdir())
        assert b"horse" not in whole
        assert b"correct horse battery".hex().encode() not in whole


class TestPrivate:
    @pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
    def test_every_file_is_for_its_owner_only(self, tmp_path: Path, umask: int) -> None:
        before = os.umask(umask)
        try:
            store = SqliteStore(tmp_path / "ledger.db")
            store.insert(first())
            names = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
            store.close()
        finally:
            os.umask(before)
        assert names == dict.fromkeys(["ledger.db", "ledger.db-wal", "ledger.db-shm"], 0o600)


class TestNotALedger:
    @pytest.mark.parametrize("content", [b"hello, I am a text file\n" * 100, b"\x00" * 4096, os.urandom(10_000)])
    def test_a_file_of_another_kind(self, tmp_path: Path, content: bytes) -> None:
        path = tmp_path / "notes.txt"
        path.write_bytes(content)
        with pytest.raises(NotALedger, match=r"notes\.txt is not a readable ledger"):
            SqliteStore(path)
        assert path.read_bytes() == content

    def test_somebody_elses_database(self, tmp_path: Path) -> None:
        path = tmp_path / "app.db"
        db = sqlite3.connect(path)
        db.execute("CREATE TABLE users (name TEXT)")
        db.commit()
        db.close()
        before = path.read_bytes()
        with pytest.raises(NotALedger, match=r"app\.db is a database, but not a ledger"):
            SqliteStore(path)
        assert path.read_bytes() == before, "not even its journal mode"

    def test_a_ledger_of_a_newer_version(self, tmp_path: Path) -> None:
        path = tmp_path / "ledger.db"
        SqliteStore(path).close()
        db = sqlite3.connect(path)
        db.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
        db.close()
        with pytest.raises(NotALedger, match=r"newer Ledger .* upgrade"):
            SqliteStore(path)

    def test_a_directory_and_a_missing_directory(self, tmp_path: Path) -> None:
        for path in (tmp_path, tmp_path / "missing" / "ledger.db"):
            with pytest.raises(StoreUnavailable, match="cannot be used"):
                SqliteStore(path)

    def test_an_empty_file_becomes_a_ledger(self, tmp_path: Path) -> None:
        (tmp_path / "ledger.db").touch(0o600)
        store = SqliteStore(tmp_path / "ledger.db")
        assert store.insert(first())
        store.close()

    def test_a_truncated_ledger_is_refused_and_never_takes_a_claim(self, tmp_path: Path) -> None:
        path = tmp_path / "ledger.db"
        store = SqliteStore(path)
        for n in range(200):
            change = first(draft(f"{n:08x}"))
            store.insert(change)
            store.replace(done(change.record, b"x" * 2000))
        store.close()
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
        with pytest.raises((NotALedger, StoreUnavailable)):
            _use(path)


def _use(path: Path) -> None:
    store = SqliteStore(path)
    try:
        for n in range(200):
            store.get(f"{n:08x}")
            store.insert(first(draft(f"{n:08x}")))
    finally:
        store.close()


def test_a_new_ledger_is_no_stranger_to_those_who_open_it_at_the_same_moment(tmp_path: Path) -> None:
    def open_one(path: Path) -> bytes:
        gate.wait()
        store = SqliteStore(path)
        try:
            return store.secret()
        finally:
            store.close()

    gate = threading.Barrier(8)
    with ThreadPoolExecutor(8) as openers:
        for round in range(25):
            assert len(set(openers.map(open_one, [tmp_path / f"{round}.db"] * 8))) == 1


class TestNoPermission:
    def test_a_directory_that_may_not_be_written(self, tmp_path: Path) -> None:
        """Root may write anywhere, so the process first becomes somebody else."""
        locked = tmp_path / "locked"
        locked.mkdir(mode=0o555)
        told = run(
            "if os.geteuid() == 0:\n"
            "    os.setgid(65534); os.setuid(65534)\n"
            "try:\n"
            "    SqliteStore(sys.argv[1] + '/ledger.db')\n"
            "except StoreUnavailable as error:\n"
            "    print(error)",
            str(locked),
        )
        assert told.strip().endswith("ledger.db cannot be used: Permission denied")
        assert list(locked.iterdir()) == []

    def test_a_ledger_that_may_only_be_read_takes_no_claim(self, tmp_path: Path) -> None:
        path = tmp_path / "ledger.db"
        SqliteStore(path).close()
        path.chmod(0o444)
        tmp_path.chmod(0o555)
        told = run(
            "if os.geteuid() == 0:\n"
            "    os.setgid(65534); os.setuid(65534)\n"
            "try:\n"
            "    print(SqliteStore(sys.argv[1]).insert(first()))\n"
            "except StoreUnavailable as error:\n"
            "    print('refused:', error)",
            str(path),
        )
        tmp_path.chmod(0o755)
        assert told.startswith("refused:"), told


FULL = """
import signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
from pathlib import Path
from ledger.calls import Call
from ledger.drivers import run
from ledger.keeper import Keeper
from ledger.policy import Policy
from ledger.ports import Query
from ledger.records import EventType
from ledger.steps import Attempt, Outcome, begin

path = Path(sys.argv[1])
store = STORE(path)
before = first(draft("be4e"))
assert store.insert(before)
limits = resource.getrlimit(resource.RLIMIT_FSIZE)
largest = max(file.stat().st_size for file in path.parent.iterdir())

def full(yes):
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest if yes else limits[0], limits[1]))
"""


@pytest.mark.parametrize("kind", ["SqliteStore", "AwaitedStore"])
class TestDiskFull:
    def test_nothing_is_claimed_and_it_recovers_by_itself(self, tmp_path: Path, kind: str) -> None:
        code = FULL.replace("STORE", kind) + (
            "full(True)\n"
            "refused = 0\n"
            "for n in range(20):\n"
            "    try:\n"
            "        store.insert(first(draft(f'{n:04x}')))\n"
            "    except StoreUnavailable as error:\n"
            "        refused += 1; said = str(error)\n"
            "held = {r.id for r in store.page(Query())}\n"
            "print(refused, said)\n"
            "full(False)\n"
            "assert all(store.insert(first(draft(f'{n:04x}'))) == (f'{n:04x}' not in held) for n in range(20))\n"
            "print(len(store.page(Query())))\n"
            "store.close()"
        )
        refused, count = run(code, str(tmp_path / "ledger.db")).splitlines()
        assert int(refused.partition(" ")[0]) > 0
        assert "cannot be used" in refused
        assert count == "21"

    def test_an_outcome_that_finds_no_room_is_owed_and_paid(self, tmp_path: Path, kind: str) -> None:
        """And the caller gets it at once."""
        code = FULL.replace("STORE", kind) + (
            "def effect(record):\n"
            "    full(True)\n"
            "    return Outcome(Status.SUCCESS, value='charged', result=Result({}, b'x' * 100_000))\n"
            "keeper = Keeper(store, beat=3600)\n"
            "attempt = Attempt(draft('a1'), Policy(), who(), at(0))\n"
            "reply = run(begin(attempt, at(0)), Call(store, keeper, effect))\n"
            "print(reply.answer, reply.outcome.value, store.get('a1').status)\n"
            "keeper.beat()\n"
            "print(store.get('a1').status)\n"
            "full(False)\n"
            "keeper.beat()\n"
            "print(store.get('a1').status, len(store.get('a1').result.body))\n"
            "keeper.close(); store.close()"
        )
        told = run(code, str(tmp_path / "ledger.db")).splitlines()
        assert told == ["executed charged running", "running", "success 100000"]


def test_on_a_full_disk_screens_still_read_and_counts_wait(tmp_path: Path) -> None:
    code = FULL.replace("STORE", "SqliteStore") + (
        "full(True)\n"
        "for n in range(2000):\n"
        "    store.append(lifecycle.answered(before.record, EventType.HELD, at(1), why='x' * 50))\n"
        "import time; time.sleep(0.3)\n"
        "print(store.stats(Query())['actions'])\n"
        "full(False)\n"
        "print(store.stats(Query())['held'])\n"
        "store.close()"
    )
    told = run(code, str(tmp_path / "ledger.db")).splitlines()
    assert told == ["1", "2000"]


def test_one_record_that_cannot_be_written_fails_no_other(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "ledger.db")
    told: dict[str, object] = {}

    def insert(id: str, **fields: object) -> None:
        try:
            told[id] = store.insert(first(draft(id, **fields)))
        except StoreUnavailable as error:
            told[id] = "\n" not in str(error)

    with store._writing:
        bad = [("bad1", {"wf": "\ud800"}), ("bad2", {"version": 2**70}), ("bad3", {"about": {(1, 2): 3}})]
        jobs = [threading.Thread(target=insert, args=(id,), kwargs=fields) for id, fields in bad]
        jobs += [threading.Thread(target=insert, args=(f"{n:04x}",)) for n in range(5)]
        for job in jobs:
            job.start()
        while len(store._writes) < len(jobs) - 1:  # one of them leads already
            pass
    for job in jobs:
        job.join()
    assert told == dict.fromkeys([*(id for id, _ in bad), *(f"{n:04x}" for n in range(5))], True)
    assert {r.id for r in store.all()} == {f"{n:04x}" for n in range(5)}
    store.close()
