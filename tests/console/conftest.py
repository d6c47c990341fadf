"""Real ledgers for the screens: records are made by the same steps that the proxy and guard go through."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from ledger import clock
from ledger.calls import Call
from ledger.drivers import run
from ledger.keeper import Keeper
from ledger.lifecycle import Claimant
from ledger.owners import new_token
from ledger.policy import Policy
from ledger.records import Kind, Record, Status
from ledger.steps import Attempt, Outcome, Reply, begin
from ledger.stores.sqlite import SqliteStore
from ledger_console.main import main

CHARGE = {"method": "POST", "url": "https://api.stripe.com/v1/charges"}


class Agent:
    """Asks for operations, as an agent behind Ledger does."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.store = SqliteStore(path)
        self._keeper = Keeper(self.store)

    def ask(
        self, id: str, outcome: Outcome | Status = Status.SUCCESS, *, replay: bool = True, times: int = 1, **draft: Any
    ) -> Reply:
        ended = outcome if isinstance(outcome, Outcome) else Outcome(outcome)
        for _ in range(times):
            now, token = clock.now(), new_token()
            record = Record(**{"id": id, "tool": "stripe.charges", "kind": Kind.HTTP, "about": CHARGE, **draft})
            attempt = Attempt(record, Policy(replay=replay, wait=0), Claimant(token, token), now)
            reply = run(begin(attempt, now), Call(self.store, self._keeper, lambda _: ended))
        self.store.flush()
        return reply

    def starts(self, id: str, **draft: Any) -> None:
        """Claim and keep working: this process owns the record and lives."""
        assert self.store.claim(Record(**{"id": id, "tool": "slow", "about": CHARGE, "kind": Kind.HTTP, **draft}))

    def crashes(self, id: str) -> None:
        """Claim in a process of its own that dies before the outcome."""
        script = """
            import os, sys
            from ledger.records import Record
            from ledger.stores.sqlite import SqliteStore
            assert SqliteStore(sys.argv[1]).claim(Record(id=sys.argv[2], tool="crashed"))
            os._exit(0)
        """
        subprocess.run([sys.executable, "-c", textwrap.dedent(script), str(self.path), id], check=True, timeout=30)

    def close(self) -> None:
        self._keeper.close()
        self.store.close()


class Said(NamedTuple):
    """What a command line came to."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()

    @property
    def json(self) -> list[Any]:
        return [json.loads(line) for line in self.lines]


type Ledger = Callable[..., Said]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty working directory, and no environment of the developer's."""
    monkeypatch.chdir(tmp_path)
    for name in ("LEDGER_DB", "LEDGER_RULES", "LEDGER_WORKFLOW", "LEDGER_KEY", "LEDGER_DEBUG", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Agent]:
    """An agent on ./ledger.db."""
    one = Agent(tmp_path / "ledger.db")
    yield one
    one.close()


@pytest.fixture
def ledger(capsys: pytest.CaptureFixture[str]) -> Ledger:
    """Runs a command line in this process."""

    def call(*words: str | Path) -> Said:
        capsys.readouterr()
        code = main([str(word) for word in words])
        return Said(code, *capsys.readouterr())

    return call
