"""The SQL text: schema, numbered migrations, statements. Names no driver."""

from __future__ import annotations

from ledger.records import Record
from ledger.stores.rows import COLUMNS, COUNTED, COUNTERS, LINE, MORE, OWNED, SHORT, STATE

APPLICATION_ID = 0x4C646772
"""PRAGMA application_id of a ledger: "Ldgr"."""

_ADDED_TO_EVENTS = "; ".join(f"ALTER TABLE events ADD COLUMN {c} INTEGER NOT NULL DEFAULT 0" for c in COUNTED)
_SUMS = ", ".join(f"{c} INTEGER NOT NULL" for c in COUNTED)
_COUNTED = ", ".join(COUNTED)
_SUM_OF_COUNTED = ", ".join(f"sum({c})" for c in COUNTED)
BLOCKED = "replayed + refused + held + conflicts"
"""`Record.blocked`. Written so wherever the index of it is to be found."""
_SUM_OF_COUNTERS = ", ".join(f"sum({c})" for c in COUNTERS)

MIGRATIONS: tuple[str, ...] = (
    """
    CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE records (
        seq INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        kind TEXT NOT NULL, tool TEXT NOT NULL, rule TEXT, wf TEXT NOT NULL, caller TEXT,
        content_id TEXT, payload_id TEXT, payload TEXT NOT NULL, version INTEGER NOT NULL,
        status TEXT NOT NULL, owner TEXT NOT NULL, epoch INTEGER NOT NULL, generation INTEGER NOT NULL,
        lease REAL NOT NULL, timeout REAL, spent INTEGER NOT NULL,
        resent INTEGER NOT NULL, released INTEGER NOT NULL, upstream_key TEXT,
        created REAL NOT NULL,
        touched REAL NOT NULL, touched_mono REAL NOT NULL, touched_boot TEXT NOT NULL,
        began REAL NOT NULL, began_mono REAL NOT NULL, began_boot TEXT NOT NULL,
        error TEXT, note TEXT, about TEXT NOT NULL,
        attempts INTEGER NOT NULL, runs INTEGER NOT NULL, failed INTEGER NOT NULL, unknown INTEGER NOT NULL,
        replayed INTEGER NOT NULL, refused INTEGER NOT NULL, held INTEGER NOT NULL, conflicts INTEGER NOT NULL
    );
    CREATE INDEX records_open_content ON records (content_id) WHERE status IN ('running', 'unknown');
    CREATE INDEX records_open_payload ON records (payload_id) WHERE status IN ('running', 'unknown');
    CREATE TABLE results (record TEXT PRIMARY KEY, epoch INTEGER NOT NULL, meta TEXT NOT NULL, body BLOB);
    CREATE TABLE events (
        seq INTEGER PRIMARY KEY,
        at REAL NOT NULL, event TEXT NOT NULL, record TEXT NOT NULL,
        tool TEXT NOT NULL, wf TEXT NOT NULL, caller TEXT, detail TEXT NOT NULL
    );
    """,
    # A claim pays for no screen: rows enter the indexes and the sums when `filing` marks them, many at once.
    f"""
    DROP INDEX records_open_content;
    DROP INDEX records_open_payload;
    ALTER TABLE records ADD COLUMN window REAL;
    ALTER TABLE records ADD COLUMN filed INTEGER NOT NULL DEFAULT 0;
    CREATE INDEX records_open_content ON records (content_id)
        WHERE content_id IS NOT NULL AND status IN ('running', 'unknown');
    CREATE INDEX records_open_payload ON records (payload_id)
        WHERE payload_id IS NOT NULL AND status IN ('running', 'unknown');
    CREATE INDEX records_filed ON records (created) WHERE filed = 1;
    CREATE INDEX records_filed_wf ON records (wf, created) WHERE filed = 1;
    CREATE INDEX records_filed_tool ON records (tool, created) WHERE filed = 1;
    CREATE INDEX records_filed_caller ON records (caller, created) WHERE filed = 1 AND caller IS NOT NULL;
    CREATE INDEX records_filed_status ON records (status, created) WHERE filed = 1 AND status <> 'success';
    ALTER TABLE results RENAME TO results_by_id;
    CREATE TABLE results (seq INTEGER PRIMARY KEY, epoch INTEGER NOT NULL, meta TEXT NOT NULL, body BLOB);
    INSERT INTO results SELECT r.seq, x.epoch, x.meta, x.body FROM results_by_id x JOIN records r ON r.id = x.record;
    DROP TABLE results_by_id;
    {_ADDED_TO_EVENTS};
    ALTER TABLE events ADD COLUMN filed INTEGER NOT NULL DEFAULT 0;
    CREATE INDEX events_filed ON events (record) WHERE filed = 1;
    CREATE TABLE filed (what TEXT PRIMARY KEY, upto INTEGER NOT NULL) WITHOUT ROWID;
    INSERT INTO filed VALUES ('records', 0), ('events', 0);
    CREATE TABLE totals (wf TEXT NOT NULL, tool TEXT NOT NULL, {_SUMS}, PRIMARY KEY (wf, tool)) WITHOUT ROWID;
    CREATE TABLE tools (tool TEXT PRIMARY KEY, {_SUMS}) WITHOUT ROWID;
    INSERT INTO totals SELECT wf, tool, count(*), {_SUM_OF_COUNTERS} FROM records GROUP BY wf, tool;
    INSERT INTO tools SELECT tool, count(*), {_SUM_OF_COUNTERS} FROM records GROUP BY tool;
    CREATE TABLE activity (
        grain INTEGER NOT NULL, tool TEXT NOT NULL, caller TEXT NOT NULL, {_SUMS},
        PRIMARY KEY (grain, tool, caller)
    ) WITHOUT ROWID;
    """,
    # What happened is summed in three spans, so that a sum over ninety days reads hours and not minutes.
    f"""
    CREATE TABLE happened (
        span INTEGER NOT NULL, start INTEGER NOT NULL, tool TEXT NOT NULL, caller TEXT NOT NULL, {_SUMS},
        PRIMARY KEY (span, start, tool, caller)
    ) WITHOUT ROWID;
    INSERT INTO happened SELECT 300, grain * 300, tool, caller, {_COUNTED} FROM activity;
    INSERT INTO happened SELECT 3600, grain / 12 * 3600, tool, caller, {_SUM_OF_COUNTED} FROM activity GROUP BY 2, 3, 4;
    INSERT INTO happened SELECT 0, 0, tool, caller, {_SUM_OF_COUNTED} FROM activity GROUP BY 3, 4;
    DROP TABLE activity;
    """,
    # Orders of lists. An operation that was asked for once is in the first of these indexes only.
    f"""
    CREATE INDEX records_filed_touched ON records (touched) WHERE filed = 1;
    CREATE INDEX records_filed_attempts ON records (attempts) WHERE filed = 1 AND attempts > 1;
    CREATE INDEX records_filed_blocked ON records ({BLOCKED}) WHERE filed = 1 AND {BLOCKED} > 0;
    """,
    # The few that are taken off what waits for a person, without a look at each that waits.
    "CREATE INDEX records_filed_released ON records (status) WHERE filed = 1 AND released = 1;",
)
"""One script per version; `PRAGMA user_version` counts those applied."""


