"""The deployment examples against the schemas of those who read them: the API of Kubernetes, the Compose specification.

Both come in packages, so nothing is asked of a cluster, a daemon or the network; each must refuse what is wrong.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from compose_spec import PyCompose

EXAMPLES = Path(__file__).parents[2] / "examples"
COMPOSE = (EXAMPLES / "docker-compose.yml").read_text()
VERSIONS = ("1.29", kubernetes_validate.latest_version())
"""The oldest with native sidecars, and the newest that is known."""


def manifests(text: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(text))


def judge(text: str, version: str) -> None:
    """Raises where Kubernetes has another idea of one of the objects, or of a field in it."""
    for one in manifests(text):
        kubernetes_validate.validate(one, version, strict=True)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("file", sorted((EXAMPLES / "kubernetes").glob("*.yaml")), ids=lambda file: file.name)
def test_kubernetes_takes_every_field_of_the_manifests(file: Path, version: str) -> None:
    text = file.read_text()
    assert [one["kind"] for one in manifests(text)] == ["PersistentVolumeClaim", "Deployment"]
    judge(text, version)


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("readOnlyRootFilesystem: true", "readonlyRootFilesystem: true"),
        ("failureThreshold: 30", 'failureThreshold: "30"'),
        ("capabilities: {drop: [ALL]}", "capabilities: {drop: ALL}"),
        ("mountPath: /trust", "mountpath: /trust"),
        ("accessModes: [ReadWriteOncePod]", "accessMode: ReadWriteOncePod"),
    ],
)
def test_it_would_not_take_a_field_that_is_wrong(right: str, wrong: str) -> None:
    text = (EXAMPLES / "kubernetes" / "agent.yaml").read_text()
    assert right in text
    with pytest.raises(kubernetes_validate.ValidationError):
        judge(text.replace(right, wrong), VERSIONS[0])


def test_compose_takes_every_field_and_knows_what_they_name() -> None:
    compose = PyCompose.from_yaml(COMPOSE)
    compose.validate()
    assert compose.service_names() == ["ledger", "agent"]
    named = {
        volume.partition(":")[0] for one in yaml.safe_load(COMPOSE)["services"].values() for volume in one["volumes"]
    }
    assert {name for name in named if not name.startswith(".")} == set(compose.volumes)


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("read_only: true", "read_only: maybe"),
        ("cap_drop:", "cap_drp:"),
        ("condition: service_healthy", "condition: service_fine"),
        ("stop_grace_period: 30s", "stop_grace_period: soon"),
        ("network_mode: service:ledger", "network_mode: [ledger]"),
    ],
)
def test_compose_would_not_take_a_field_that_is_wrong(right: str, wrong: str) -> None:
    assert right in COMPOSE
    with pytest.raises(ValueError, match=r"services\."):
        PyCompose.from_yaml(COMPOSE.replace(right, wrong))
