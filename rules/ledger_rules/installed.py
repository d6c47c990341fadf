"""Whether what is imported late is there. What lacks in the middle of a request would change how it is compared."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec

from ledger_rules.errors import RulesError

LATE: Mapping[str, str] = {
    "brotli": "brotli",
    "graphql": "graphql-core",
    "http_sf": "http-sf",
    "jsonpath": "python-jsonpath",
    "zstandard": "zstandard",
}
"""Packages by the name they are imported by, and what they are called where they are installed from."""


def check() -> None:
    """Raise RulesError, which names what is missing."""
    missing = [name for module, name in LATE.items() if find_spec(module) is None]
    if missing:
        lacks = f"this installation of Ledger lacks {' and '.join(missing)}"
        raise RulesError(f"{lacks}, so requests could not be compared; install ledger-sidecar again")
