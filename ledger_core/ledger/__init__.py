"""Exactly-once for tools that agents retry. The public surface: what this file names, nothing else.

Importing it costs next to nothing: everything but the guard itself is imported when it is first asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ledger.guards import Guard

if TYPE_CHECKING:
    from ledger.compat import BLOCKED, Record, _Mem, _SQLite
    from ledger.errors import (
        Conflict,
        InFlight,
        KeyMismatch,
        LedgerError,
        NotALedger,
        OutcomeUnknown,
        ResultUnavailable,
        StoreBusy,
        StoreUnavailable,
        UnstableArgument,
    )
    from ledger.policy import OnUnknown, Policy
    from ledger.ports import Store
    from ledger.records import Event, Result, Status
    from ledger.stores.memory import MemoryStore
    from ledger.stores.sqlite import SqliteStore

__all__ = [
    "BLOCKED",
    "Conflict",
    "Event",
    "Guard",
    "InFlight",
    "KeyMismatch",
    "LedgerError",
    "MemoryStore",
    "NotALedger",
    "OnUnknown",
    "OutcomeUnknown",
    "Policy",
    "Record",
    "Result",
    "ResultUnavailable",
    "SqliteStore",
    "Status",
    "Store",
    "StoreBusy",
    "StoreUnavailable",
    "UnstableArgument",
    "_Mem",
    "_SQLite",
    "guard",
]

guard = Guard()
"""The guard of this process: its records live in LEDGER_DB."""

_HOMES = {
    "policy": "OnUnknown Policy",
    "ports": "Store",
    "records": "Event Result Status",
    "compat": "BLOCKED Record _Mem _SQLite",
    "stores.memory": "MemoryStore",
    "stores.sqlite": "SqliteStore",
    "errors": "Conflict InFlight KeyMismatch LedgerError NotALedger OutcomeUnknown ResultUnavailable StoreBusy "
    "StoreUnavailable UnstableArgument",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return import_module("importlib.metadata").version("ledger-sidecar")
    for module, names in _HOMES.items():
        if name in names.split():
            value = getattr(import_module(f"ledger.{module}"), name)
            globals()[name] = value
            return value
    raise AttributeError(f"module 'ledger' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
