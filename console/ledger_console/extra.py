"""What `ledger-sidecar[proxy]` installs besides the rest, and the one line where it is missing. Imports none of it."""

from __future__ import annotations

from importlib.util import find_spec

from ledger_console.problems import USAGE, Problem

PACKAGES = ("mitmproxy", "cryptography", "certifi")


def needs_extra(command: str) -> None:
    """Raise Problem if a package is not there; for a command that would do something before it imports it."""
    if any(find_spec(package) is None for package in PACKAGES):
        raise missing(f"ledger {command}")


def missing(what: str = "this command") -> Problem:
    """The one line."""
    return Problem(f"{what} needs the proxy extra: pip install 'ledger-sidecar[proxy]'", USAGE)


def is_missing(error: ModuleNotFoundError) -> bool:
    """Whether an import failed since the extra is not installed."""
    return (error.name or "").partition(".")[0] in PACKAGES
