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
UNIT = EXAMPLES / "systemd" / "ledger.service"


def compose() -> dict[str, Any]:
    return yaml.safe_load((EXAMPLES / "docker-compose.yml").read_text())["services"]


def pod() -> dict[str, Any]:
    *_, deployment = yaml.safe_load_all((EXAMPLES / "kubernetes" / "agent.yaml").read_text())
    return deployment["spec"]["template"]["spec"]


def scripts() -> list[str]:
    """The shell text that each of them starts the sidecar with."""
    return [compose()["ledger"]["command"][0], pod()["initContainers"][0]["args"][0]]


@pytest.mark.parametrize("number", [0, 1])
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
    assert [mount["name"] for mount in pod()["containers"][0]["volumeMounts"]] == ["trust"]


def test_the_sidecar_is_confined_and_stops_after_its_drain() -> None:
    ledger = compose()["ledger"]
    assert ledger["read_only"] is True
    assert ledger["cap_drop"] == ["ALL"]
    assert int(ledger["stop_grace_period"].rstrip("s")) > 10
    assert compose()["agent"]["network_mode"] == "service:ledger"
    [sidecar] = pod()["initContainers"]
    assert sidecar["restartPolicy"] == "Always"
    assert sidecar["securityContext"]["readOnlyRootFilesystem"] is True
    assert sidecar["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert pod()["securityContext"]["runAsNonRoot"] is True
    assert pod()["terminationGracePeriodSeconds"] > 10


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
