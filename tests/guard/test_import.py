"""`import ledger` is light: it can stand in a tool that is started for every call."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys

import pytest

import ledger

HEAVY = {"asyncio", "sqlite3", "inspect", "dataclasses", "json", "pydantic", "mitmproxy", "aiohttp", "yarl", "rich"}


def test_it_imports_nothing_that_costs() -> None:
    code = "import sys; before = set(sys.modules); from ledger import guard; print(*(set(sys.modules) - before))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert HEAVY & set(told.split()) == set()


def test_a_guarded_call_imports_nothing_but_the_standard_library_and_ledger() -> None:
    code = (
        "import sys; before = set(sys.modules); from ledger import Guard, _Mem; Guard(store=_Mem()).quiet()(len, 'x')\n"
        "print(*{m.partition('.')[0] for m in set(sys.modules) - before} - sys.stdlib_module_names)"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert told.split() == ["ledger"]


@pytest.mark.parametrize("name", ledger.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert hasattr(ledger, name)
    assert name in dir(ledger)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = ledger.nonsense


def test_guard_is_the_instance_and_no_module() -> None:
    from ledger import Guard, guard

    assert isinstance(guard, Guard)
    with pytest.raises(ModuleNotFoundError):
        __import__("ledger.guard")


def test_the_version_is_the_packages() -> None:
    assert ledger.__version__ == importlib.metadata.version("ledger-sidecar")
