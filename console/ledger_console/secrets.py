"""Secrets that a command is given: in a file or the environment rather than where everyone can read them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from ledger_console import screen
from ledger_console.problems import USAGE, Problem

if TYPE_CHECKING:
    from ledger_proxy.auth import Auth


def auth(option: str | None) -> Auth | None:
    """What `--auth` or LEDGER_AUTH names, itself or as `@FILE`; None for neither. Raises Problem."""
    name, text = ("--auth", option) if option is not None else ("LEDGER_AUTH", os.environ.get("LEDGER_AUTH"))
    if text is None:
        return None
    if text.startswith("@"):
        name, text = f"{name} {text}", _first_line(name, Path(text[1:]))
    elif option is not None and not is_worker():
        screen.aside("ledger: every user of this machine can read --auth among the processes; better --auth @FILE")
    from ledger_proxy.auth import Auth

    try:
        return Auth.parse(text)
    except ValueError as error:
        raise Problem(f"{name}: {error}", USAGE) from None


def is_worker() -> bool:
    """Whether this process is one of several under a parent, which has said already what is to be said once."""
    return "LEDGER_WORKER" in os.environ


def _first_line(name: str, file: Path) -> str:
    try:
        return file.expanduser().read_text().partition("\n")[0].strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not text"
        raise Problem(f"{name} @{file}: {why}", USAGE) from None
