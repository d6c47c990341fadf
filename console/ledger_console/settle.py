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

# Two options, not one flag: of a flag that is given both ways the last would count, and that may be the wrong one.
Done = Annotated[bool, typer.Option("--done", help="The effect happened.")]
NotDone = Annotated[bool, typer.Option("--not-done", help="It did not; the next attempt runs.")]
Answer = Annotated[
    int | None, typer.Option("--status", min=200, max=599, metavar="N", help="HTTP status that duplicates get.")
]
BodyFile = Annotated[
    str | None, typer.Option("--body-file", metavar="F", help="The answer's body that duplicates get.")
]


def resolve(
    record: options.RecordId,
    db: options.Db = None,
    done: Done = False,
    not_done: NotDone = False,
    note: options.Note = None,
    status: Answer = None,
    body_file: BodyFile = None,
) -> None:
    """Settle an unknown RECORD: say whether its effect happened.

    \b
    Examples:
      ledger resolve 3f2a91c0 --done --note "seen on the bank statement"
      ledger resolve 3f2a91c0 --not-done
      ledger resolve 3f2a91c0 --done --status 200 --body-file answer.json
    """
    if done is not_done:
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
    """Let the next attempt of RECORD run, whatever its outcome was.

    \b
    Examples:
      ledger retry 3f2a91c0 --note "refunded by hand"
    """
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
