"""`ledger dashboard` and `ledger-dashboard`: starting the dashboard from a command line."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from ledger_console import ledgers, options, screen

PORT = 4242

Port = Annotated[int, typer.Option("--port", min=0, max=65535, metavar="N", help="Where it listens; 0: any free port.")]
ReadOnly = Annotated[bool, typer.Option("--read-only", help="Show only; nothing can be settled or removed.")]


def dashboard(
    word: options.Word = None,
    db: options.Db = None,
    port: Port = PORT,
    read_only: ReadOnly = False,
    open_: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
) -> None:
    """Show the ledger in a browser on this machine, live, until Ctrl-C.

    \b
    Examples:
      ledger dashboard
      ledger dashboard ./ledger.db --read-only --open
    """
    place = ledgers.only_place(db, word)
    _refuse_what_never_works(place)
    from ledger_console.dashboard.serving import serve

    def ready(address: str) -> None:
        screen.line(address)
        screen.aside("Open this address: it lets your browser in, and nobody else's. Ctrl-C stops the dashboard.")
        if open_:
            typer.launch(address)

    serve(place, port, read_only, ready)


def _refuse_what_never_works(place: ledgers.Place) -> None:
    """A file that is no ledger is said at once; one that is not there yet may come."""
    from ledger.errors import NotALedger, StoreUnavailable

    if ledgers.awaited(place):
        screen.aside(f"There is no ledger at {place.path} yet; the dashboard waits for it.")
        return
    try:
        ledgers.view(place).close()
        if not ledgers.writable(place):
            screen.aside(f"{place.path} may only be read from here: nothing can be settled or removed.")
    except NotALedger:
        raise
    except StoreUnavailable as error:
        screen.aside(f"{error}; the dashboard shows when that changes.")


def main() -> int:
    """The `ledger-dashboard` command."""
    from ledger_console.main import main as ledger

    return ledger(["dashboard", *sys.argv[1:]])
