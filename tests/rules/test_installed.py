"""Where a library is missing, rules are not loaded and no body is compared in another way than with it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from ledger_rules.installed import LATE


def without(module: str, script: str) -> str:
    """What a process says in which a library cannot be imported."""
    script = f"import sys; sys.modules[{module!r}] = None\n{script}"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    return done.stdout or done.stderr.splitlines()[-1]


@pytest.mark.parametrize("module", LATE)
def test_rules_that_could_not_be_applied_are_not_loaded(module):
    for load in ("default()", "loads('tools: {pay: {max: 1}}')"):
        said = without(module, f"from ledger_rules import *\ntry: {load}\nexcept RulesError as error: print(error)")
        why = f"lacks {LATE[module]}, so requests could not be compared; install ledger-sidecar again"
        assert said == f"this installation of Ledger {why}\n"


@pytest.mark.parametrize(
    ("module", "body", "encoding"),
    [("graphql", b'{"query": "mutation { pay }"}', None), ("brotli", b"", "br"), ("zstandard", b"", "zstd")],
)
def test_a_library_that_vanishes_while_it_runs_changes_no_fingerprint(module, body, encoding):
    reading = f"from ledger_rules.bodies import read\nprint(read({body!r}, 'application/json', {encoding!r}).format)"
    assert without(module, reading).startswith("ModuleNotFoundError")


def test_all_that_is_imported_late_is_looked_for():
    """What the base installation has, less what loading rules imports anyway."""
    script = "import sys, ledger_rules\nledger_rules.default()\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert not LATE.keys() & set(done.stdout.split())
