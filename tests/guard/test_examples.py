"""The examples, run as a reader would run them, on a ledger of their own; and once more, as after a restart."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"

FIRST = {
    "openai_tools.py": [
        'call_1: send_email -> {"status": "sent", "to": "ada@example.com"}',
        'call_2: send_email -> {"status": "already sent"}',
        "sent 1 e-mail(s)",
        "✓ send_email  attempts 2   executed 1   blocked 1",
    ],
    "langchain_tools.py": [
        "call_1: charge_card -> receipt 1: cus_ada paid 49.00",
        "call_2: charge_card -> receipt 1: cus_ada paid 49.00",
        "charged 1 time(s)",
    ],
    "async_agent.py": [
        str(["accepted shipped"] * 5),
        "first call: no answer from the bank",
        "held: pay_invoice may have happened (TimeoutError: no an",
        "INV-7 was paid",
        "effects: ['https://hooks.example.com/1', 'INV-7']",
        "✓ post_webhook  attempts 5   executed 1   blocked 4",
    ],
}
AGAIN = {
    "openai_tools.py": ['call_1: send_email -> {"status": "already sent"}', "sent 0 e-mail(s)"],
    "langchain_tools.py": ["call_1: charge_card -> receipt 1: cus_ada paid 49.00", "charged 0 time(s)"],
    "async_agent.py": ["INV-7 was paid", "effects: []"],
}


@pytest.mark.parametrize("name", FIRST)
def test_it_runs_and_a_second_run_does_nothing_twice(name: str, tmp_path: Path) -> None:
    for expected in (FIRST[name], AGAIN[name]):
        done = subprocess.run(
            [sys.executable, "-W", "error::RuntimeWarning", EXAMPLES / name],
            cwd=tmp_path,
            env={"PATH": os.environ["PATH"], "PYTHONIOENCODING": "utf-8"},
            capture_output=True,
            encoding="utf-8",
            timeout=120,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
        told = [re.sub(r"^\[ledger\].*", "", line).strip() for line in done.stdout.splitlines()]
        for line in expected:
            assert line in told, done.stdout
    assert (tmp_path / "ledger.db").exists()
