"""A ledger of very many records, as a year of sweeps would have left it: written by SQL, filed, no journal wait."""

from __future__ import annotations

import hashlib
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ledger.records import Instant, Record, Status
from ledger.stores.rows import COLUMNS, COUNTED, COUNTERS, counter_row, fixed_row, state_row
from ledger.stores.sqlite import SqliteStore

TOOLS = ("charge", "mail", "ship", "stripe/create", "notify")


def ledger(path: Path, count: int) -> Path:
    """Make it."""
    SqliteStore(path, "normal").close()
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA synchronous = OFF")
    db.execute("BEGIN")
    insert = f"INSERT INTO records ({', '.join(COLUMNS)}, filed) VALUES ({', '.join('?' * len(COLUMNS))}, 1)"
    db.executemany(insert, _rows(count))
    sums = ", ".join(f"sum({name})" for name in COUNTERS)
    db.execute(f"INSERT INTO totals SELECT wf, tool, count(*), {sums} FROM records GROUP BY wf, tool")
    db.execute(
        f"INSERT INTO tools SELECT tool, {', '.join(f'sum({name})' for name in COUNTED)} FROM totals GROUP BY tool"
    )
    db.execute("UPDATE filed SET upto = (SELECT max(seq) FROM records) WHERE what = 'records'")
    db.execute("COMMIT")
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
    return path


def _again(number: int) -> int:
    """How many duplicates came of it: of every eleventh operation up to 39."""
    return number % 40 if number % 11 == 0 else 0


def _rows(count: int) -> Iterator[tuple[Any, ...]]:
    begun = time.time() - count * 7
    for number in range(count):
        at = Instant(begun + number * 7)
        record = Record(
            id=hashlib.sha256(str(number).encode()).hexdigest()[:32],
            tool=TOOLS[number % len(TOOLS)],
            wf=f"order-{number // 20}",
            caller=f"agent-{number % 7}",
            status=Status.SUCCESS if number % 100 else Status.UNKNOWN,
            owner="boot:1:2:3:x",
            epoch=1,
            generation=1,
            spent=1,
            created=at,
            touched=at,
            began=at,
            attempts=1 + _again(number),
            replayed=_again(number),
            runs=int(number % 100 > 0),
            unknown=int(number % 100 == 0),
            about={"function": "shop.charge", "args": {"order": f"A-{number}", "amount": 4900}},
        )
        yield (*fixed_row(record), *state_row(record), *counter_row(record))
