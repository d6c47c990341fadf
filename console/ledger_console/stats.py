"""`ledger stats`: totals, and how many attempts were duplicates. Reads only."""

from __future__ import annotations

from collections.abc import Mapping

from ledger_console import ledgers, options, screen

BAR = 40
"""Characters of the duplicate-rate bar."""

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


def stats(
    word: options.Word = None,
    db: options.Db = None,
    wf: options.Wf = None,
    tool: options.Tool = None,
    status: options.StatusIs = None,
    caller: options.Caller = None,
    json: options.Json = False,
) -> None:
    """Totals, and the share of attempts that were duplicates."""
    from ledger.ports import Query

    with ledgers.opened(ledgers.only_place(db, word)) as store:
        totals = store.stats(Query(wf, tool, status, caller))
    # "open" counts the records that wait as unknown; scripts read it under a name that says so.
    totals["unresolved"] = totals.pop("open")
    if json:
        screen.json_line({name: totals[name] for name in ORDER})
        return
    width = max(map(len, ORDER))
    for name in ORDER:
        screen.line(f"{name:<{width}}  {totals[name]:>8}")
    _bar(totals, width)


def _bar(totals: Mapping[str, int], width: int) -> None:
    attempts, blocked = totals["attempts"], totals["blocked"]
    rate = blocked / attempts if attempts else 0.0
    said = f"{rate:.1%}  ({blocked} of {attempts} attempts were answered without running again)"
    if not screen.fancy():
        screen.line(f"{'duplicates':<{width}}  {said}")
        return
    from rich.text import Text

    full = round(rate * BAR)
    bar = Text(f"{'duplicates':<{width}}  ")
    bar.append("█" * full, style="green").append("░" * (BAR - full), style="dim").append(f"  {said}")
    screen.console().print(bar, soft_wrap=True)
