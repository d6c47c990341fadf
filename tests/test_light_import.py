"""`import ledger` is on the path of every agent that uses guard: it must stay light."""

from __future__ import annotations

import subprocess
import sys

HEAVY = {"asyncio", "sqlite3", "ssl", "socket", "multiprocessing", "concurrent.futures"}
OURS = {"ledger"}


def imported_by(statement: str) -> set[str]:
    """The modules that a fresh interpreter has after the statement and had not before it."""
    script = f"import sys; before = set(sys.modules); {statement}; print(*sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def roots(modules: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in modules}


def test_the_probe_sees_what_an_import_brings():
    assert "sqlite3" in imported_by("import sqlite3")


def test_import_ledger_needs_nothing_but_the_standard_library():
    assert roots(imported_by("import ledger")) - OURS <= set(sys.stdlib_module_names)


def test_import_ledger_leaves_the_heavy_parts_of_the_standard_library_alone():
    assert not imported_by("import ledger") & HEAVY


def test_the_name_of_every_public_thing_is_there_after_the_light_import():
    script = "import ledger; print([name for name in ledger.__all__ if not hasattr(ledger, name)])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
