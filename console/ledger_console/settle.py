"""`ledger resolve` and `ledger retry`: a person's word on a record. The lifecycle decides what is allowed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ledger.records import Kind, Record, Result, Status
from ledger_console import ledgers, options, screen
from ledger_console.problems import USAGE, Problem
from ledger_console.text import SHORT

if TYPE_CHECKING:
    from ledger.lifecycle import Change
    from ledger.stores.sqlite import SqliteStore

Done = Annotated[bool | None, typer.Option("--done/--not-done", help="Whether the effect happened.")]
Answer = Annotated[
    int | None, typer.Option("--status", min=200, max=599, metavar="N", help="HTTP status that duplicates get.")
]
BodyFile = Annotated[
    str | None, typer.Option("--body-file", metavar="F", help="The answer's body that duplicates get.")
]


def resolve(
    record: options.RecordId,
    db: options.Db = None,
    done: Done = None,
    note: options.Note = None,
    status: Answer = None,
    body_file: BodyFile = None,
) -> None:
    """Settle an unknown RECORD: say whether its effect happened."""
    from ledger import clock, lifecycle

    if done is None:
        raise Problem("say what happened: --done or --not-done", USAGE)
    answer = _answer(done, status, body_file)

    def change(was: Record) -> Change:
        if was.status is not Status.UNKNOWN:
            raise Problem(f"record {was.id[:SHORT]} is {was.status}, not unknown: there is nothing to resolve")
        if answer is not None and was.kind is not Kind.HTTP:
            raise Problem(f"record {was.id[:SHORT]} is a function call; --body-file is for HTTP operations", USAGE)
        if answer is not None:
            was = was.but(about={**was.about, "response_status": answer.meta["status"]})
        # Without a body the result says so: what came back earlier was not the answer of a success.
        return lifecycle.resolve(was, done, clock.now(), note, (answer or Result({}, None)) if done else None)

    settled = _settle(record, ledgers.place(db), change)
    told = {
        (True, True): "done; duplicates are answered with the body you gave",
        (True, False): "done; duplicates are told so, without the answer's body",
        (False, False): "not done; the next attempt runs",
    }
    screen.line(f"{settled.id[:SHORT]} {settled.tool}: {told[done, answer is not None]}.")


def retry(record: options.RecordId, db: options.Db = None, note: options.Note = None) -> None:
    """Let the next attempt of RECORD run, whatever its outcome was."""
    from ledger import clock, lifecycle

    released = _settle(record, ledgers.place(db), lambda was: lifecycle.release(was, clock.now(), note))
    screen.line(f"{released.id[:SHORT]} {released.tool}: the next attempt runs.")


def _settle(word: str, where: ledgers.Place, change: Callable[[Record], Change]) -> Record:
    with ledgers.opened(where) as store:
        asked = change(_idle(store, ledgers.find(store, word)))
        if not store.replace(asked):
            hint = where.hint(f"show {asked.record.id[:SHORT]}")
            raise Problem(f"record {asked.record.id[:SHORT]} changed meanwhile, nothing was written; see: {hint}")
        return asked.record


def _idle(store: SqliteStore, record: Record) -> Record:
    """The record if nobody works on it; one whose owner is gone is marked unknown first. Raises Problem."""
    from ledger import clock, lifecycle, owners

    if record.status is not Status.RUNNING:
        return record
    why = lifecycle.gone(record, owners.alive(record.owner), clock.now())
    if why is not None:
        store.replace(lifecycle.abandon(record, clock.now(), why))
        record = ledgers.find(store, record.id)
    if record.status is Status.RUNNING:
        raise Problem(f"record {record.id[:SHORT]} is running; wait for its outcome, then try again")
    return record


def _answer(done: bool, status: int | None, body_file: str | None) -> Result | None:
    """The answer that a person gives for duplicates, in the shape the proxy keeps answers in."""
    if status is None and body_file is None:
        return None
    if not done:
        raise Problem("--status and --body-file go with --done only", USAGE)
    if body_file is None:
        raise Problem("--status needs --body-file; an empty file is an empty body", USAGE)
    from ledger_proxy.answers import result_of

    try:
        body = Path(body_file).read_bytes()
    except OSError as error:
        raise Problem(f"--body-file {body_file}: {error.strerror or error}", USAGE) from None
    headers = [(b"Content-Type", _media_type(body))]
    return result_of(status or 200, b"", headers, body, limit=len(body))


def _media_type(body: bytes) -> bytes:
    import json

    try:
        json.loads(body)
    except ValueError:
        return b"text/plain" if body.isascii() else b"application/octet-stream"
    return b"application/json"
