"""The deployment examples: hardened, probed, sharing no key, and every `ledger` command line in them is a real one."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.commands import check_command

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
PROBES = {"startupProbe": "/readyz", "readinessProbe": "/healthz", "livenessProbe": "/version"}
UNIT = EXAMPLES / "systemd" / "ledger.service"


def compose() -> dict[str, Any]:
    return yaml.safe_load((EXAMPLES / "docker-compose.yml").read_text())["services"]


def pod(name: str = "agent") -> dict[str, Any]:
    *_, deployment = yaml.safe_load_all((EXAMPLES / "kubernetes" / f"{name}.yaml").read_text())
    return deployment["spec"]["template"]["spec"]


def scripts() -> list[str]:
    """The shell text that each of them starts the sidecar with."""
    pods = [pod(name)["initContainers"][0]["args"][0] for name in ("agent", "transparent")]
    return [compose()["ledger"]["command"][0], *pods]


@pytest.mark.parametrize("number", [0, 1, 2])
def test_every_command_line_is_a_real_one(number: int) -> None:
    found = re.findall(r"ledger (?:env|proxy) [^\n>]*", scripts()[number])
    assert len(found) == 1
    for line in found:
        check_command(line)


def test_they_share_certificates_and_never_the_key() -> None:
    for script in scripts():
        assert "--ca-dir /var/lib/ledger/ca --trust-dir /trust " in script
    agent = compose()["agent"]
    assert "trust:/trust:ro" in agent["volumes"]
    assert not [volume for volume in agent["volumes"] if volume.startswith("ledger:")]
    for name in ("agent", "transparent"):
        assert [mount["name"] for mount in pod(name)["containers"][0]["volumeMounts"]] == ["trust"]


def test_the_sidecar_is_confined_and_stops_after_its_drain() -> None:
    ledger = compose()["ledger"]
    assert ledger["read_only"] is True
    assert ledger["cap_drop"] == ["ALL"]
    assert int(ledger["stop_grace_period"].rstrip("s")) > 10
    assert compose()["agent"]["network_mode"] == "service:ledger"
    for name in ("agent", "transparent"):
        sidecar, *_ = pod(name)["initContainers"]
        assert sidecar["restartPolicy"] == "Always"
        assert sidecar["securityContext"]["readOnlyRootFilesystem"] is True
        assert sidecar["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert pod(name)["securityContext"]["runAsNonRoot"] is True
        assert pod(name)["terminationGracePeriodSeconds"] > 10


@pytest.mark.parametrize("name", ["agent", "transparent"])
def test_a_ledger_that_takes_no_write_restarts_nothing(name: str) -> None:
    """What each probe asks; tests/deploy/test_sandbox.py runs them against a ledger that is held."""
    sidecar, *_ = pod(name)["initContainers"]
    asked = {probe: " ".join(sidecar[probe]["exec"]["command"]) for probe in PROBES}
    assert {probe: re.search(r":9090(/\w+)", words)[1] for probe, words in asked.items()} == PROBES  # type: ignore[index]
    assert all(sidecar[probe]["timeoutSeconds"] > 6 for probe in PROBES)


def test_only_the_redirect_has_a_capability_and_only_the_sidecar_is_exempt() -> None:
    """It comes after the sidecar listens. What the rules do, tests/wire/test_transparent.py shows."""
    sidecar, redirect = pod("transparent")["initContainers"]
    [agent] = pod("transparent")["containers"]
    assert redirect["securityContext"]["capabilities"] == {"drop": ["ALL"], "add": ["NET_ADMIN"]}
    [exempt] = set(re.findall(r"meta skuid (?:!= )?(\d+)", redirect["args"][0]))
    assert sidecar["securityContext"]["runAsUser"] == int(exempt)
    assert agent["securityContext"]["runAsUser"] not in (int(exempt), 0)
    assert agent["securityContext"]["allowPrivilegeEscalation"] is False
    [listen] = re.findall(r"--listen 127\.0\.0\.1:(\d+)", sidecar["args"][0])
    assert f"redirect to :{listen}" in redirect["args"][0]
    assert not [one for one in agent["env"] if "PROXY" in one["name"]]


def test_the_unit_is_one_that_systemd_takes(tmp_path: Path) -> None:
    text = UNIT.read_text()
    start = re.search(r"^ExecStart=/opt/ledger/bin/(ledger .*)$", text, re.MULTILINE)
    assert start is not None
    check_command(start[1])
    # Not there everywhere; the lines are read by ourselves, too.
    for line in text.splitlines():
        assert re.fullmatch(r"|#.*|\[(Unit|Service|Install)\]|[A-Z][A-Za-z]+=.*", line), line
    if shutil.which("systemd-analyze"):
        copy = tmp_path / "ledger.service"
        copy.write_text(text.replace("/opt/ledger/bin/ledger", "/bin/true"))
        said = subprocess.run(
            ["systemd-analyze", "verify", copy], capture_output=True, text=True, timeout=60, check=False
        )
        assert (said.returncode, said.stderr) == (0, "")
