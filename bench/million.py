"""A ledger of very many records, as a year of sweeps would have left it: with results and journal, filed, by SQL.

A million are a gigabyte.
"""

from __future__ import annotations

import hashlib
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ledger.records import Instant, Record, Status
from ledger.stores.rows import COLUMNS, COUNTED, COUNTERS, counter_row, fixed_row, state_row
from ledger.stores.schema import SPANS
from ledger.stores.sqlite import SqliteStore

TOOLS = ("charge", "mail", "ship", "stripe/create", "notify")
ANSWER = 300
"""Bytes of each result."""
_ADDED = ", ".join(COUNTED)
_NOTHING = dict.fromkeys(COUNTED, "0")
_LINES = (
    ("claimed", "1", _NOTHING | {"actions": "1", "attempts": "1"}),
    ("succeeded", "runs = 1", _NOTHING | {"runs": "1"}),
    ("unknown", "unknown = 1", _NOTHING | {"unknown": "1"}),
    ("replayed", "replayed > 0", _NOTHING | {"attempts": "replayed", "replayed": "replayed"}),
)
"""Of each record: the event, of which records there is a line, and what that adds. All replays are one line."""


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
    _keep(db)
    for what in ("records", "events"):
        db.execute(f"UPDATE filed SET upto = (SELECT max(seq) FROM {what}) WHERE what = '{what}'")
    db.execute("COMMIT")
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
    return path


def _keep(db: sqlite3.Connection) -> None:
    """What the records came to, the journal, and its sums."""
    db.execute(
        'INSERT INTO results SELECT seq, epoch, \'{"kind":"json"}\', randomblob(?) FROM records WHERE runs = 1',
        (ANSWER,),
    )
    for event, which, adds in _LINES:
        db.execute(
            f"INSERT INTO events (at, event, record, tool, wf, caller, detail, {_ADDED}, filed) "
            f"SELECT created, '{event}', id, tool, wf, caller, '{{}}', {', '.join(adds.values())}, 1 "
            f"FROM records WHERE {which}"
        )
    for span in SPANS:
        start = f"CAST(at / {span} AS INTEGER) * {span}" if span else "0"
        sums = ", ".join(f"sum({name})" for name in COUNTED)
        db.execute(f"INSERT INTO happened SELECT {span}, {start}, tool, caller, {sums} FROM events GROUP BY 2, 3, 4")


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
