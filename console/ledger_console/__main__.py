"""The `ledger` command, and `python -m ledger_console` for when the script is not on the path."""

from __future__ import annotations

import gc
import sys

from ledger_console.main import main


def run() -> int:
    """Run the command line of this process and return its exit code."""
    code = main()
    # All of it ends with the process: to look through it for garbage first takes as long as some commands.
    gc.freeze()
    return code


if __name__ == "__main__":
    sys.exit(run())
