"""Real clients under `ledger run`, not a line of theirs changed: run twice, one effect, the recorded answer."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.clients import ALL, command, url_for
from tests.upstream import Upstream, running_upstream
from tests.wire.sidecars import ledger

HOSTS = ("api.example.test", "api.stripe.com")
RULES = """
rules:
  - name: everything
    match: {method: POST, url: "https://api.example.test/**"}
    idempotency_key: ignore-generated
packs: [stripe]
"""


@pytest.fixture(scope="module")
def reached(tmp_path_factory: pytest.TempPathFactory) -> object:
    with running_upstream(tmp_path_factory.mktemp("clients"), hosts=HOSTS) as upstream:
        yield upstream


def run(folder: Path, upstream: Upstream, words: list[str]) -> tuple[str, str]:
    """One run of the client behind a sidecar of its own; what it printed, and what `ledger run` said."""
    (folder / "ledger.yaml").write_text(RULES)
    options = [word for host in HOSTS for word in ("--resolve", upstream.resolve(host))]
    ended = ledger(
        *["run", "--rules", folder / "ledger.yaml", "--db", folder / "ledger.db", *options],
        *["--upstream-ca", upstream.ca_file, "--", *words],
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout, ended.stderr


@pytest.mark.parametrize("name", ALL)
def test_the_second_run_is_answered_from_the_first(name: str, tmp_path: Path, reached: Upstream) -> None:
    before = len(reached.effects())
    words = command(name, url_for(name))
    first, _ = run(tmp_path, reached, words)
    again, said = run(tmp_path, reached, words)
    assert json.loads(first) == json.loads(again)
    assert len(reached.effects()) == before + 1
    assert "1 duplicate prevented" in said
