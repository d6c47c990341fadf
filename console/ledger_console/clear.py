"""`ledger clear`: removing records, after saying which and asking. Open ones only by force."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from ledger_console import actions, ledgers, options, screen
from ledger_console.actions import Reason
from ledger_console.problems import USAGE, Problem
from ledger_console.progress import bar
from ledger_console.when import moment

Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
Before = Annotated[str | None, typer.Option("--before", metavar="WHEN", help="First asked before then: 7d or a time.")]
Force = Annotated[bool, typer.Option("--force", help="Remove running and unknown records, too.")]


def clear(
    word: options.Word = None,
    db: options.Db = None,
    wf: options.Wf = None,
    tool: options.Tool = None,
    status: options.StatusIs = None,
    caller: options.Caller = None,
    before: Before = None,
    yes: Yes = False,
    force: Force = False,
    note: options.Note = None,
) -> None:
    """Remove records. What is removed runs again when it is asked for again.

    \b
    Examples:
      ledger clear --tool send_invoice
      ledger clear --wf order-42 --before 7d --yes
    """
    from ledger.ports import Query

    where = ledgers.only_place(db, word)
    with ledgers.opened(where) as store:
        query = Query(wf, tool, status, caller, until=moment("--before", before))
        chosen, kept = actions.removable(store, query, force)
        if kept:
            screen.aside(f"Kept: {actions.told(kept)}. They are removed with --force only.")
        if not chosen:
            screen.line("Nothing to remove.")
            return
        screen.aside(f"This removes {actions.told(chosen)} from {where.path}; the same operations will run again.")
        if any(chosen[status] for status in actions.OPEN):
            screen.aside("Those that are running or unknown may have had their effect, and would have it again.")
        if not yes:
            ask()
        total, reason = chosen.total(), Reason(note, actions.myself())
        with bar("removing") as advance:
            removed = actions.remove_all(store, query, reason, force, lambda gone: advance(gone, total))
        screen.line(f"Removed {actions.told(removed) or 'nothing'}.")


def ask() -> None:
    """Go on only if a person says so. Raises Problem."""
    if not sys.stdin.isatty():
        raise Problem("nobody to ask: stdin is not a terminal; add --yes", USAGE)
    if not typer.confirm("Remove them?", err=True):
        raise Problem("nothing was removed")
