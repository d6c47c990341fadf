"""A disk that fails: nothing is claimed on a write that may be lost, no count is lost that may be kept."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ledger import lifecycle
from ledger.errors import NotALedger, StoreUnavailable
from ledger.ports import Query
from ledger.records import EventType
from ledger.stores import engine
from ledger.stores.sqlite import SqliteStore
from ledger.stores.sqlite_async import AsyncSqliteStore
from tests.core.world import at, draft, first

ROOT = Path(__file__).parents[2]
CLAIM_TWELVE = """
import sys
from ledger.errors import NotALedger, StoreUnavailable
from ledger.stores.sqlite import SqliteStore
from tests.core.world import AwaitedStore, draft, first
store = (SqliteStore if sys.argv[1] == "sync" else AwaitedStore)(sys.argv[2])
for n in range(12):
    try:
        print(store.insert(first(draft(f"{n:04x}"))))
    except StoreUnavailable as error:
        print(error)
"""


@pytest.mark.parametrize("kind", ["sync", "async"])
@pytest.mark.parametrize("fails", [9, 12])
def test_after_one_failed_fsync_nothing_more_is_written(tmp_path: Path, kind: str, fails: int) -> None:
    """The disk is well again at once, and still nobody believes it: the kernel may have dropped what it had."""
    if shutil.which("strace") is None:
        if os.environ.get("LEDGER_REQUIRE_REAL") == "1":
            pytest.fail("strace is missing; install strace")
        pytest.skip("strace is missing; install strace")
    if subprocess.run(["strace", "-o", "/dev/null", "true"], check=False, capture_output=True).returncode:
        pytest.skip("this kernel lets nobody trace a process")
    path = tmp_path / "ledger.db"
    inject = ["-e", "trace=fdatasync", "-e", f"inject=fdatasync:error=EIO:when={fails}"]
    ran = subprocess.run(
        ["strace", "-f", "-qq", "-o", "/dev/null", *inject, sys.executable, "-c", CLAIM_TWELVE, kind, str(path)],
        capture_output=True, text=True, check=True, timeout=60, cwd=ROOT,
    )  # fmt: skip
    said = ran.stdout.splitlines()
    claimed = said.index(next(line for line in said if line != "True"))
    assert 0 < claimed < 12, said
    assert all("not written any more" in line or "disk I/O error" in line for line in said[claimed:]), said
    assert "restart Ledger" in said[-1]
    after = SqliteStore(path)
    # The claim whose fsync failed may be on the disk or not; its caller was told that it is not, and ran nothing.
    assert after.stats(Query())["actions"] in (claimed, claimed + 1)
    assert after.insert(first(draft("ffff")))
    after.close()


async def test_counts_wait_until_the_ledger_takes_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = AsyncSqliteStore(tmp_path / "ledger.db")
    change = first()
    await store.insert(change)
    full = True
    apply = engine._apply

    def refusing(db: object, op: object) -> int:
        if full and isinstance(op, engine.Append):
            raise StoreUnavailable("disk full")
        return apply(db, op)  # type: ignore[arg-type]

    monkeypatch.setattr(engine, "_apply", refusing)
    monkeypatch.setattr("ledger.stores.sqlite_async.RETRY_SECONDS", 0.01)
    for _ in range(3):
        store.append(lifecycle.answered(change.record, EventType.BLOCKED, at(1)))
    with pytest.raises(StoreUnavailable, match="disk full"):
        await store.flush()
    store.append(lifecycle.answered(change.record, EventType.BLOCKED, at(2)))
    await asyncio.sleep(0.3)
    full = False
    while (await store.look(draft())).refused < 4:  # type: ignore[union-attr]
        await asyncio.sleep(0.01)
    await store.close()


def test_a_screen_makes_no_ledger_of_an_empty_file(tmp_path: Path) -> None:
    (tmp_path / "ledger.db").touch()
    with pytest.raises(NotALedger, match="is empty: nothing was recorded there yet"):
        SqliteStore(tmp_path / "ledger.db", create=False)
    assert (tmp_path / "ledger.db").stat().st_size == 0


def test_a_ledger_deleted_while_it_is_open_takes_no_claim(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "ledger.db")
    for path in tmp_path.iterdir():
        path.unlink()
    with pytest.raises(StoreUnavailable, match="cannot be used: No such file"):
        store.insert(first())
    store.close()
