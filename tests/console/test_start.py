"""Who looks waits for what is imported before anything is shown: on a terminal, too, nothing large rides along."""

from __future__ import annotations

import re

import pytest

from tests.console.conftest import Agent
from tests.console.running import PATIENCE, running

LARGE = {"_hashlib", "aiohttp", "asyncio", "decimal", "jinja2", "pydantic", "rich", "ssl", "urllib.request", "yaml"}


def imported_by(command: str, terminal: bool) -> set[str]:
    with running(*command.split(), terminal=terminal, PYTHONPROFILEIMPORTTIME="1") as shown:
        shown.sees("no such text: read until it ends")
        assert shown.process.wait(PATIENCE) == 0
    return set(re.findall(r"^import time: .*\| +([\w.]+)", shown.seen, re.MULTILINE))


def test_the_probe_sees_what_is_imported(agent: Agent) -> None:
    agent.ask("a1", caller="агент")
    assert {"ledger_console.screen", "rich.cells"} <= imported_by("show", terminal=True)


@pytest.mark.parametrize("terminal", [True, False], ids=["terminal", "pipe"])
@pytest.mark.parametrize("command", ["show", "show a1", "stats", "unknown", "tail --no-follow"])
def test_to_look_imports_nothing_large(agent: Agent, command: str, terminal: bool) -> None:
    agent.ask("a1", times=3)
    assert not imported_by(command, terminal) & LARGE
