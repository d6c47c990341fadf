"""The environment variables of `guard`, read when they are needed. The only place in the core that reads them."""

from __future__ import annotations

import os
from functools import cache


def database() -> str:
    """LEDGER_DB: the ledger's path."""
    return os.environ.get("LEDGER_DB") or "./ledger.db"


def workflow() -> str:
    """LEDGER_WORKFLOW: the scope of calls that name none."""
    return _text("LEDGER_WORKFLOW") or "default"


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
    return _text(name).strip().lower() not in ("", "0", "false", "no", "off")


def _text(name: str) -> str:
    """What is not set, as most are not, is asked of the mapping's own dict: `os.environ` encodes the name anew at every
    look, and takes ten times as long to say no."""
    known = getattr(os.environ, "_data", None)
    if known is not None and _encoded(name) not in known:
        return ""
    return os.environ.get(name, "")


@cache
def _encoded(name: str) -> object:
    return os.environ.encodekey(name)
