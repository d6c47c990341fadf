"""`ledger export`: the records as JSON Lines or CSV. Reads only, a page at a time."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import sys
from collections.abc import Iterator
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

from ledger_console import ledgers, options, screen
from ledger_console.batches import every
from ledger_console.problems import USAGE, Problem, ReaderGone
from ledger_console.progress import Advance, bar
from ledger_console.when import moment

if TYPE_CHECKING:
    from ledger.ports import Query

ADVANCED = 2000
"""Records between two words to the progress bar."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class Format(StrEnum):
    """What is written."""

    JSONL = "jsonl"
    CSV = "csv"


As = Annotated[Format, typer.Option("--format", help="jsonl, as `show --json`; or csv for a spreadsheet.")]
Whole = Annotated[bool, typer.Option("--whole", help="jsonl for `ledger import`: everything, kept answers included.")]
Output = Annotated[str | None, typer.Option("--output", "-o", metavar="F", help="A file, private to you [stdout].")]


def export(
    word: options.Word = None,
    db: options.Db = None,
    wf: options.Wf = None,
    tool: options.Tool = None,
    status: options.StatusIs = None,
    caller: options.Caller = None,
    since: options.Since = None,
    until: options.Until = None,
    grep: options.Grep = None,
    form: As = Format.JSONL,
    whole: Whole = False,
    output: Output = None,
) -> None:
    """Write the records, newest first.

    \b
    Examples:
      ledger export -o records.jsonl
      ledger export --format csv --since 30d > month.csv
    """
    from ledger.ports import Query

    if whole and form is not Format.JSONL:
        raise Problem("--whole is for jsonl: a spreadsheet cannot hold kept answers", USAGE)
    times = moment("--since", since), moment("--until", until)
    query = Query(wf, tool, status, caller, since=times[0], until=times[1], grep=grep)
    with ledgers.reading(ledgers.only_place(db, word)) as store, _to(output) as out, bar("exporting") as advance:
        count = _write(store, query, form, whole, out, advance)
    if output is not None:
        screen.line(f"Wrote {count} record{'s' * (count != 1)} to {output}.")


def _write(store: ledgers.Reader, query: Query, form: Format, whole: bool, out: TextIO, advance: Advance) -> int:
    total, count = store.stats(query)["actions"], 0
    lines = _csv(out) if form is Format.CSV else None
    for record in every(store, query):
        if lines is not None:
            lines.writerow([_cell(value) for value in record.as_dict().values()])
        elif whole:
            kept = store.get(record.id)
            out.write(f"{(kept or record).to_json()}\n")
        else:
            out.write(f"{json.dumps(record.as_dict())}\n")
        count += 1
        if count % ADVANCED == 0:
            advance(count, total)
    return count


def _csv(out: TextIO) -> Any:
    from ledger.records import Record

    writer = csv.writer(out)
    writer.writerow(Record(id="", tool="").as_dict())
    return writer


def _cell(value: Any) -> Any:
    """Text that a spreadsheet would run as a formula is told to be text (OWASP, CSV injection)."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


@contextlib.contextmanager
def _to(output: str | None) -> Iterator[TextIO]:
    if output is None:
        try:
            yield sys.stdout
        except BrokenPipeError:
            raise ReaderGone from None
        return
    try:
        handle = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise Problem(f"{output} exists already; remove it or give another --output", USAGE) from None
    except OSError as error:
        raise Problem(f"--output {output}: {error.strerror or error}", USAGE) from None
    with open(handle, "w", encoding="utf-8", newline="") as out:
        yield out
