"""What keeps a sidecar from starting, and how its command ends then: in one line. Imports no proxy engine."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine
from typing import Any

from ledger.errors import LedgerError


class EngineError(Exception):
    """A sidecar could not be started; str() is one line that says what to do."""


def guarded(main: Coroutine[Any, Any, int], failure: int) -> int:
    """Run the main task of a command. failure: its exit code when the sidecar cannot be started."""
    try:
        # Not uvloop: its TLS drops what a paused reader has not taken when the peer closes, a false unknown.
        return asyncio.run(main)
    except (LedgerError, EngineError) as error:
        print(f"ledger: {error}", file=sys.stderr)
    except ImportError as error:
        print(f"ledger: the proxy cannot be loaded: {error}; install ledger-sidecar[proxy] again", file=sys.stderr)
    except OSError as error:
        print(f"ledger: {error.filename or 'cannot start'}: {error.strerror or error}", file=sys.stderr)
    return failure
