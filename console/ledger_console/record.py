"""One record for a person: what is known, what happened when, what duplicates get. Prints, decides nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from ledger.records import Event, Record
from ledger_console import screen
from ledger_console.screen import BOLD, DIM, PLAIN, STYLES, Style, styled
from ledger_console.text import SHORT, visible

BODY_LINES = 40
"""Lines of a kept answer that are shown; `export --whole` and the dashboard have all of it."""
LINE = 600
"""Characters of one of them: JSON of megabytes may be a single line."""
EVENTS = 200
_HEADERS = 12


def tell(record: Record, events: Sequence[Event], request: str, gone: str | None) -> None:
    """Print it. request: method and URL; gone: why the owner of a running record is believed gone."""
    from ledger_console.dashboard.words import verdict

    said = verdict(record, gone)
    id, what = visible(record.id[:SHORT]), visible(f"{record.tool}  {request}".rstrip())
    screen.line(f"{styled(id, BOLD)}  {styled(record.status.value, STYLES[record.status])}  {styled(what, BOLD)}")
    screen.prose("", visible(f"{said.what}. {said.todo}"))
    screen.line("")
    _pairs(_facts(record))
    _timeline(events)
    _answer(record)


def _facts(record: Record) -> Iterable[tuple[str, object]]:
    from ledger_console.dashboard.words import request_facts

    yield "id", record.id
    yield "workflow", record.wf
    yield from ((name.lower(), value) for name, value in request_facts(record) if name != "URL")
    yield "created", _at(record.created.wall)
    yield "touched", _at(record.touched.wall)
    yield "upstream key", record.upstream_key
    yield "error", record.error
    yield "note", record.note


def _pairs(facts: Iterable[tuple[str, object]]) -> None:
    told = [(name, str(value)) for name, value in facts if value not in (None, "")]
    width = max(len(name) for name, _ in told)
    for name, value in told:
        screen.prose(f"  {name:<{width}}  ", visible(value))


def _timeline(events: Sequence[Event]) -> None:
    from ledger_console.dashboard.words import detail, sentence

    def said(event: Event) -> str:
        besides = detail(event)
        return f"{sentence(event)}: {besides}" if besides else sentence(event)

    screen.line("")
    _line("timeline", BOLD)
    for event in events[-EVENTS:]:
        screen.prose(f"  {_at(event.at)}  ", visible(said(event)))
    if len(events) > EVENTS:
        screen.aside(f"The last {EVENTS} of {len(events)} events.")


def _answer(record: Record) -> None:
    from ledger_console.dashboard.bodies import answer

    screen.line("")
    kept, why = answer(record)
    if kept is None:
        _line("answer", BOLD)
        _line(f"  {why}")
        return
    status = "" if kept.status is None else f"  {kept.status} {kept.reason}".rstrip()
    _line(f"answer{status}  {kept.size:,} bytes kept", BOLD)
    for name, value in kept.headers[:_HEADERS]:
        _line(f"  {name}: {value}", DIM)
    lines = kept.text.split("\n")
    for line in lines[:BODY_LINES]:
        _line(f"  {line[:LINE]}")
    if kept.cut or len(lines) > BODY_LINES or any(len(line) > LINE for line in lines):
        screen.aside("The answer goes on; `ledger export --whole` has all of it.")


def _at(wall: float) -> str:
    return datetime.fromtimestamp(wall).astimezone().isoformat(sep=" ", timespec="milliseconds")


def _line(text: str, style: Style = PLAIN) -> None:
    """One line, harmless, styled on a terminal that wants it."""
    screen.line(styled(visible(text), style))
