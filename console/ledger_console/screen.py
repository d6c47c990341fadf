"""Writing to stdout: JSON lines, plain tables for pipes, rich ones for terminals. Knows nothing of ledgers."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from ledger_console.problems import ReaderGone
from ledger_console.text import visible

if TYPE_CHECKING:
    from rich.console import Console

EMPTY = "-"
GAP = 2
"""Spaces between columns."""
STYLES = {
    "success": "green",
    "failed": "red",
    "unknown": "bold yellow",
    "running": "cyan",
}
"""How a status looks on a terminal."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column. long: text that goes below its row on a narrow terminal. number: aligned to the right."""

    title: str
    long: bool = False
    number: bool = False


def fancy() -> bool:
    """Whether stdout is a terminal that wants colours (https://no-color.org)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def console() -> Console:
    """A rich console on stdout that interprets nothing in what it is given."""
    from rich.console import Console

    return Console(markup=False, highlight=False, emoji=False)


def line(text: str) -> None:
    """One line, out at once: whoever reads a pipe sees it now."""
    try:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()
    except BrokenPipeError:
        raise ReaderGone from None


def json_line(value: Mapping[str, Any]) -> None:
    """One JSON object on one line, ASCII only, so no terminal can be harmed by it."""
    line(json.dumps(value))


def aside(text: str) -> None:
    """A line beside the output: on stderr, so that pipes carry data only."""
    try:
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()
    except BrokenPipeError:
        raise ReaderGone from None


def table(columns: Sequence[Column], rows: Sequence[Sequence[str]], header: bool = True) -> None:
    """Rows, under a header. Plain: columns aligned by spaces, nothing cut, `-` where there is nothing.

    header: False for the rest of a list that comes in parts; each part has its own widths.
    """
    rows = [[visible(cell) for cell in row] for row in rows]
    if fancy():
        _rich_table(columns, rows, header)
    else:
        _plain_table(columns, rows, header)


def _plain_table(columns: Sequence[Column], rows: Sequence[Sequence[str]], header: bool) -> None:
    cells = [[c.title.upper() for c in columns], *([cell or EMPTY for cell in row] for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(columns))]
    for row in cells if header else cells[1:]:
        line((" " * GAP).join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _rich_table(columns: Sequence[Column], rows: Sequence[Sequence[str]], header: bool) -> None:
    """Columns that are empty in every row are left out; where a terminal is narrow, long text goes below its row.

    Where not even the short columns fit, those that do not go below, too, each with its title.
    """
    from rich.cells import cell_len
    from rich.text import Text

    screen = console()
    used = [i for i in range(len(columns)) if any(row[i] for row in rows)]
    widths = {i: max(cell_len(text) for text in (columns[i].title, *(row[i] for row in rows))) for i in used}
    narrow = sum(widths.values()) + GAP * len(used) > screen.width
    short = [i for i in used if not (narrow and columns[i].long)]
    ends = list(accumulate(widths[i] + GAP for i in short))
    beside = [i for n, i in enumerate(short) if n == 0 or ends[n] - GAP <= screen.width]
    titled = [i for i in short if i not in beside]

    def padded(cells: Sequence[str], style: str = "") -> Text:
        row = Text()
        for i in beside:
            space = " " * (widths[i] - cell_len(cells[i]))
            text = f"{space}{cells[i]}" if columns[i].number else f"{cells[i]}{space}"
            row.append(text, style=style or STYLES.get(cells[i], "")).append(" " * GAP)
        return row

    if header:
        screen.print(padded([column.title for column in columns], "bold"), soft_wrap=True)
    for cells in rows:
        screen.print(padded(cells), soft_wrap=True)
        for line in _packed([f"{columns[i].title} {cells[i]}" for i in titled if cells[i]], screen.width - GAP):
            screen.print(Text(f"{' ' * GAP}{line}"), soft_wrap=True)
        for i in used:
            if i not in short and cells[i]:
                screen.print(Text(f"  {cells[i]}", style="dim"), soft_wrap=True)


def _packed(words: Sequence[str], width: int) -> list[str]:
    """As many words on a line as fit into it; one that is longer has its own."""
    from rich.cells import cell_len

    lines: list[str] = []
    for word in words:
        if lines and cell_len(lines[-1]) + GAP + cell_len(word) <= width:
            lines[-1] += f"{' ' * GAP}{word}"
        else:
            lines.append(word)
    return lines
