"""Writing to stdout: JSON lines, plain tables for pipes, coloured ones for terminals. Knows nothing of ledgers."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, TypedDict

import typer

from ledger_console.problems import ReaderGone
from ledger_console.text import visible

EMPTY = "-"
GAP = 2
"""Spaces between columns."""
NARROWEST = 20
"""Columns that text needs to stand at the right of something."""
BELOW = 4


class Style(TypedDict, total=False):
    """How text looks on a terminal, in the words of `typer.style`."""

    fg: str
    bold: bool
    dim: bool


PLAIN: Style = {}
BOLD: Style = {"bold": True}
DIM: Style = {"dim": True}
STYLES: dict[str, Style] = {
    "success": {"fg": "green"},
    "failed": {"fg": "red"},
    "unknown": {"fg": "yellow", "bold": True},
    "running": {"fg": "cyan"},
}
"""How a status looks."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column. long: text that goes below its row on a narrow terminal. number: aligned to the right."""

    title: str
    long: bool = False
    number: bool = False


def fancy() -> bool:
    """Whether stdout is a terminal that wants colours (https://no-color.org)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def styled(text: str, style: Style) -> str:
    """`text` as it looks on a terminal; where stdout is none that wants colours, as it is.

    Drawn without rich, which takes longer to load than a million records to look at.
    """
    return _styled(text, style) if fancy() else text


def _styled(text: str, style: Style) -> str:
    return typer.style(text, **style) if text and style else text


def width() -> int:
    """Columns of the terminal."""
    return shutil.get_terminal_size().columns


def clear() -> None:
    """An empty screen, to be drawn anew."""
    sys.stdout.write("\x1b[2J\x1b[H")


def line(text: str) -> None:
    """One line, out at once: whoever reads a pipe sees it now."""
    try:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()
    except BrokenPipeError:
        raise ReaderGone from None


def prose(before: str, text: str) -> None:
    """A line to be read: on a terminal it breaks between words, and goes on below where `text` began.

    before: what stands at its left, as it is; where it leaves no room, the text stands below it. Elsewhere than on a
    terminal all is one line, as `grep` wants it.
    """
    if not sys.stdout.isatty():
        line(f"{before}{text}")
        return
    if width() - len(before) < NARROWEST and before:
        line(before.rstrip())
        before = " " * BELOW
    for words in _packed(text.split(" "), width() - len(before), 1) or [""]:
        line(f"{before}{words}")
        before = " " * len(before)


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
    line("\n".join((_fancy_table if fancy() else _plain_table)(columns, rows, header)))


def _plain_table(columns: Sequence[Column], rows: Sequence[Sequence[str]], header: bool) -> Iterator[str]:
    cells = [[c.title.upper() for c in columns], *([cell or EMPTY for cell in row] for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(columns))]
    for row in cells if header else cells[1:]:
        yield (" " * GAP).join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _fancy_table(columns: Sequence[Column], rows: Sequence[Sequence[str]], header: bool) -> Iterator[str]:
    """Columns that are empty in every row are left out; where a terminal is narrow, long text goes below its row.

    Where not even the short columns fit, those that do not go below, too, each with its title.
    """
    screen = width()
    used = [i for i in range(len(columns)) if any(row[i] for row in rows)]
    widths = {i: max(_cells(text) for text in (columns[i].title, *(row[i] for row in rows))) for i in used}
    narrow = sum(widths.values()) + GAP * (len(used) - 1) > screen
    short = [i for i in used if not (narrow and columns[i].long)]
    ends = list(accumulate(widths[i] + GAP for i in short))
    beside = [i for n, i in enumerate(short) if n == 0 or ends[n] - GAP <= screen]
    titled = [i for i in short if i not in beside]

    def padded(cells: Sequence[str], style: Style = PLAIN) -> str:
        filled = ((cells[i], _filled(cells[i], widths[i], columns[i].number)) for i in beside)
        return (" " * GAP).join(_styled(text, style or STYLES.get(cell, PLAIN)) for cell, text in filled)

    if header:
        yield padded([column.title for column in columns], BOLD)
    for cells in rows:
        yield padded(cells)
        for words in _packed([f"{columns[i].title} {cells[i]}" for i in titled if cells[i]], screen - GAP):
            yield f"{' ' * GAP}{words}"
        for i in used:
            if i not in short and cells[i]:
                yield _styled(f"  {cells[i]}", DIM)


def _cells(text: str) -> int:
    """Columns of a terminal that `text` takes."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def _filled(text: str, width: int, number: bool) -> str:
    space = " " * (width - _cells(text))
    return f"{space}{text}" if number else f"{text}{space}"


def _packed(words: Sequence[str], width: int, gap: int = GAP) -> list[str]:
    """As many words on a line as fit into it; one that is longer has its own."""
    lines: list[str] = []
    for word in words:
        if lines and _cells(lines[-1]) + gap + _cells(word) <= width:
            lines[-1] += f"{' ' * gap}{word}"
        else:
            lines.append(word)
    return lines
