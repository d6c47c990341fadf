"""The options that several commands share, named once, and what a value of theirs cannot be. No other behaviour."""

from __future__ import annotations

import math
import re
from typing import Annotated

import typer

from ledger.records import Status
from ledger_console.problems import USAGE, Problem

Db = Annotated[str | None, typer.Option("--db", metavar="DB", help="The ledger [default: LEDGER_DB, ./ledger.db].")]
Word = Annotated[str | None, typer.Argument(metavar="DB", help="The ledger, as for --db.")]
RecordId = Annotated[str, typer.Argument(metavar="RECORD", help="Its id, which may be shortened.")]
Wf = Annotated[str | None, typer.Option("--wf", metavar="W", help="Only this workflow.")]
Tool = Annotated[str | None, typer.Option("--tool", metavar="T", help="Only this tool or rule.")]
Caller = Annotated[str | None, typer.Option("--caller", metavar="C", help="Only this caller.")]
StatusIs = Annotated[Status | None, typer.Option("--status", help="Only this status.")]
Limit = Annotated[int | None, typer.Option("--limit", min=0, metavar="N", help="At most N; 0 for all.")]
Since = Annotated[str | None, typer.Option("--since", metavar="WHEN", help="From then on: 30m, 24h, 7d or a time.")]
Until = Annotated[str | None, typer.Option("--until", metavar="WHEN", help="Before then: 30m, 24h, 7d or a time.")]
Grep = Annotated[
    str | None, typer.Option("--grep", metavar="TEXT", help="With this text in id, tool, request, error, note …")
]
Json = Annotated[bool, typer.Option("--json", help="For scripts: one JSON object per line.")]
Note = Annotated[str | None, typer.Option("--note", metavar="TEXT", help="Why, kept with the record.")]
Rules = Annotated[
    str | None,
    typer.Option("--rules", metavar="F", help="Rules file [default: LEDGER_RULES, ./ledger.yaml, else the packs]."),
]
Workflow = Annotated[
    str | None, typer.Option("--workflow", metavar="W", help="Scope of the operations [default: LEDGER_WORKFLOW].")
]
RunCaller = Annotated[str | None, typer.Option("--caller", metavar="C", help="Who asks, for the records.")]
Observe = Annotated[bool, typer.Option("--observe", help="Enforce nothing: record what would have been prevented.")]
ObserveHost = Annotated[
    list[str] | None,
    typer.Option("--observe-host", metavar="HOST[:PORT]", help="Intercept and observe it, too; may be repeated."),
]
Resolve = Annotated[
    list[str] | None,
    typer.Option("--resolve", metavar="HOST:PORT:ADDR:PORT", help="Connect there instead; may be repeated."),
]
UpstreamCa = Annotated[
    str | None, typer.Option("--upstream-ca", metavar="FILE", help="PEM file that upstreams are trusted by, too.")
]
InsecureHost = Annotated[
    list[str] | None,
    typer.Option(
        "--insecure-host",
        metavar="HOST",
        envvar="LEDGER_INSECURE_HOST",
        help="Do not verify the certificate of this upstream; may be repeated.",
    ),
]
ClientCert = Annotated[
    list[str] | None,
    typer.Option(
        "--client-cert",
        metavar="HOST=FILE[,KEYFILE]",
        envvar="LEDGER_CLIENT_CERT",
        help="PEM certificate, and key, for an upstream that asks; may be repeated.",
    ),
]
Transparent = Annotated[
    bool,
    typer.Option(
        "--transparent", help="Leave the command no other way out, also where it ignores proxy variables. Linux."
    ),
]
Ports = Annotated[
    str | None,
    typer.Option(
        "--ports",
        metavar="N,N…|all",
        help="With --transparent: where connections may go, besides ports that rules name [default: 80,443].",
    ),
]


def seconds(value: float) -> float:
    """A number of seconds; "nan" passes for one, and no clock ever comes to it."""
    if math.isnan(value):
        raise typer.BadParameter("nan is no number of seconds")
    return value


UpstreamTimeout = Annotated[
    float,
    typer.Option(
        "--upstream-timeout",
        min=1,
        metavar="SECONDS",
        callback=seconds,
        help="What an upstream has for its answer.",
    ),
]
MaxStored = Annotated[
    str,
    typer.Option(
        "--max-stored",
        metavar="SIZE",
        help="The largest answer kept for duplicates, as 512KiB; of a larger one they hear that it ran.",
    ),
]
MAX_STORED = "8MiB"
_UNITS = {"": 1, "KIB": 1 << 10, "MIB": 1 << 20}
_LARGEST = 256
"""MiB; what is kept is in memory while it is written, and each time it is replayed."""


def stored_bytes(text: str) -> int:
    """The value of `--max-stored` in bytes. Raises Problem."""
    said = re.fullmatch(r"([0-9]{1,12}) ?(|KiB|MiB)", text, re.ASCII | re.IGNORECASE)
    size = int(said[1]) * _UNITS[said[2].upper()] if said else -1
    if not 0 <= size <= _LARGEST << 20:
        wanted = f"bytes, as in 512KiB or {MAX_STORED}, and {_LARGEST}MiB at most; 0 keeps no body"
        raise Problem(f"--max-stored '{text}' is no size that can be kept: write {wanted}", USAGE)
    return size
