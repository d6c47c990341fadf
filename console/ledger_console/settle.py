"""`ledger resolve` and `ledger retry`: a person's word on a record, as the command line asks for it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ledger.records import Result, Status
from ledger_console import actions, ledgers, options, screen
from ledger_console.actions import Reason
from ledger_console.problems import USAGE, Problem
from ledger_console.text import SHORT

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
    if done is None:
        raise Problem("say what happened: --done or --not-done", USAGE)
    answer = _answer(done, status, body_file)
    where = ledgers.place(db)
    with ledgers.opened(where) as store:
        settled = actions.resolve(store, where, record, done, Reason(note, actions.myself()), answer)
    told = {
        (True, True): "done; duplicates are answered with the body you gave",
        (True, False): "done; duplicates are told so, without the answer's body",
        (False, False): "not done; the next attempt runs",
    }
    screen.line(f"{settled.id[:SHORT]} {settled.tool}: {told[done, answer is not None]}.")


def retry(record: options.RecordId, db: options.Db = None, note: options.Note = None) -> None:
    """Let the next attempt of RECORD run, whatever its outcome was."""
    where = ledgers.place(db)
    with ledgers.opened(where) as store:
        released = actions.retry(store, where, record, Reason(note, actions.myself()))
    screen.line(f"{released.id[:SHORT]} {released.tool}: the next attempt runs.")
    if released.status is Status.UNKNOWN:
        screen.aside("Its effect may have happened; if it did, the next attempt is a second one.")


def _answer(done: bool, status: int | None, body_file: str | None) -> Result | None:
    """The answer that a person gives for duplicates, in the shape the proxy keeps answers in."""
    if status is None and body_file is None:
        return None
    if not done:
        raise Problem("--status and --body-file go with --done only", USAGE)
    if body_file is None:
        raise Problem("--status needs --body-file; an empty file is an empty body", USAGE)
    try:
        body = Path(body_file).read_bytes()
    except OSError as error:
        raise Problem(f"--body-file {body_file}: {error.strerror or error}", USAGE) from None
    return actions.answer_of(status or 200, body)
