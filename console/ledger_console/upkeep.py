"""`ledger backup`, `purge`, `vacuum` and `encrypt`: looking after the file. What a ledger file is, `ledgers` knows."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ledger_console import actions, ledgers, options, screen
from ledger_console.actions import Reason
from ledger_console.clear import Yes, ask
from ledger_console.problems import USAGE, Problem
from ledger_console.progress import Advance, bar
from ledger_console.when import moment

if TYPE_CHECKING:
    from ledger.records import Record, Status
    from ledger.stores.sqlite import SqliteStore

Target = Annotated[str, typer.Argument(metavar="FILE", help="Where the copy goes; it must not exist.")]
OlderThan = Annotated[str, typer.Option("--older-than", metavar="WHEN", help="Untouched since: 30d, 24h or a time.")]


def backup(target: Target, db: options.Db = None) -> None:
    """Copy the ledger to FILE while it is in use; the copy is a ledger.

    \b
    Examples:
      ledger backup ledger-2026-11-24.db
    """
    where = ledgers.place(db)
    if Path(target).exists():
        raise Problem(f"{target} exists already; give another name", USAGE)
    if not Path(target).absolute().parent.is_dir():
        raise Problem(f"there is no folder {Path(target).parent}; make it, or give another FILE", USAGE)
    with bar("copying") as advance:
        ledgers.copy(where, target, advance)
    screen.line(f"Copied {where.path} to {target} ({Path(target).stat().st_size:,} bytes).")


def purge(
    older_than: OlderThan,
    word: options.Word = None,
    db: options.Db = None,
    yes: Yes = False,
    note: options.Note = None,
) -> None:
    """Remove records that ended and were not touched for long; never running or unknown ones.

    \b
    Examples:
      ledger purge --older-than 90d
    """
    limit = moment("--older-than", older_than) or time.time()
    where, reason, removed = ledgers.only_place(db, word), Reason(note, actions.myself()), 0
    with ledgers.opened(where) as store:
        with bar("counting") as advance:
            found = _counted(store, limit, advance)
        if not found:
            screen.line("Nothing is that old.")
            return
        screen.aside(f"This removes {actions.told(found)} from {where.path}; the same operations will run again.")
        if not yes:
            ask()
        with bar("removing") as advance:
            for records in actions.behind(_old(store, limit)):
                removed += actions.remove(store, records, reason).total()
                advance(removed, found.total())
    screen.line(f"Removed {removed} record{'s' * (removed != 1)}. `{where.hint('vacuum')}` gives the space back.")


def _counted(store: SqliteStore, limit: float, advance: Advance) -> Counter[Status]:
    from ledger.ports import Query

    found: Counter[Status] = Counter()
    total = store.stats(Query())["actions"]
    for records in _old(store, limit):
        found.update(record.status for record in records)
        advance(found.total(), total)
    return found


def _old(store: SqliteStore, limit: float) -> Iterator[list[Record]]:
    """What ended and was last touched before then, the longest untouched first, some at a time."""
    from ledger.ports import Query, Sort

    for records in actions.pages(store, Query(sort=Sort.TOUCHED, oldest=True)):
        yield [r for r in records if r.status in actions.CLOSED and r.touched.wall < limit]
        if records[-1].touched.wall >= limit:
            return


def vacuum(word: options.Word = None, db: options.Db = None) -> None:
    """Give the space of removed records back to the disk. Claims wait meanwhile: do it in a quiet hour.

    \b
    Examples:
      ledger vacuum --db /var/lib/ledger/ledger.db
    """
    where = ledgers.only_place(db, word)
    with bar("rewriting") as advance:
        before, after = ledgers.compact(where, lambda: advance(0, 0))
    screen.line(f"{where.path}: {before:,} bytes before, {after:,} after.")


def encrypt(word: options.Word = None, db: options.Db = None) -> None:
    """Encrypt every kept response under the first key, whatever key it was under, or none.

    After a change of keys: the new one first, the old ones behind it, then this, then drop the old ones.

    \b
    Examples:
      LEDGER_ENCRYPTION_KEY="$NEW,$OLD" ledger encrypt --db ledger.db
    """
    where = ledgers.only_place(db, word)
    with bar("encrypting") as advance:
        done = ledgers.encrypt(where, advance)
    screen.line(f"{where.path}: {done:,} kept response{'s' * (done != 1)} encrypted; the others were already.")
