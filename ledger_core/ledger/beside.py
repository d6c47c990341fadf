"""Where observations are kept: in a ledger beside the one that is enforced. Light, for screens read it too."""

from __future__ import annotations

from pathlib import Path


def observed_db(db: str) -> str:
    """The ledger beside `db` that observations go to: `ledger.db`, `ledger.observed.db`."""
    path = Path(db)
    return str(path.with_name(f"{path.stem}.observed{path.suffix}"))
