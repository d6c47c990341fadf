"""`ledger unknown`: what waits for a person, and the command to type for each. Reads only."""

from __future__ import annotations

import heapq
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import batched, islice
from typing import TYPE_CHECKING

from ledger.records import Record, Status
from ledger_console import ledgers, options, screen
from ledger_console.batches import every
from ledger_console.show import request
from ledger_console.text import age, short_ids, visible
from ledger_console.waiting import gone, waits

if TYPE_CHECKING:
    from ledger.ports import Query

SCREENFUL = 50
"""Operations a terminal is given unless `--limit` says otherwise."""


def unknown(
    word: options.Word = None,
    db: options.Db = None,
    wf: options.Wf = None,
    tool: options.Tool = None,
    caller: options.Caller = None,
    limit: options.Limit = None,
    json: options.Json = False,
) -> None:
    """List the operations whose outcome only a person can find out, oldest first.

    \b
    Examples:
      ledger unknown
      ledger unknown --wf order-42
      ledger unknown --json
    """
    from ledger.ports import Query

    where = ledgers.only_place(db, word)
    with ledgers.reading(where) as store:
        waiting = _waiting(store, Query(wf=wf, tool=tool, caller=caller))
        if json:
            for record in islice(waiting, limit or None):
                screen.json_line(record.as_dict())
            return
        if limit is None:
            limit = SCREENFUL if sys.stdout.isatty() else 0
        count = 0
        for records in batched(islice(waiting, limit or None), SCREENFUL):
            _tell(records, where)
            count += len(records)
        more = bool(limit) and next(waiting, None) is not None
    _end(count, more, where)


def _end(count: int, more: bool, where: ledgers.Place) -> None:
    if not count:
        screen.line("Nothing waits for a person.")
        return
    told = f"Only the {count} oldest are listed; --limit 0 lists all" if more else f"{count} wait{'s' * (count == 1)}"
    screen.aside(
        f"{told}. Ask the provider first; until then duplicates are held, or ask it where their rule says how."
    )
    screen.aside(f"What is known of one: `{where.hint('show RECORD')}`")


def _waiting(store: ledgers.Reader, query: Query) -> Iterator[Record]:
    """The first that was asked for first; however many there are, few are in memory."""
    each = [every(store, replace(query, status=status, oldest=True)) for status in (Status.UNKNOWN, Status.RUNNING)]
    for record in heapq.merge(*each, key=lambda r: r.created.wall):
        if waits(record):
            yield record


def _tell(waiting: Sequence[Record], where: ledgers.Place) -> None:
    from ledger import clock

    now, short = clock.now().wall, short_ids([r.id for r in waiting])
    for record in waiting:
        what = visible(request(record) or record.tool)
        screen.line(f"{short[record.id]}  {what}")
        screen.line(f"  {age(now - record.touched.wall)} ago in {visible(record.wf)}: {visible(_why(record))}")
        if record.upstream_key:
            screen.line(f"  key sent to the provider: {visible(record.upstream_key)}")
        command = where.hint(f"resolve {short[record.id]}")
        screen.line(f"  it happened:       {command} --done")
        screen.line(f"  it did not happen: {command} --not-done")


def _why(record: Record) -> str:
    return gone(record) or record.error or "nobody knows what became of it"