def _literal(start: str | int | None) -> str:
    """What a field is at first, as SQL: nothing, a text, or a number."""
    if start is None:
        return "NULL"
    return f"'{start}'" if isinstance(start, str) else f"{start:d}"


_OPEN = "status IN ('running', 'unknown')"
_SHORT = ", ".join(f"r.{c}" for c in SHORT)
_ALL = ", ".join((_SHORT, *(f"r.{c}" for c in MORE)))
_AND_RESULT = "x.meta, x.body FROM records r LEFT JOIN results x ON x.seq = r.seq AND x.epoch = r.epoch"
_WITH_RESULT = f"SELECT {_ALL}, {_AND_RESULT}"

VALUES = ", ".join("?" * len(COLUMNS))
INSERT = f"INSERT INTO records ({', '.join(COLUMNS)}) VALUES ({VALUES}) ON CONFLICT (id) DO NOTHING"
_SET = ", ".join("about = coalesce(?, about)" if c == "about" else f"{c} = ?" for c in STATE)
_ADD = ", ".join(f"{c} = {c} + ?" for c in COUNTERS)
REPLACE = f"""UPDATE records SET {_SET}, {_ADD}
    WHERE id = ? AND owner = ? AND epoch = ? AND status = ? AND touched = ? AND released = ?"""
