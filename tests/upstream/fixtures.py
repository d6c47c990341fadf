"""Pytest fixtures over the oracle. Use: `from tests.upstream.fixtures import upstream  # noqa: F401` in a conftest."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.upstream import Upstream, running_upstream


@pytest.fixture
def upstream(tmp_path: Path) -> Iterator[Upstream]:
    """An oracle behind TLS, with its own effects file, for one test."""
    with running_upstream(tmp_path / "upstream") as running:
        yield running


@pytest.fixture
def plain_upstream(tmp_path: Path) -> Iterator[Upstream]:
    """The same without TLS."""
    with running_upstream(tmp_path / "plain-upstream", tls=False) as running:
        yield running
