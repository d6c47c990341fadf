"""`python -m ledger_console`, for when the `ledger` script is not on the path."""

from __future__ import annotations

import sys

from ledger_console.main import main

if __name__ == "__main__":
    sys.exit(main())
