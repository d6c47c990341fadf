"""An oracle upstream and a sidecar in front of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.upstream import Upstream
from tests.upstream.fixtures import upstream
from tests.wire.sidecars import Sidecar, running

__all__ = ["sidecar", "upstream"]


@pytest.fixture
def sidecar(tmp_path: Path, upstream: Upstream) -> Iterator[Sidecar]:
    with running(tmp_path / "sidecar", upstream) as made:
        yield made
