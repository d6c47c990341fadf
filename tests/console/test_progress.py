"""What may last over a second draws a bar for who watches, on stderr, and leaves the output as it is."""

from __future__ import annotations

import base64
import io
import sys

import pytest

from ledger.records import Result, Status
from ledger.steps import Outcome
from ledger_console import actions, batches, export, progress
from ledger_console.main import main
from tests.console.conftest import Agent, Ledger

COMMANDS = {
    "export": "exporting",
    "show --grep nobody": "searching",
    "backup copy.db": "copying",
    "import all.jsonl --db new.db": "importing",
    "purge --older-than 2999-01-01 --yes": "counting",
    "clear --yes": "removing",
    "vacuum": "rewriting",
    "encrypt": "encrypting",
}


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def filled(agent: Agent, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """Thirty records with answers, and everything of them at once is a tenth."""
    for number in range(30):
        agent.ask(f"{number:04x}", Outcome(Status.SUCCESS, result=Result({}, bytes(5000))))
    agent.close()
    assert ledger("export", "--whole", "-o", "all.jsonl").code == 0
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("LEDGER_ENCRYPTION_KEY", base64.b64encode(bytes(32)).decode())
    for module, name in ((actions, "AT_ONCE"), (batches, "WIDTH"), (export, "ADVANCED")):
        monkeypatch.setattr(module, name, 3)


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize("command", COMMANDS)
def test_who_watches_sees_that_it_goes_on(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "SECONDS", -1)
    watched = _Terminal()
    monkeypatch.setattr(sys, "stderr", watched)
    assert main(command.split()) == 0
    assert COMMANDS[command] in watched.getvalue()
    assert COMMANDS[command] not in capsys.readouterr().out


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize("command", COMMANDS)
def test_what_is_soon_over_draws_none(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "SECONDS", 1000)
    watched = _Terminal()
    monkeypatch.setattr(sys, "stderr", watched)
    assert main(command.split()) == 0
    assert COMMANDS[command] not in watched.getvalue()
