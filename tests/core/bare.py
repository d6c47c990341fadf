"""Six-method stores as users of Ledger-Once wrote them: its fields, an atomic `claim`, and nothing else of Ledger's."""

from __future__ import annotations

import asyncio
import json
import threading
from datetime import datetime
from typing import Any

from ledger import Record, Status


class DictStore:
    """Keeps text, as a database would, column by column. Only `claim` is safe for threads."""

    def __init__(self) -> None:
        self.rows: dict[str, str] = {}
        self._lock = threading.Lock()

    def get(self, id: str) -> Record | None:
        text = self.rows.get(id)
        return None if text is None else _record(json.loads(text))

    def claim(self, r: Record) -> bool:
        with self._lock:
            return self.rows.setdefault(r.id, text := _text(r)) is text

    def put(self, r: Record) -> None:
        self.rows[r.id] = _text(r)

    def delete(self, id: str) -> None:
        self.rows.pop(id, None)

    def all(self, wf: str | None = None) -> list[Record]:
        records = [_record(json.loads(text)) for text in list(self.rows.values())]
        return [r for r in records if r.wf == wf] if wf else records

    def clear(self, wf: str | None = None) -> None:
        for r in self.all(wf):
            self.delete(r.id)


class AwaitedDictStore:
    """The same with coroutine functions."""

    def __init__(self) -> None:
        self.plain = DictStore()

    async def get(self, id: str) -> Record | None:
        await asyncio.sleep(0)
        return self.plain.get(id)

    async def claim(self, r: Record) -> bool:
        await asyncio.sleep(0)
        return self.plain.claim(r)

    async def put(self, r: Record) -> None:
        self.plain.put(r)

    async def delete(self, id: str) -> None:
        self.plain.delete(id)

    async def all(self, wf: str | None = None) -> list[Record]:
        return self.plain.all(wf)

    async def clear(self, wf: str | None = None) -> None:
        self.plain.clear(wf)


def _text(r: Record) -> str:
    """The columns of Ledger-Once's own table."""
    return json.dumps({
        "id": r.id, "tool": r.tool, "args": r.args, "wf": r.wf, "created": r.created.isoformat(),
        "touched": r.touched.isoformat(), "since": r.since.isoformat() if r.since else None,
        "status": r.status.value, "attempts": r.attempts, "runs": r.runs, "blocked": r.blocked,
        "result": r.result, "error": r.error, "caller": r.caller,
    })  # fmt: skip


def _record(row: dict[str, Any]) -> Record:
    times = {name: datetime.fromisoformat(row[name]) if row[name] else None for name in ("created", "touched", "since")}
    return Record(**{**row, **times, "status": Status(row["status"])})
