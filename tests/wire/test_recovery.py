"""A sidecar killed over a large ledger: it answers at once when it is back, and says of every record what it knows."""

from __future__ import annotations

import contextlib
import sqlite3
import subprocess
import sys
from pathlib import Path

from tests.upstream import Upstream
from tests.wire.raw import wait_until
from tests.wire.sidecars import running, start

RECORDS, RUNNING = 100_000, 1_000
DEAD = "from ledger import owners; print(owners.new_token())"
CHANGED = {
    "seq": "NULL",
    "id": "printf('%032x', n)",
    "content_id": "printf('c%031x', n)",
    "payload_id": "printf('p%031x', n)",
    "owner": ":dead",
    "filed": "0",
    "status": "CASE WHEN n <= :running THEN 'running' ELSE 'success' END",
    "runs": "n > :running",
}


def filled(db: Path, like: str, records: int, running: int) -> None:
    """Write so many records like one that is there; the first of them are running, and their owner is dead."""
    dead = subprocess.run([sys.executable, "-c", DEAD], capture_output=True, text=True, check=True).stdout.strip()
    with contextlib.closing(sqlite3.connect(db, isolation_level=None)) as opened:
        columns = [row[1] for row in opened.execute("PRAGMA table_info(records)")]
        values = ", ".join(CHANGED.get(column, column) for column in columns)
        opened.execute("PRAGMA synchronous = OFF")
        opened.execute("BEGIN IMMEDIATE")
        opened.execute(
            f"""WITH RECURSIVE counted(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM counted WHERE n < :records)
            INSERT INTO records ({", ".join(columns)}) SELECT {values} FROM records, counted WHERE id = :like""",
            {"records": records, "running": running, "dead": dead, "like": like},
        )
        opened.execute("COMMIT")


def test_a_hundred_thousand_records_are_classified_and_none_is_forgotten(tmp_path: Path, upstream: Upstream) -> None:
    sidecar = start(tmp_path / "s", upstream)
    assert sidecar.post("/ok/charges").headers["ledger-outcome"] == "executed"
    (known,) = sidecar.records()
    filled(sidecar.db, known["id"], RECORDS, RUNNING)
    sidecar.kill()
    with running(tmp_path / "s", upstream) as back:
        assert back.post("/ok/charges").headers["ledger-outcome"] == "replayed"
        wait_until(lambda: not any(status == "running" for status, _ in told(back.db)), timeout=60)
        died = "its owner died before the outcome was recorded"
        assert told(back.db) == {("success", None): RECORDS - RUNNING + 1, ("unknown", died): RUNNING}
    assert len(upstream.effects()) == 1


def told(db: Path) -> dict[tuple[str, str | None], int]:
    """How many records have this status and this error."""
    with contextlib.closing(sqlite3.connect(f"file:{db}?mode=ro", uri=True)) as opened:
        rows = opened.execute("SELECT status, error, count(*) FROM records GROUP BY status, error")
        return {(status, error): count for status, error, count in rows}
