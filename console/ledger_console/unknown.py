"""`ledger unknown`: what waits for a person, and the command to type for each. Reads only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from ledger.records import Record, Status
from ledger_console import ledgers, options, screen
from ledger_console.show import gone, request
from ledger_console.text import age, short_ids, visible

if TYPE_CHECKING:
    from ledger.ports import Query


def unknown(
    word: options.Word = None,
    db: options.Db = None,
    wf: options.Wf = None,
    tool: options.Tool = None,
    caller: options.Caller = None,
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
        for record in waiting:
            screen.json_line(record.as_dict())
        return
    if not waiting:
        screen.line("Nothing waits for a person.")
        return
    _tell(waiting, where)


def _waiting(store: ledgers.Reader, query: Query) -> list[Record]:
    found = store.page(replace(query, status=Status.UNKNOWN)) + store.page(replace(query, status=Status.RUNNING))
    stuck = [r for r in found if not r.released and (r.status is Status.UNKNOWN or gone(r))]
    return sorted(stuck, key=lambda r: r.touched.wall)


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
    count = len(waiting)
    screen.aside(f"{count} wait{'s' * (count == 1)}. Ask the provider first; until then duplicates are held.")


def _why(record: Record) -> str:
    return gone(record) or record.error or "nobody knows what became of it"
