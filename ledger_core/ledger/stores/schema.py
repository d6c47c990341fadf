"""The SQL text: schema, numbered migrations, statements. Names no driver."""

from __future__ import annotations

from ledger.stores.rows import COLUMNS, COUNTERS, STATE

APPLICATION_ID = 0x4C646772
"""PRAGMA application_id of a ledger: "Ldgr"."""

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
)
"""One script per version; `PRAGMA user_version` counts those applied."""

_OPEN = "status IN ('running', 'unknown')"
_ALL = ", ".join(f"r.{c}" for c in COLUMNS)
_WITH_RESULT = f"""SELECT {_ALL}, x.meta, x.body FROM records r
    LEFT JOIN results x ON x.record = r.id AND x.epoch = r.epoch"""

INSERT = f"""INSERT INTO records ({", ".join(COLUMNS)})
    SELECT {", ".join("?" * len(COLUMNS))}
    WHERE NOT EXISTS (SELECT 1 FROM records WHERE content_id = ? AND {_OPEN})
      AND NOT EXISTS (SELECT 1 FROM records WHERE payload_id = ? AND {_OPEN})
    ON CONFLICT (id) DO NOTHING"""
_SET = ", ".join(f"{c} = ?" for c in STATE)
_ADD = ", ".join(f"{c} = {c} + ?" for c in COUNTERS)
REPLACE = f"""UPDATE records SET {_SET}, {_ADD}
    WHERE id = ? AND owner = ? AND epoch = ? AND status = ? AND (? OR (touched = ? AND released = ?))
      AND NOT EXISTS (SELECT 1 FROM records WHERE content_id = ? AND {_OPEN})
      AND NOT EXISTS (SELECT 1 FROM records WHERE payload_id = ? AND {_OPEN})"""
COUNT = f"UPDATE records SET {_ADD} WHERE id = ?"
PUT = f"""INSERT INTO records ({", ".join(COLUMNS)}) VALUES ({", ".join("?" * len(COLUMNS))})
    ON CONFLICT (id) DO UPDATE SET {", ".join(f"{c} = excluded.{c}" for c in COLUMNS[1:])}"""
PUT_RESULT = "INSERT OR REPLACE INTO results (record, epoch, meta, body) VALUES (?, ?, ?, ?)"
PUT_EVENT = "INSERT INTO events (at, event, record, tool, wf, caller, detail) VALUES (?, ?, ?, ?, ?, ?, ?)"
RENEW = """UPDATE records SET touched = ?, touched_mono = ?, touched_boot = ?
    WHERE id = ? AND owner = ? AND epoch = ? AND status = 'running'"""
GET = f"{_WITH_RESULT} WHERE r.id = ?"
OPEN_PAYLOAD = f"{_WITH_RESULT} WHERE r.payload_id = ? AND r.{_OPEN} LIMIT 1"
OPEN_CONTENT = f"{_WITH_RESULT} WHERE r.content_id = ? AND r.{_OPEN} LIMIT 1"
RUNNING = f"SELECT {_ALL} FROM records r WHERE r.{_OPEN} AND r.status = 'running'"
DELETE = "DELETE FROM records WHERE id = ?"
DELETE_RESULT = "DELETE FROM results WHERE record = ?"
EVENTS = "SELECT seq, at, event, record, tool, wf, caller, detail FROM events WHERE seq > ?"
PAGE = f"SELECT {_ALL} FROM records r"
TOTALS = """SELECT count(*), sum(attempts), sum(runs), sum(replayed), sum(refused), sum(held), sum(conflicts),
    sum(failed), sum(unknown), sum(status = 'running'), sum(status = 'unknown') FROM records r"""
