"""Holds the code to its sizes: files, functions, their median in each room, and a docstring on top of every module."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parent.parent
ROOMS = ("ledger_core", "rules", "proxy", "console")
FILE_LINES, FUNCTION_LINES, MEDIAN_LINES = 400, 60, 10


def sources() -> list[Path]:
    """Every Python file of ours."""
    folders = (*ROOMS, "tests", "examples", "bench", "scripts")
    found = (path for folder in folders for path in (ROOT / folder).rglob("*.py"))
    return sorted(path for path in found if "node_modules" not in path.parts)


def functions(tree: ast.Module) -> Iterator[tuple[str, int, int]]:
    """Name, line and length of each function, decorators left out."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, node.lineno, (node.end_lineno or node.lineno) - node.lineno + 1


def complaints_about(path: Path, text: str, tree: ast.Module) -> Iterator[str]:
    """What one file does wrong."""
    name, lines = path.relative_to(ROOT), len(text.splitlines())
    if lines > FILE_LINES:
        yield f"{name}: {lines} lines, at most {FILE_LINES}: split it"
    if text.strip() and ast.get_docstring(tree) is None:
        yield f"{name}:1: no docstring: say what lives here and what must not"
    for function, line, length in functions(tree):
        if length > FUNCTION_LINES:
            yield f"{name}:{line}: {function} has {length} lines, at most {FUNCTION_LINES}"


def main() -> int:
    """Print every complaint; 1 when there is one."""
    complaints: list[str] = []
    lengths: dict[str, list[int]] = {room: [] for room in ROOMS}
    for path in sources():
        text = path.read_text(encoding="utf-8")
        tree = ast.parse(text, filename=str(path))
        complaints += complaints_about(path, text, tree)
        lengths.get(path.relative_to(ROOT).parts[0], []).extend(length for _, _, length in functions(tree))
    for room, found in lengths.items():
        if found and median(found) > MEDIAN_LINES:
            complaints.append(f"{room}: the median function has {median(found):g} lines, at most {MEDIAN_LINES}")
    print(*complaints, sep="\n", end="\n" if complaints else "")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
