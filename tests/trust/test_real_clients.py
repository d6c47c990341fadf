"""Every client, unmodified and given nothing but the environment, reaches a host that only the proxy can reach."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import certifi
import pytest

from tests.clients import ALL, command, url_for


def run(words: list[str], env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, env=env, capture_output=True, text=True, timeout=60, check=False)


def answer(done: subprocess.CompletedProcess[str]) -> Any:
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", ALL)
def test_reaches_its_host_through_the_proxy(name: str, child: dict[str, str]) -> None:
    assert answer(run(command(name, url_for(name)), child))["seen_by"] == "the proxy"


@pytest.mark.parametrize("agent", ["own", "none"])
def test_node_agents_that_a_program_makes_itself_go_through_the_proxy_too(agent: str, child: dict[str, str]) -> None:
    words = [*command("node-https", url_for("node-https")), agent]
    assert answer(run(words, child))["seen_by"] == "the proxy"


@pytest.mark.parametrize("name", ["aiohttp", "stripe", "stripe-async", "node-stripe", "node-https own"])
def test_these_need_the_shims(name: str, child: dict[str, str]) -> None:
    name, *more = name.split()
    without = {key: value for key, value in child.items() if key not in ("PYTHONPATH", "NODE_OPTIONS")}
    assert run([*command(name, url_for(name)), *more], without).returncode != 0


def test_a_client_that_trusts_nothing_of_ours_is_refused(child: dict[str, str]) -> None:
    """The others pass because of the bundle, not because nobody looks."""
    strange = {**child, "REQUESTS_CA_BUNDLE": certifi.where()}
    assert "CERTIFICATE_VERIFY_FAILED" in run(command("requests", url_for("requests")), strange).stderr


@pytest.mark.parametrize(("required", "outcome"), [("1", pytest.fail.Exception), ("", pytest.skip.Exception)])
def test_a_missing_node_is_skipped_or_fails_where_it_is_required(
    required: str, outcome: type[BaseException], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tests.clients.NODE_MODULES", tmp_path)
    monkeypatch.setenv("LEDGER_REQUIRE_REAL", required)
    with pytest.raises(outcome, match="npm ci --prefix tests/node"):
        command("node-fetch", "https://api.example.test")