_SET_OWNED = ", ".join("about = coalesce(?, about)" if c == "about" else f"{c} = ?" for c in OWNED)
FINISH = f"UPDATE records SET {_SET_OWNED}, {_ADD} WHERE id = ? AND owner = ? AND epoch = ? AND status = ?"
"""As REPLACE, by the owner of the claim: it leaves alone what only a claim changes, and with that most indexes."""
OPEN_TWIN = f"""SELECT EXISTS (SELECT 1 FROM records WHERE content_id = ? AND {_OPEN})
    OR EXISTS (SELECT 1 FROM records WHERE payload_id = ? AND {_OPEN})"""
PUT = f"""INSERT INTO records ({", ".join(COLUMNS)}) VALUES ({VALUES})
    ON CONFLICT (id) DO UPDATE SET {", ".join(f"{c} = excluded.{c}" for c in COLUMNS[1:])}"""
PUT_RESULT = "INSERT OR REPLACE INTO results (seq, epoch, meta, body) SELECT seq, ?, ?, ? FROM records WHERE id = ?"
NEXT_RESULTS = """SELECT x.seq, r.id, x.epoch, x.meta FROM results x JOIN records r ON r.seq = x.seq
    WHERE x.seq > ? AND x.seq <= ? ORDER BY x.seq LIMIT ?"""
RESULT = "SELECT meta, body FROM results WHERE seq = ? AND epoch = ?"
RESEAL = "UPDATE results SET meta = ?, body = ? WHERE seq = ?"
PUT_EVENT = f"""INSERT INTO events ({", ".join((*LINE, *COUNTED))})
    VALUES ({", ".join("?" * len((*LINE, *COUNTED)))})"""
RENEW = """UPDATE records SET touched = ?, touched_mono = ?, touched_boot = ?
    WHERE id = ? AND owner = ? AND epoch = ? AND status = 'running'"""
GET = f"{_WITH_RESULT} WHERE r.id = ?"
_AT_START = " AND ".join(f"r.{c} IS {_literal(getattr(Record, c))}" for c in MORE)
GET_SHORT = f"SELECT {_SHORT}, {_AND_RESULT} WHERE r.id = ? AND {_AT_START}"
"""As GET, of a call that needs no more: each column costs more to hand over than its look here."""
OPEN_PAYLOAD = f"{_WITH_RESULT} WHERE r.payload_id = ? AND r.{_OPEN} LIMIT 1"
OPEN_CONTENT = f"{_WITH_RESULT} WHERE r.content_id = ? AND r.{_OPEN} LIMIT 1"
IS_THERE = "SELECT 1 FROM records WHERE id = ?"
DELETE = "DELETE FROM records WHERE id = ?"
DELETE_RESULT = "DELETE FROM results WHERE seq = (SELECT seq FROM records WHERE id = ?)"
EVENTS = "SELECT seq, at, event, record, tool, wf, caller, detail FROM events"
RECORDS = f"SELECT {_ALL} FROM records r"
# A line that a disk lost hides nothing: what is not filed says so itself.
_FILED_UPTO = "ifnull((SELECT CAST(upto AS INTEGER) FROM filed WHERE what = '{0}'), 0)"
UNFILED_RECORDS = f"r.seq > {_FILED_UPTO.format('records')} AND r.filed = 0"
UNFILED_EVENTS = f"seq > {_FILED_UPTO.format('events')} AND filed = 0"
PROBE = "INSERT OR REPLACE INTO meta (name, value) VALUES ('probed', ?)"
SPANS = (300, 3600, 0)
"""Seconds that `happened` is summed in; 0 is all of the time."""
