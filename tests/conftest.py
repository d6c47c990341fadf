"""For every test: properties are about what is true, not about how fast this machine is today."""

from __future__ import annotations

import pytest
from hypothesis import settings

settings.register_profile("ledger", deadline=None)
settings.load_profile("ledger")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that hold something slow come first: begun last, each would leave the others with nothing to do."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)
