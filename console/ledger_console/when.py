"""Moments as a command line names them: `2h`, `7d`, `2026-11-24`, `2026-11-24T10:00Z`. Text in, seconds out."""

from __future__ import annotations

import time
from datetime import datetime

from ledger_console.problems import USAGE, Problem

_EXPECTED = "give how long ago (30m, 24h, 7d) or a time (2026-11-24, 2026-11-24T10:00Z)"


def moment(option: str, text: str | None) -> float | None:
    """Unix seconds of a moment, None for None; one without a zone is local time. Raises Problem."""
    if text is None:
        return None
    from ledger_rules.durations import seconds

    try:
        return time.time() - seconds(text)
    except ValueError:
        pass
    try:
        return datetime.fromisoformat(text.strip()).timestamp()
    except (ValueError, OverflowError, OSError):
        raise Problem(f"{option} {text}: {_EXPECTED}", USAGE) from None
