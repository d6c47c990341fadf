"""`ledger env`: one agent started elsewhere, in every syntax, and a real client that goes by it."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from pathlib import Path

import pytest

from tests import clients
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
    assert told["HTTPS_PROXY"] == "http://it%27s%20%22%24HOME%22%20%26%20100%20%25:agent@127.0.0.1:9999"
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


def test_what_a_proxys_url_cannot_carry_is_one_line(ledger: Ledger) -> None:
    """Where it is left out silently, two workflows are one, and the second's payment is taken for the first's."""
    colon, alone = ledger("env", "--workflow", "order:42"), ledger("env", "--caller", "agent-A")
    assert (colon.code, alone.code) == (2, 2)
    assert colon.err == ("ledger: the workflow 'order:42' has a colon, which a proxy's user cannot have; use another\n")
    assert alone.err.startswith("ledger: --caller needs --workflow")


def test_an_address_of_ipv6_stands_in_brackets(ledger: Ledger, tmp_path: Path) -> None:
    told = _sh(ledger("env", "--proxy", "[::1]:9999", "--ca-dir", tmp_path / "ca").out)
    assert told["HTTPS_PROXY"] == "http://[::1]:9999"


@pytest.mark.parametrize("form", ["sh", "docker"])
def test_what_this_shell_has_already_is_printed_all_the_same(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    """The agent may be started in another, or in a container."""
    first = ledger("env", "--ca-dir", tmp_path / "ca", "--for", form).lines
    for name, value in _sh(ledger("env", "--ca-dir", tmp_path / "ca").out).items():
        monkeypatch.setenv(name, value)
    assert ledger("env", "--ca-dir", tmp_path / "ca", "--for", form).lines == first


@pytest.mark.parametrize("client", ["curl", "urllib", "requests", "httpx", "aiohttp", "node-fetch"])
def test_a_client_started_elsewhere_goes_through_in_its_own_workflow(
    tmp_path: Path,
    upstream: Upstream,  # noqa: F811
    client: str,
) -> None:
    """Twice for each of two orders; each is charged once."""
    words = clients.command(client, "https://api.stripe.com/v1/charges")
    sidecar = start(tmp_path / "s", upstream)
    clean = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    for order in ("order-1", "order-2", "order-2", "order-1"):
        given = ["--proxy", f"127.0.0.1:{sidecar.port}", "--ca-dir", sidecar.ca, "--rules", tmp_path / "s/ledger.yaml"]
        program = f'eval "$({shlex.join(command("env", *given, "--workflow", order))})" && {shlex.join(words)}'
        subprocess.run(["sh", "-c", program], check=True, timeout=60, env=clean, capture_output=True)
    records = sidecar.records()
    sidecar.stop()
    assert {(one["wf"], one["caller"], one["status"], one["attempts"]) for one in records} == {
        ("order-1", "agent", "success", 2),
        ("order-2", "agent", "success", 2),
    }
    assert len(upstream.effects()) == 2
