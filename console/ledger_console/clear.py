"""`ledger clear`: removing records, after saying which and asking. Open ones only by force."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from ledger.records import Record, Status
from ledger_console import ledgers, options, screen
from ledger_console.problems import USAGE, Problem

if TYPE_CHECKING:
    from ledger.ports import Query
    from ledger.stores.sqlite import SqliteStore

CLOSED = (Status.SUCCESS, Status.FAILED)
OPEN = (Status.RUNNING, Status.UNKNOWN)

Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
Force = Annotated[bool, typer.Option("--force", help="Remove running and unknown records, too.")]


def clear(
    word: options.Word = None,
    db: options.Db = None,
    wf: options.Wf = None,
    tool: options.Tool = None,
    status: options.StatusIs = None,
    caller: options.Caller = None,
    yes: Yes = False,
    force: Force = False,
) -> None:
    """Remove records. What is removed runs again when it is asked for again."""
    from ledger.ports import Query

    where = ledgers.only_place(db, word)
    with ledgers.opened(where) as store:
        query = Query(wf, tool, status, caller)
        chosen = _chosen(store, query, (*CLOSED, *OPEN) if force else CLOSED)
        kept = [] if force else _chosen(store, query, OPEN)
        if kept:
            screen.aside(f"Kept: {_counted(kept)}. They are removed with --force only.")
        if not chosen:
            screen.line("Nothing to remove.")
            return
        screen.aside(f"This removes {_counted(chosen)} from {where.path}; the same operations will run again.")
        if not yes:
            _ask()
        screen.line(f"Removed {_counted(_removed(store, chosen)) or 'nothing'}.")


def _chosen(store: SqliteStore, query: Query, among: Sequence[Status]) -> list[Record]:
    wanted = [s for s in among if query.status in (None, s)]
    return [record for status in wanted for record in store.page(replace(query, status=status))]


def _counted(records: Sequence[Record]) -> str:
    """How many of each status, as in "3 success, 1 failed"."""
    counts = Counter(record.status for record in records)
    return ", ".join(f"{counts[status]} {status}" for status in (*CLOSED, *OPEN) if counts[status])


def _ask() -> None:
    if not sys.stdin.isatty():
        raise Problem("nobody to ask: stdin is not a terminal; add --yes", USAGE)
    if not typer.confirm("Remove them?", err=True):
        raise Problem("nothing was removed")


def _removed(store: SqliteStore, records: Sequence[Record]) -> list[Record]:
    """Those that were removed: a record that moved on since it was listed stays."""
    from ledger import clock, lifecycle

    removed = []
    for record in records:
        found = store.get(record.id)
        if found is None or (found.status, found.epoch) != (record.status, record.epoch):
            continue
        status = found.status
        if status is Status.RUNNING:
            if not store.replace(lifecycle.abandon(found, clock.now(), "removed by force")):
                continue
            status = Status.UNKNOWN
        if store.remove([record.id], clock.now(), {status}):
            removed.append(record)
    return removed
