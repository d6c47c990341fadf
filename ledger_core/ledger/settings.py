"""The environment variables of `guard`, read when they are needed. The only place in the core that reads them."""

from __future__ import annotations

import os


def database() -> str:
    """LEDGER_DB: the ledger's path."""
    return os.environ.get("LEDGER_DB") or "./ledger.db"


def workflow() -> str:
    """LEDGER_WORKFLOW: the scope of calls that name none."""
    return os.environ.get("LEDGER_WORKFLOW") or "default"


def quiet() -> bool:
    """LEDGER_QUIET: print nothing."""
    return _on("LEDGER_QUIET")


def encrypts() -> bool:
    """LEDGER_ENCRYPTION_KEY, LEDGER_ENCRYPTION_KEY_FILE: kept results are encrypted."""
    names = ("LEDGER_ENCRYPTION_KEY", "LEDGER_ENCRYPTION_KEY_FILE")
    return any(os.environ.get(name, "").strip() for name in names)


def strict() -> bool:
    """LEDGER_STRICT: a call whose process died is held, never run again by itself."""
    return _on("LEDGER_STRICT")


def network_disk() -> bool:
    """LEDGER_NETWORK_DISK: a ledger may be on a network file system."""
    return _on("LEDGER_NETWORK_DISK")


def _on(name: str) -> bool:
    return os.environ.get(name, "").strip().lower() not in ("", "0", "false", "no", "off")
