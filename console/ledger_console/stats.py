"""`ledger stats`: totals, who asked for what, and when duplicates were prevented. Reads only."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from ledger.ports import Dimension
from ledger_console import ledgers, options, screen, waiting
from ledger_console.screen import DIM, GAP, styled
from ledger_console.text import age
from ledger_console.when import moment

if TYPE_CHECKING:
    from ledger.ports import Query

BAR = 40
"""Characters of the duplicate-rate bar."""
GROUPS = 10
"""Lines of a breakdown; `ledger stats --json` has them all."""
STRETCHES = 24
_BLOCKS = "▁▂▃▄▅▆▇█"
_SPANS = ((86_400.0, 3600), (7 * 86_400.0, 6 * 3600), (30 * 86_400.0, 86_400))
"""How long a time is drawn in stretches of how many seconds."""

ORDER = (
    "actions",
    "attempts",
    "executed",
    "blocked",
    "replayed",
    "refused",
    "held",
    "conflicts",
    "failed",
    "unknown",
    "running",
    "unresolved",
)

type Observed = Mapping[str, int] | None

By = Annotated[
    Dimension | None, typer.Option("--by", help="One line for each tool (or rule), each workflow, or each caller.")
]
Watch = Annotated[bool, typer.Option("--watch", help="Again whenever something happens, until Ctrl-C.")]


def stats(
    word: options.Word = None,
    db: options.Db = None,
    wf: options.Wf = None,
    tool: options.Tool = None,
    status: options.StatusIs = None,
    caller: options.Caller = None,
    since: options.Since = None,
    until: options.Until = None,
    by: By = None,
    watch: Watch = False,
    json: options.Json = False,
) -> None:
    """Totals, the share of attempts that were duplicates, and who asked for what.

    \b
    Examples:
      ledger stats --since 24h
      ledger stats --by caller
      ledger stats --watch
    """
    from ledger.ports import Query

    query = Query(wf, tool, status, caller, since=moment("--since", since), until=moment("--until", until))
    where = ledgers.only_place(db, word)
    show = _show(where, query, by, json)
    if watch:
        _watch(where, show, json)
        return
    with ledgers.reading(where) as store:
        show(store)
        if by is None and not json and query == Query():
            _last(store)


def _show(where: ledgers.Place, query: Query, by: Dimension | None, json: bool) -> Callable[[ledgers.Reader], None]:
    if by is not None:
        return lambda store: _grouped(store, query, by, json)
    observed = _observed(where, query)
    if json:
        return lambda store: _totals_json(store, query, observed)
    return lambda store: _totals(store, where, query, observed)


def _observed(where: ledgers.Place, query: Query) -> Observed:
    """What was recorded without being enforced: attempts, and how many of them would have been prevented."""
    beside = ledgers.observed(where)
    if beside is None:
        return None
    with ledgers.reading(beside) as store:
        totals = store.stats(query)
    return {"attempts": totals["attempts"], "prevented": totals["blocked"]}


def _watch(where: ledgers.Place, show: Callable[[ledgers.Reader], None], json: bool) -> None:
    """Until Ctrl-C. A ledger that is removed or replaced is waited for, as by `tail`."""
    from ledger_console.following import successor, version_of

    view = ledgers.followed(where)
    try:
        while True:
            shown = version_of(view)
            if screen.fancy() and not json:
                screen.clear()
            show(view)
            while view.current() and version_of(view) == shown:
                time.sleep(0.2)
            if not view.current():
                view.close()
                view = successor(where)
    except KeyboardInterrupt:
        return
    finally:
        view.close()


def _named(totals: Mapping[str, int]) -> dict[str, int]:
    """ "open" counts the records that wait for a person; scripts read it under a name that says so."""
    told = {**totals, "unresolved": totals["open"]}
    return {name: told[name] for name in ORDER}


def _totals_json(store: ledgers.Reader, query: Query, observed: Observed) -> None:
    screen.json_line({**_named(waiting.totals(store, query)), **({"observed": observed} if observed else {})})


def _totals(store: ledgers.Reader, where: ledgers.Place, query: Query, observed: Observed) -> None:
    totals = _named(waiting.totals(store, query))
    width = max(map(len, ORDER))
    for name in ORDER:
        screen.line(f"{name:<{width}}  {totals[name]:>8}")
    _bar(totals, width)
    _drawn(store, query, width)
    for by in (Dimension.TOOL, Dimension.CALLER):
        _breakdown(store, where, query, by, totals["attempts"])
    if observed:
        seen, prevented = observed["attempts"], observed["prevented"]
        screen.line(f"{seen} attempts were only observed; {prevented} of them would have been prevented")
    if totals["unresolved"]:
        count = totals["unresolved"]
        screen.aside(f"{count} wait{'s' * (count == 1)} for a person: `{where.hint('unknown')}` lists them.")


def _last(store: ledgers.Reader) -> None:
    """When anything happened last: where all is quiet, whether that is as it should be."""
    from ledger.ports import Query

    last = store.events(store.last_seq() - 1, 1)
    if last:
        screen.aside(f"The last event was {age(time.time() - last[0].at)} ago.")
    elif not store.stats(Query())["attempts"]:
        screen.aside("Nothing was asked yet.")


def _bar(totals: Mapping[str, int], width: int) -> None:
    attempts, blocked = totals["attempts"], totals["blocked"]
    rate = blocked / attempts if attempts else 0.0
    percent, said = f"{rate:.1%}", f"({blocked} of {attempts} attempts were answered without running again)"
    room = screen.width() - width - len(f"  {percent}") if screen.fancy() else 0
    if room < BAR + GAP:
        screen.line(f"{'duplicates':<{width}}  {percent}  {said}")
        return
    full = round(rate * BAR)
    bar = styled("█" * full, {"fg": "green"}) + styled("░" * (BAR - full), DIM)
    # In one line where it has room, else the sentence stands below its bar.
    between = "  " if room >= BAR + 2 * GAP + len(said) else f"\n{' ' * (width + GAP)}"
    screen.line(f"{'duplicates':<{width}}  {bar}  {percent}{between}{said}")


def _drawn(store: ledgers.Reader, query: Query, width: int) -> None:
    """Duplicates prevented over time, for a terminal: a list of numbers is `--json`'s."""
    if not screen.fancy() or query.status is not None:
        return
    now = time.time()
    length = now - (query.since if query.since is not None else now - _SPANS[0][0])
    seconds = next((stretch for span, stretch in _SPANS if length <= span + 1), 7 * 86_400)
    start = now - seconds * STRETCHES
    # From there only: of a year all hours would be summed.
    found = store.activity(query if query.since is not None else replace(query, since=start), seconds)
    counts = [0] * STRETCHES
    for at, sums in found.items():
        place = int((at - start) // seconds)
        if 0 <= place < STRETCHES:
            counts[place] += sums["blocked"]
    if any(counts):
        span = f"{seconds // 3600} h" if seconds < 86_400 else f"{seconds // 86_400} d"
        screen.line(f"{'prevented':<{width}}  {sparkline(counts)}  (each {span}, now at the right)")


def sparkline(counts: list[int]) -> str:
    """One block for each number, the highest full; a zero is a space above the line, never nothing at all."""
    top = max(counts, default=0) or 1
    return "".join(_BLOCKS[0 if not n else max(1, round(n / top * (len(_BLOCKS) - 1)))] for n in counts)


def _breakdown(store: ledgers.Reader, where: ledgers.Place, query: Query, by: Dimension, attempts: int) -> None:
    """The groups, where there is more than one: of one the totals tell. attempts: in all."""
    found = store.breakdown(query, by, standing=False)
    if len(found) > 1:
        screen.line("")
        _table(dict(list(found.items())[:GROUPS]), by)
        if by is Dimension.CALLER and sum(sums["attempts"] for sums in found.values()) > attempts:
            screen.aside("By caller, removed records count, too.")
        if len(found) > GROUPS:
            screen.aside(f"{len(found) - GROUPS} more: {where.hint(f'stats --by {by}')}")


def _grouped(store: ledgers.Reader, query: Query, by: Dimension, json: bool) -> None:
    found = store.breakdown(query, by, standing=json)
    if not json:
        _table(found, by)
        return
    for name, sums in found.items():
        screen.json_line({by.value: name or None, **_named(sums)})


def _table(found: Mapping[str, Mapping[str, int]], by: str) -> None:
    names = ("attempts", "executed", "blocked", "failed", "unknown")
    columns = (screen.Column(by), *(screen.Column(name, number=True) for name in names))
    screen.table(columns, [(name or "(none)", *(str(sums[n]) for n in names)) for name, sums in found.items()])
