"""The protocol of claims, proved by spin over every interleaving of two workers, two crashes, pauses and lapsed leases.

The model is `claims.pml`; each bug planted in it must be found, or the proof proves nothing.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from ledger.lifecycle import TABLE

MODEL = Path(__file__).with_name("claims.pml")
SMALL = () if os.environ.get("LEDGER_CAMPAIGN") == "1" else ("CRASHES=1", "RENEWALS=0")
"""One crash and no heartbeat where the provider honours keys, which has twenty times the states otherwise."""
BUGS = {
    "a claim that may have been sent is stolen": ("STEAL",),
    "a record is swapped without a look at whose it is": ("BLIND_SWAP",),
    "an outcome is written over a successor's claim": ("BLIND_FINISH",),
    "the request goes out before the claim is there": ("SEND_FIRST",),
    "an unknown is executed again": ("RERUN_UNKNOWN",),
    "a refusal settles what was sent again": ("RESEND", "REFUSAL_SETTLES"),
}
LEFT_OUT = {
    "HEAD": "changes no status",
    "TAKE_OVER": "an exception that a person chooses, as the bug STEAL shows",
    "RERUN": "another, as RERUN_UNKNOWN shows",
    "FORCE": "a person's word",
    "RELEASE": "a person's word",
    "RELEASED": "a person's word",
    "REPEAT": "another intended effect, after the window",
}


def errors(folder: Path, *macros: str, speed: int = 2) -> int:
    """Run the exhaustive search; how many violations it found. It stops at the first. speed: of the compiled search."""
    for tool in ("spin", "cc"):
        if shutil.which(tool) is None:
            reason = f"{tool} is not installed"
            (pytest.fail if os.environ.get("LEDGER_REQUIRE_REAL") == "1" else pytest.skip)(reason)
    defined = [f"-D{macro}" for macro in macros]
    for words in (
        ["spin", *defined, "-a", str(MODEL)],
        ["cc", f"-O{speed}", "-DSAFETY", "-DMEMLIM=2048", "-o", "pan", "pan.c"],
    ):
        subprocess.run(words, cwd=folder, check=True, capture_output=True, timeout=120)
    said = subprocess.run(["./pan", "-m100000"], cwd=folder, check=False, capture_output=True, text=True, timeout=400)
    assert "max search depth too small" not in said.stdout
    found = re.search(r"errors: (\d+)", said.stdout)
    assert found is not None, said
    assert "Search not completed" not in said.stdout or int(found[1]), said.stdout
    return int(found[1])


def test_there_is_one_effect_at_most_and_nobody_guesses(tmp_path: Path) -> None:
    assert errors(tmp_path) == 0


def test_where_the_provider_honours_our_key_sending_again_is_no_second_effect(tmp_path: Path) -> None:
    assert errors(tmp_path, "RESEND", *SMALL) == 0


@pytest.mark.parametrize("bug", BUGS)
def test_each_planted_bug_is_found(tmp_path: Path, bug: str) -> None:
    assert errors(tmp_path, *BUGS[bug], speed=0) > 0


def test_the_model_has_every_row_of_the_table_or_says_why_not() -> None:
    named = set(re.findall(r"\b[A-Z_]{4,}\b", " ".join(re.findall(r"/\*(.*?)\*/", MODEL.read_text(), re.DOTALL))))
    rows = {row.trigger.name for row in TABLE}
    assert rows - named == set(LEFT_OUT)
