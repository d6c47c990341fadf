"""What a rules file says about guarded functions: its `tools`. How a policy works is the guard's business."""

from __future__ import annotations

import os
from typing import Any

from ledger_rules.loader import load


def load_tools(path: str | os.PathLike[str]) -> dict[str, dict[str, Any]]:
    """Return the `tools` of a rules file: for each tool what the file says, as keyword arguments of `guard.policy`.

    `window` is `ttl` there; `timeout: never` is None. What the file leaves out is left to the guard.
    Raises RulesError for whatever keeps the file from being used, also outside of `tools`.
    """
    return {name: dict(keywords) for name, keywords in load(path).tools.items()}
