"""`ledger tail`: the journal, live. Reads only what is new."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Annotated

import typer

from ledger.records import Event, EventType, Status, rfc3339
from ledger_console import ledgers, options, screen
from ledger_console.text import SHORT, pairs, visible

if TYPE_CHECKING:
    from ledger.ports import Query
    from ledger.stores.sqlite import SqliteStore

POLL_SECONDS = 0.04
BATCH = 1000

_LEAVES = {
    EventType.CLAIMED: Status.RUNNING,
    EventType.SUCCEEDED: Status.SUCCESS,
    EventType.SETTLED: Status.SUCCESS,
    EventType.REPLAYED: Status.SUCCESS,
    EventType.FAILED: Status.FAILED,
    EventType.UNKNOWN: Status.UNKNOWN,
    EventType.EXPIRED: Status.UNKNOWN,
    EventType.HELD: Status.UNKNOWN,
}
_STYLES = {
    EventType.REPLAYED: "bold green",
    EventType.BLOCKED: "magenta",
    EventType.CONFLICT: "magenta",
    EventType.WARNING: "yellow",
}

Lines = Annotated[int, typer.Option("-n", min=0, metavar="N", help="Start with the last N lines of the journal.")]
Limit = Annotated[int, typer.Option("--limit", min=0, metavar="N", help="Stop after N events; 0 for never.")]
Follow = Annotated[bool, typer.Option("--follow/--no-follow", help="Go on until Ctrl-C.")]


def tail(
    word: options.Word = None,
    db: options.Db = None,
    wf: options.Wf = None,
    tool: options.Tool = None,
    status: options.StatusIs = None,
    caller: options.Caller = None,
    lines: Lines = 10,
    follow: Follow = True,
    limit: Limit = 0,
    json: options.Json = False,
) -> None:
    """Show what happens, as it happens."""
    from ledger.ports import Query

    show = _as_json if json else _as_row() if screen.fancy() else _as_line
    try:
        with ledgers.opened(ledgers.only_place(db, word)) as store:
            journal = _journal(store, Query(wf=wf, tool=tool, caller=caller), lines, follow)
            wanted = (event for event in journal if status in (None, leaves(event)))
            for event in islice(wanted, limit or None):
                show(event)
    except KeyboardInterrupt:
        return


def leaves(event: Event) -> Status | None:
    """The status that the event left its record in; None where the event alone does not tell."""
    if event.event is EventType.RESOLVED:
        return Status.SUCCESS if event.detail.get("done") else Status.FAILED
    return _LEAVES.get(event.event)


def _journal(store: SqliteStore, query: Query, lines: int, follow: bool) -> Iterator[Event]:
    """The last `lines` of the journal that match, then what is committed from now on."""
    # The version is read before the journal: a commit between the two is then seen as a change, not missed.
    version = store.data_version()
    seen = max(0, store.last_seq() - lines)
    while True:
        end = store.last_seq()
        while batch := store.events(seen, BATCH, query):
            yield from batch
            seen = batch[-1].seq
        # Lines up to here that did not match are not read again.
        seen = max(seen, end)
        if not follow:
            return
        version = _changed(store, version)


def _changed(store: SqliteStore, version: int) -> int:
    """Wait for the next commit; its version."""
    while (now := store.data_version()) == version:
        time.sleep(POLL_SECONDS)
    return now


def _as_json(event: Event) -> None:
    screen.json_line(event.as_dict())


def _as_line(event: Event) -> None:
    """Fields separated by tabs: a stream cannot know how wide its columns will be."""
    fields = (rfc3339(event.at), event.event.value, event.record, event.tool, event.wf, event.caller or screen.EMPTY)
    screen.line("\t".join(visible(field) for field in (*fields, pairs(event.detail))))


def _as_row() -> Callable[[Event], None]:
    """A coloured printer for a terminal."""
    from rich.text import Text

    console = screen.console()

    def show(event: Event) -> None:
        status = leaves(event)
        style = _STYLES.get(event.event) or screen.STYLES.get(status or "", "")
        row = Text().append(f"{datetime.fromtimestamp(event.at):%H:%M:%S}  ", style="dim")
        row.append(f"{event.event.value:<9}  ", style=style)
        row.append(f"{visible(event.record[:SHORT])}  ")
        row.append(f"{visible(event.tool)}  ", style="bold")
        row.append(f"{visible(event.wf)}{visible(f'/{event.caller}' if event.caller else '')}  ")
        row.append(visible(pairs(event.detail)), style="dim")
        console.print(row, soft_wrap=True)

    return show
