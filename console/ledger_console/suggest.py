"""`ledger rules suggest`: rules proposed from what was observed. Reads only; prints YAML."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ledger_console import ledgers, options, screen
from ledger_console.problems import Problem

if TYPE_CHECKING:
    from ledger.records import Record
    from ledger_rules.suggesting import Observed

RECORDS = 10_000
"""The newest are read: what was observed long ago says little of today's agent."""
REPEATS = 5
"""So many attempts of one operation say as much as a thousand."""


def suggest(word: options.Word = None, db: options.Db = None) -> None:
    """Propose rules from observed traffic, as YAML with the evidence; see `ledger run --observe`.

    \b
    Examples:
      ledger rules suggest > proposed.yaml
    """
    from ledger.ports import Query
    from ledger_rules.suggesting import as_yaml, propose

    where = ledgers.only_place(db, word)
    with ledgers.opened(_observed(where)) as store:
        found = list(observations(store.page(Query(limit=RECORDS))))
    if not found:
        raise Problem(f"nothing was observed in {where.path}; run the agent with --observe or --observe-host first")
    screen.line(as_yaml(propose(found)).rstrip("\n"))


def observations(records: Iterable[Record]) -> Iterator[Observed]:
    """What observed records tell of the requests behind them; others tell nothing."""
    for record in records:
        told = record.about.get("fields")
        if isinstance(told, list):
            for _ in range(min(record.attempts, REPEATS)):
                yield _observed_request(record, told)


def _observed_request(record: Record, told: list[Any]) -> Observed:
    from ledger_rules.shapes import Field, Shape
    from ledger_rules.suggesting import Observed

    about: Mapping[str, Any] = record.about
    scheme, _, rest = str(about.get("url", "")).partition("://")
    host, slash, target = rest.partition("/")
    fields = tuple(Field(place, digest, Shape(shape)) for place, digest, shape in told)
    status = about.get("response_status")
    return Observed(str(about.get("method")), f"{scheme}://{host}", slash + target, record.created.wall, fields, status)


def _observed(where: ledgers.Place) -> ledgers.Place:
    """The ledger of observations beside the one that is meant, or that one itself."""
    return ledgers.observed(where) or where
