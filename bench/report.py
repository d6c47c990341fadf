"""Figures as a table on the terminal and as bench/RESULTS.md. Measures nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.measuring import Figure, Plan

RESULTS = Path(__file__).with_name("RESULTS.md")
INTRO = """# Results

Written by `python -m bench --write`. What is compared runs on the same machine in the same run, side by side, and is
measured in turns; {repetitions}. The load client and the origin are processes of their
own, and every answer is checked: one wrong answer and there is no figure.

Machine: {machine}.
"""


def show(figures: Sequence[Figure], machine: str) -> None:
    """Print the table."""
    table = Table(title="Ledger's figures", caption=machine, title_justify="left", caption_justify="left")
    for column in ("figure", "wanted", "measured", "", "both sides"):
        table.add_column(column, overflow="fold")
    for f in figures:
        table.add_row(f.name, f.bound, f.measured, _verdict(f), f.detail, style="" if f.met else "bold red")
    Console().print(table)


def write(figures: Sequence[Figure], machine: str, plan: Plan) -> Path:
    """Write the results file; the last run replaces it."""
    counted = f"medians of {plan.repetitions} repetitions" if plan.repetitions > 1 else "a single, quick repetition"
    lines = [INTRO.format(repetitions=counted, machine=machine), "| figure | wanted | measured | | both sides |"]
    lines.append("|---|---|---|---|---|")
    lines += [f"| {f.name} | {f.bound} | **{f.measured}** | {_verdict(f)} | {f.detail} |" for f in figures]
    lines += ["", "## What was compared, and how", ""]
    lines += [f"- **{f.name}**: {f.how}" for f in figures]
    RESULTS.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return RESULTS


def line(figure: Figure) -> str:
    """One figure in one line."""
    return f"{figure.name}: {figure.measured} (wanted {figure.bound}, {_verdict(figure)}); {figure.detail}"


def _verdict(figure: Figure) -> str:
    return "met" if figure.met else "missed"
