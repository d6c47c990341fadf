"""What `guard.log`, `stats` and `history` tell, and the line that each call prints. Text and numbers only."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, assert_never

from ledger.ports import Query, SyncStore, cursor
from ledger.records import Record, Status
from ledger.steps import Answer, Reply

_SIGNS = {Status.SUCCESS: "✓", Status.FAILED: "✗", Status.RUNNING: "⟳", Status.UNKNOWN: "?"}
_SEEDS = ("actions", "attempts", "executed", "blocked", "failed")
_MORE = ("unknown", "running", "replayed", "refused", "held", "conflicts", "open")


class Stats(dict[str, int]):
    """Totals. Always there: actions, attempts, executed, blocked, failed, as Ledger-Once had them.

    unknown, running, replayed, held and conflicts are there once there are any, and read 0 otherwise.
    """

    def __init__(self, totals: Mapping[str, int]) -> None:
        told = {name: totals[name] for name in _SEEDS}
        # What was simply refused is what `blocked` has beyond the others; `open` repeats `unknown` for screens.
        told.update({n: totals[n] for n in _MORE if totals.get(n) and n not in ("refused", "open")})
        super().__init__(told)

    def __missing__(self, name: str) -> int:
        if name in _MORE:
            return 0
        raise KeyError(name)


def line(reply: Reply) -> str:
    """What the person at the terminal reads of one call."""
    record = reply.record
    sign = {Answer.EXECUTED: "✓", Answer.UNKNOWN: "?"}.get(reply.answer, "✗")
    why = _why(reply.answer, record)
    return f"{sign} {record.tool} ({why})" if why else f"{sign} {record.tool}"


def _why(answer: Answer, record: Record) -> str:
    because = f" — {_short(record.error)}" if record.error else ""
    settle = f"settle it: ledger resolve {record.id} --done, or --not-done"
    match answer:
        case Answer.EXECUTED:
            return ""
        case Answer.FAILED:
            return f"failed{because}"
        case Answer.UNKNOWN:
            return f"may have happened{because}; {settle}"
        case Answer.REPLAYED:
            return f"replayed — already ran at {_clock(record.touched.wall)}"
        case Answer.BLOCKED:
            return f"blocked — already ran at {_clock(record.touched.wall)}"
        case Answer.IN_FLIGHT:
            return f"blocked — running since {_clock(record.began.wall)}"
        case Answer.GONE:
            return "blocked — the caller left"
        case Answer.HELD:
            return f"held — may have happened at {_clock(record.touched.wall)}{because}; {settle}"
        case Answer.CONFLICT:
            return "refused — the same key with other arguments"
        case _:
            assert_never(answer)


def log(records: Iterable[Record]) -> str:
    """Every operation, one line each, in columns."""
    rows = list(records)
    if not rows:
        return "[ledger] nothing recorded yet"
    width = max(len(r.tool) for r in rows)
    return "\n".join(_log_line(r, width) for r in rows)


def history(store: SyncStore, query: Query, identity: str | None) -> list[dict[str, Any]]:
    """Oldest first. identity: of the tool, since two modules may each have one of that name.

    Fewer than `limit` are there only where there are no more.
    """
    found: list[Record] = []
    while True:
        page = store.page(query)
        found += [row for row in page if identity in (None, row.about.get("function", identity))]
        if query.limit is None or len(page) < query.limit or len(found) >= query.limit:
            break
        query = replace(query, before=cursor(page[-1]))
    return [history_of(row) for row in reversed(found[: query.limit])]


def history_of(record: Record) -> dict[str, Any]:
    """One record for scripts: what `ledger show --json` tells, the arguments, and where a page may go on."""
    return {**record.as_dict(), "args": record.about.get("args", {}), "cursor": cursor(record)}


def _log_line(record: Record, width: int) -> str:
    told = f"{_SIGNS[record.status]} {record.tool:<{width}}  attempts {record.attempts:<3} executed {record.runs:<3} "
    told += f"blocked {record.blocked:<3}"
    if record.caller:
        told += f" [{record.caller}]"
    if record.status is Status.UNKNOWN:
        told += f" may have happened; ledger resolve {record.id} --done | --not-done"
    if record.error and record.status is not Status.SUCCESS:
        return f"{told} → {_short(record.error)}"
    return told.rstrip()


def _short(text: str | None) -> str:
    return " ".join((text or "").split())[:100]


def _clock(wall: float) -> str:
    return dt.datetime.fromtimestamp(wall).astimezone().strftime("%H:%M:%S")
