"""`ledger show`: the records, or one of them. Reads only."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from ledger.ports import Sort
from ledger.records import Kind, Record, Status
from ledger_console import ledgers, options, screen
from ledger_console.batches import batches, every
from ledger_console.problems import USAGE, Problem
from ledger_console.screen import Column
from ledger_console.text import age, short_ids, visible
from ledger_console.waiting import gone, waits
from ledger_console.when import moment

if TYPE_CHECKING:
    from ledger.ports import Query

SCREENFUL = 200
"""Records a terminal is given unless `--limit` says otherwise."""
COMMANDS = 10
"""Records below a list that come with the command to settle them; the others are counted."""

Before = Annotated[
    str | None, typer.Option("--before", metavar="CURSOR", help="The page after the one that ended with it.")
]
By = Annotated[
    Sort | None,
    typer.Option("--sort", help="What comes first: the newest, the most, or (status) what waits for a person."),
]
Oldest = Annotated[bool, typer.Option("--oldest", help="The other way round: the oldest, or the fewest, first.")]
COLUMNS = (
    Column("record"),
    Column("status"),
    Column("tool"),
    Column("request", long=True),
    Column("attempts", number=True),
    Column("runs", number=True),
    Column("blocked", number=True),
    Column("age", number=True),
    Column("wf"),
    Column("caller"),
    Column("note", long=True),
)


def show(
    first: options.Word = None,
    second: Annotated[
        str | None, typer.Argument(metavar="RECORD", help="Only this one; its id may be shortened.")
    ] = None,
    db: options.Db = None,
    wf: options.Wf = None,
    tool: options.Tool = None,
    status: options.StatusIs = None,
    caller: options.Caller = None,
    since: options.Since = None,
    until: options.Until = None,
    grep: options.Grep = None,
    limit: options.Limit = None,
    sort: By = None,
    oldest: Oldest = False,
    before: Before = None,
    json: options.Json = False,
) -> None:
    """List the records, newest first unless --sort says otherwise, or show one RECORD.

    \b
    Examples:
      ledger show --status unknown
      ledger show --since 24h --grep refund
      ledger show --sort blocked --limit 20
      ledger show 3f2a91c0
    """
    from ledger.ports import Query

    words = [word for word in (first, second) if word is not None]
    where = ledgers.place(db, words)
    wanted = [word for word in words if not ledgers.is_ledger(word)]
    if len(wanted) > 1:
        raise Problem(f"show takes one record; '{wanted[0]}' and '{wanted[1]}' are two", USAGE)
    with ledgers.reading(where) as store:
        if wanted:
            _one(store, ledgers.find(store, wanted[0], where), where, json)
        else:
            times = moment("--since", since), moment("--until", until)
            query = Query(wf, tool, status, caller, since=times[0], until=times[1], grep=grep, oldest=oldest)
            order = sort or Sort.CREATED
            _list(store, replace(query, sort=order, before=_cursor(before, order)), limit, where, json)


def _list(store: ledgers.Reader, query: Query, limit: int | None, where: ledgers.Place, json: bool) -> None:
    if json:
        for record in every(store, replace(query, limit=limit or None)):
            screen.json_line(record.as_dict())
        return
    if limit is None:
        limit = SCREENFUL if sys.stdout.isatty() else 0
    if limit:
        _first(store, query, limit, where)
        return
    stuck: list[Record] = []
    header = True
    for records in batches(store, query):
        _table(records, header)
        stuck += filter(waits, records)
        header = False
    if header:
        _nothing(query)
    _settling(stuck, where)


def _first(store: ledgers.Reader, query: Query, limit: int, where: ledgers.Place) -> None:
    from ledger.ports import cursor

    # One more than is shown, to know whether there is more.
    records = list(every(store, replace(query, limit=limit + 1)))
    shown = records[:limit]
    if not shown:
        _nothing(query)
        return
    _table(shown)
    if len(shown) < len(records):
        count = f"{limit} are" if limit > 1 else "one is"
        screen.aside(f"Only the {_first_of(query)} {count} shown; --limit 0 shows all, and this goes on:")
        screen.aside(f"  --before {cursor(shown[-1], query.sort)}")
    _settling([*filter(waits, shown)], where)


def _first_of(query: Query) -> str:
    if query.sort is not Sort.CREATED:
        return "last" if query.oldest else "first"
    return "oldest" if query.oldest else "newest"


def _nothing(query: Query) -> None:
    everything = type(query)(sort=query.sort, oldest=query.oldest)
    screen.aside("no records" if query == everything else "no records match")


def _cursor(before: str | None, sort: Sort) -> str | None:
    from ledger.ports import place_of

    if before is not None:
        try:
            place_of(before, sort)
        except ValueError:
            raise Problem(f"--before {before}: give what the page before ended with, and its --sort", USAGE) from None
    return before


def _table(records: Sequence[Record], header: bool = True) -> None:
    from ledger import clock

    now, short = clock.now(), short_ids([r.id for r in records])
    rows = [
        (
            short[r.id],
            r.status.value,
            r.tool,
            request(r),
            str(r.attempts),
            str(r.runs),
            str(r.blocked),
            age(now.wall - r.touched.wall),
            r.wf,
            r.caller or "",
            remark(r),
        )
        for r in records
    ]
    screen.table(COLUMNS, rows, header)


def _one(store: ledgers.Reader, record: Record, where: ledgers.Place, json: bool) -> None:
    if json:
        timeline = [event.as_dict() for event in store.timeline(record.id)]
        screen.json_line({**record.as_dict(), "timeline": timeline})
        return
    from ledger_console.record import tell

    tell(record, store.timeline(record.id), request(record), gone(record))
    _settling([*filter(waits, [record])], where)


def request(record: Record) -> str:
    """Method and URL of an HTTP operation, "" for a call."""
    return " ".join(str(record.about[part]) for part in ("method", "url") if record.about.get(part))


def remark(record: Record) -> str:
    """What a person should know of a record: their note, its error, or that nobody works on it any more."""
    said = "; ".join(filter(None, (record.note, record.error)))
    if record.released and record.status is not Status.RUNNING:
        return "; ".join(filter(None, ("the next attempt runs", said)))
    return gone(record) or said


def _settling(stuck: Sequence[Record], where: ledgers.Place) -> None:
    """The command to settle each record that only a person can settle."""
    if not stuck:
        return
    short = short_ids([r.id for r in stuck])
    sys.stdout.flush()
    screen.aside(f"{len(stuck)} without a known outcome: the effect may have happened. Ask the provider, then settle:")
    for record in stuck[:COMMANDS]:
        what = request(record) if record.kind is Kind.HTTP else record.tool
        command = where.hint(f"resolve {short[record.id]}")
        screen.aside(f"  {command} --done   # or --not-done: {visible(what)}")
    if len(stuck) > COMMANDS:
        screen.aside(f"  and {len(stuck) - COMMANDS} more: `{where.hint('unknown')}` lists them")
