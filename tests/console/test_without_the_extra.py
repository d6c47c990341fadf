"""`pip install ledger-sidecar`, without `[proxy]`: what needs more says so in one line, the rest works."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ledger_console.extra import PACKAGES
from tests.console.conftest import Agent

LINE = "needs the proxy extra: pip install 'ledger-sidecar[proxy]'\n"


def base(folder: Path, *words: str, **env: str) -> tuple[int, str]:
    """Exit code and stderr of a command in a process that can import nothing of the extra."""
    script = f"import sys\nfor name in {PACKAGES}: sys.modules[name] = None\n"
    script += "from ledger_console.main import main\nsys.exit(main(sys.argv[1:]))"
    done = subprocess.run(
        [sys.executable, "-c", script, *words],
        cwd=folder, env={**os.environ, **env}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    "command",
    [*(f"ca {one}" for one in ("create", "path", "show", "trust", "rotate")), "run -- touch ran", "proxy", "env"],
)
def test_what_needs_it_says_what_to_install(tmp_path: Path, command: str) -> None:
    code, said = base(tmp_path, *command.split())
    assert (code, said.count("\n")) == (2, 1)
    assert said.endswith(LINE), said
    assert list(tmp_path.iterdir()) == []


def test_a_key_for_what_is_kept_needs_it_too(tmp_path: Path, agent: Agent) -> None:
    agent.ask("ab12")
    code, said = base(tmp_path, "encrypt", "--db", str(agent.path), LEDGER_ENCRYPTION_KEY="00" * 32)
    assert code != 0
    assert said.endswith(LINE), said


@pytest.mark.parametrize("command", ["show", "stats", "unknown", "tail --no-follow", "doctor", "rules check", "export"])
def test_the_rest_works(tmp_path: Path, agent: Agent, command: str) -> None:
    agent.ask("ab12")
    agent.close()
    assert base(tmp_path, *command.split())[0] == 0
