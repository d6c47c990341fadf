"""`ledger env`: one agent started elsewhere, in every syntax, and a real client that goes by it."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.console.conftest import Ledger
from tests.upstream import Upstream
from tests.upstream.fixtures import upstream  # noqa: F401 - a fixture
from tests.wire.sidecars import command, start

AWKWARD = 'it\'s "$HOME" & 100 %'


def _sh(text: str) -> dict[str, str]:
    program = f"{text}\nexec python3 -c 'import json, os; print(json.dumps(dict(os.environ)))'"
    said = subprocess.run(["sh", "-c", program], capture_output=True, text=True, check=True, timeout=30)
    return dict(json.loads(said.stdout))


def test_a_shell_gets_every_value_as_it_is(ledger: Ledger, tmp_path: Path) -> None:
    ca = tmp_path / AWKWARD
    said = ledger("env", "--proxy", "127.0.0.1:9999", "--ca-dir", ca, "--workflow", AWKWARD)
    told = _sh(said.out)
    assert told["HTTPS_PROXY"] == "http://127.0.0.1:9999"
    assert told["SSL_CERT_FILE"] == str(ca / "bundle.pem")
    assert told["LEDGER_WORKFLOW"] == AWKWARD
    assert Path(told["SSL_CERT_FILE"]).exists()


def test_other_syntaxes_quote_by_their_own_rules(ledger: Ledger, tmp_path: Path) -> None:
    def workflow(form: str) -> str:
        said = ledger("env", "--for", form, "--ca-dir", tmp_path / "ca", "--workflow", AWKWARD)
        return next(line for line in said.lines if "LEDGER_WORKFLOW" in line)

    assert workflow("fish") == "set -gx LEDGER_WORKFLOW 'it\\'s \"$HOME\" & 100 %'"
    assert workflow("powershell") == "$env:LEDGER_WORKFLOW = 'it''s \"$HOME\" & 100 %'"
    assert workflow("dotenv") == 'LEDGER_WORKFLOW="it\'s \\"\\$HOME\\" & 100 %"'
    assert workflow("docker") == f"LEDGER_WORKFLOW={AWKWARD}"


def test_a_port_that_cannot_be_is_one_line(ledger: Ledger) -> None:
    assert ledger("env", "--proxy", "localhost").err.startswith("ledger: --proxy 'localhost' is not HOST:PORT")
    assert ledger("env", "--proxy", "127.0.0.1:0").code == 2


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is missing")
def test_a_client_started_elsewhere_goes_through(tmp_path: Path, upstream: Upstream) -> None:  # noqa: F811
    sidecar = start(tmp_path / "s", upstream)
    variables = shlex.join(
        command(
            "env", "--proxy", f"127.0.0.1:{sidecar.port}", "--ca-dir", sidecar.ca, "--rules", tmp_path / "s/ledger.yaml"
        )
    )
    charge = "curl -sS --json '{\"amount\": 5}' https://api.stripe.com/v1/charges"
    for _ in range(2):
        program = f'eval "$({variables})" && {charge}'
        clean = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
        subprocess.run(["sh", "-c", program], check=True, timeout=60, env=clean, capture_output=True)
    sidecar.stop()
    assert len(upstream.effects()) == 1
