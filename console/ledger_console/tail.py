"""`ledger tail`: the journal, live. Reads only what is new."""

from __future__ import annotations

import contextlib
from datetime import datetime
from itertools import islice
from typing import Annotated

import typer

from ledger.records import Event, EventType, Status, rfc3339
from ledger_console import ledgers, options, screen
from ledger_console.dashboard.words import detail
from ledger_console.following import journal
from ledger_console.screen import BOLD, DIM, PLAIN, STYLES, Style, styled
from ledger_console.text import SHORT, pairs, visible

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
_STYLES: dict[EventType, Style] = {
    EventType.REPLAYED: {"fg": "green", "bold": True},
    EventType.BLOCKED: {"fg": "magenta"},
    EventType.CONFLICT: {"fg": "magenta"},
    EventType.WARNING: {"fg": "yellow"},
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
    """Show what happens, as it happens, also when another file takes the ledger's place; one that is not there yet
    is waited for.

    \b
    Examples:
      ledger tail
      ledger tail --tool stripe/create --status unknown
      ledger tail --json --no-follow -n 1000
    """
    from ledger.ports import Query

    show = _as_json if json else _as_row if screen.fancy() else _as_line
    try:
        query = Query(wf=wf, tool=tool, caller=caller)
        with contextlib.closing(journal(ledgers.only_place(db, word), query, lines, follow)) as events:
            wanted = (event for event in events if status in (None, leaves(event)))
            told = False
            for event in islice(wanted, limit or None):
                show(event)
                told = True
    except KeyboardInterrupt:
        return
    if not (told or json):
        screen.aside("no events" if (query, status) == (Query(), None) else "no events match")


def leaves(event: Event) -> Status | None:
    """The status that the event left its record in; None where the event alone does not tell."""
    if event.event is EventType.RESOLVED:
        return Status.SUCCESS if event.detail.get("done") else Status.FAILED
    return _LEAVES.get(event.event)


def _as_json(event: Event) -> None:
    screen.json_line(event.as_dict())


def _as_line(event: Event) -> None:
    """Fields separated by tabs: a stream cannot know how wide its columns will be."""
    fields = (rfc3339(event.at), event.event.value, event.record, event.tool, event.wf, event.caller or screen.EMPTY)
    screen.line("\t".join(visible(field) for field in (*fields, pairs(event.detail))))


def _as_row(event: Event) -> None:
    """In colours, for a terminal."""
    style = _STYLES.get(event.event) or STYLES.get(leaves(event) or "", PLAIN)
    who = f"{visible(event.wf)}{visible(f'/{event.caller}' if event.caller else '')}"
    fields = (
        styled(f"{datetime.fromtimestamp(event.at):%H:%M:%S}", DIM),
        styled(f"{event.event.value:<9}", style),
        visible(event.record[:SHORT]),
        styled(visible(event.tool), BOLD),
        who,
        styled(visible(detail(event)), DIM),
    )
    screen.line("  ".join(filter(None, fields)))
