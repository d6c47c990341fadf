"""`ledger import`: records from elsewhere. What the ledger has stays as it is, so that an import can be repeated."""

from __future__ import annotations

import math
import os
import types
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Union, get_args, get_origin, get_type_hints

import typer

from ledger import lifecycle
from ledger.records import Instant, Record, Result, Status
from ledger_console import ledgers, options, screen
from ledger_console.problems import FAILED, USAGE, Problem
from ledger_console.progress import Advance, bar

AT_ONCE = 500
"""Records in one transaction: a claim of a running agent waits no longer than that takes."""
BYTES_AT_ONCE = 8 << 20
LONGEST_LINE = 256 << 20
_SQLITE = b"SQLite format 3\0"
_COUNTERS = ("attempts", "runs", "failed", "unknown", "replayed", "refused", "held", "conflicts")
_UNSOUND = (ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError)

type Batch = tuple[Sequence[Record], int]
"""Records, and how many bytes or rows of the file are read with them."""

File = Annotated[str, typer.Argument(metavar="FILE", help="What `export --whole` wrote, or a Ledger-Once ledger.db.")]


def import_(file: File, db: options.Db = None) -> None:
    """Take over records of FILE that the ledger does not have; it is made where there is none.

    What was running when it was exported comes as unknown: nobody here sees how it ended.

    \b
    Examples:
      ledger import records.jsonl
      ledger import /var/lib/old/ledger.db --db ledger.db
    """
    where = ledgers.place(db)
    if _same(file, where.path):
        raise Problem(f"{file} is the ledger itself; a ledger.db of Ledger-Once is taken over when it is opened", USAGE)
    with _opened(file) as source, bar("importing") as advance:
        once = source.peek(len(_SQLITE)).startswith(_SQLITE)
        total, batches = _rows(file) if once else (os.fstat(source.fileno()).st_size, _lines(source, file))
        # The first is read before the ledger is made: a wrong file makes none.
        first = next(batches, None)
        came, there = _take(where, chain([first] if first else [], batches), once, total, advance)
    screen.line(f"{came} record{'s' * (came != 1)} came from {file}; {there} {'was' if there == 1 else 'were'} there.")


def _take(where: ledgers.Place, batches: Iterator[Batch], once: bool, total: int, advance: Advance) -> tuple[int, int]:
    """How many came, and how many were there already."""
    came = read = done = 0
    http = False
    why = {"from": "ledger-once" if once else "import"}
    with ledgers.made(where) as store:
        for records, size in batches:
            came += store.add(records, why)
            read, done = read + len(records), done + size
            http = http or any(record.rule is not None for record in records)
            advance(done, max(done, total))
    if http:
        screen.aside("Recorded requests answer duplicates here only if both ledgers have one key: LEDGER_KEY.")
    return came, read - came


def _lines(source: BinaryIO, file: str) -> Iterator[Batch]:
    batch: list[Record] = []
    number = size = 0
    while line := source.readline(LONGEST_LINE):
        number, size = number + 1, size + len(line)
        if not line.strip():
            continue
        try:
            batch.append(_record(line))
        except _UNSOUND as error:
            if batch:
                yield batch, size
            raise _broken("line", number, file, error) from None
        if len(batch) >= AT_ONCE or size >= BYTES_AT_ONCE:
            yield batch, size
            batch, size = [], 0
    if batch:
        yield batch, size


def _rows(file: str) -> tuple[int, Iterator[Batch]]:
    total, records = ledgers.once_records(file)

    def batches() -> Iterator[Batch]:
        batch: list[Record] = []
        number = 0
        try:
            for record in records:
                number += 1
                batch.append(record)
                if len(batch) >= AT_ONCE:
                    yield batch, len(batch)
                    batch = []
        except _UNSOUND as error:
            if batch:
                yield batch, len(batch)
            raise _broken("row", number + 1, file, error) from None
        yield batch, len(batch)

    return total, batches()


def _broken(what: str, number: int, file: str, error: BaseException) -> Problem:
    if isinstance(error, KeyError):
        said = f"{error.args[0]} is missing"
    elif isinstance(error, ValueError):
        said = str(error)[:120]
    else:
        # In Python's words, which are about our code.
        said = "its values are not those of one"
    if number == 1:
        todo = "nothing was imported; give what `ledger export --whole` wrote"
    else:
        todo = "those before it are in; mend it and import again"
    return Problem(f"{what} {number} of {file} is no whole record ({said}); {todo}", FAILED)


def _record(line: bytes) -> Record:
    """The record of a line. Raises one of `_UNSOUND`."""
    text = line.decode()
    record = Record.from_json(text)
    for name, allowed in _allowed().items():
        value = getattr(record, name)
        if type(value) not in allowed:
            raise ValueError(f"{name} cannot be {type(value).__name__}")
    _check_values(record)
    return _ended(record)


@cache
def _allowed() -> dict[str, tuple[type, ...]]:
    """The types that each field may have, from the record's own annotations; JSON writes a whole float as an int."""
    return {name: tuple(_types(hint)) for name, hint in get_type_hints(Record).items()}


def _types(hint: Any) -> Iterator[type]:
    if get_origin(hint) in (Union, types.UnionType):
        yield from chain.from_iterable(map(_types, get_args(hint)))
        return
    yield get_origin(hint) or hint
    if hint is float:
        yield int


def _check_values(record: Record) -> None:
    if not record.id:
        raise ValueError("id is empty")
    numbers = [float(n) for n in (record.lease, record.timeout, record.window) if n is not None]
    for at in (record.created, record.touched, record.began):
        _check_instant(at)
        numbers += [at.wall, at.mono]
    if not all(map(math.isfinite, numbers)):
        raise ValueError("a time is not finite")
    if any(getattr(record, name) < 0 for name in (*_COUNTERS, "epoch", "generation", "spent")):
        raise ValueError("a count is below zero")
    if isinstance(record.result, Result) and not isinstance(record.result.meta, dict):
        raise ValueError("the result's meta is no object")
    # A lone surrogate is text to JSON, and to no database.
    record.to_json().encode()
    "".join(str(getattr(record, name)) for name in ("id", "tool", "rule", "wf", "caller", "error", "note")).encode()


def _check_instant(at: Instant) -> None:
    if type(at.wall) not in (int, float) or type(at.mono) not in (int, float) or type(at.boot) is not str:
        raise ValueError("a time is not [seconds, seconds, boot]")


def _ended(record: Record) -> Record:
    """Its owner finishes it in the ledger that it came from, not here: so here its outcome is unknown."""
    if record.status is not Status.RUNNING:
        return record
    change = lifecycle.abandon(record, record.touched, "it was running when it was exported")
    counts = {name: getattr(record, name) + change.counts.get(name, 0) for name in _COUNTERS}
    return change.record.but(**counts)


def _opened(file: str) -> Any:
    try:
        return open(file, "rb")
    except OSError as error:
        raise Problem(f"{file}: {error.strerror or error}", USAGE) from None


def _same(file: str, ledger: str) -> bool:
    return Path(file).exists() and Path(ledger).exists() and Path(file).samefile(ledger)
