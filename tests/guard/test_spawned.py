"""A script whose functions are called in children that multiprocessing starts anew: they are the script's functions."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from ledger import Guard, MemoryStore, guard

SCRIPT = """
import dataclasses, multiprocessing, sys
from ledger import guard

@dataclasses.dataclass
class Order:
    number: int

def charge(order):
    with open(sys.argv[1], "a") as effects:
        effects.write(f"{order}\\n")
    return Order(8)

guard.policy(charge, replay=True)

def child():
    print(guard(charge, 7), guard(charge, Order(7)), guard(charge, 9), flush=True)

if __name__ == "__main__":
    guard(charge, 7), guard(charge, Order(7))
    process = multiprocessing.get_context(sys.argv[2]).Process(target=child)
    process.start()
    process.join()
    print(guard(charge, 9))
"""


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_what_the_script_did_its_children_do_not_do_again_nor_the_other_way_round(tmp_path: Path, method: str) -> None:
    (tmp_path / "agent.py").write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, "agent.py", "effects", method],
        env=os.environ | {"LEDGER_DB": "ledger.db", "LEDGER_QUIET": "1"},
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.stdout == "Order(number=8) Order(number=8) Order(number=8)\nOrder(number=8)\n", done.stderr
    assert (tmp_path / "effects").read_text().split("\n") == ["7", "Order(number=7)", "9", ""]


@pytest.mark.parametrize("one", [guard, Guard(store=MemoryStore())])
def test_a_guard_is_not_sent_to_another_process(one: Guard) -> None:
    with pytest.raises(TypeError, match=r"a Guard cannot be copied or sent.*from ledger import guard"):
        pickle.dumps(one)
