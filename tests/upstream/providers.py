"""Answers in the shapes of real providers, from a table: by method, host and path. Standard library only.

The table is a JSON list of `{"request": "METHOD host/path" (globs), "status": N, "body": ...}`; the first that fits
counts, for so many requests as `times` says. `lost` answers never arrive; `kind` says what one stands for if it is
nothing ordinary. In a body `{serial}`, `{digits}` and `{number}` (a number of JSON) become others with every answer.
"""

from __future__ import annotations

import json
import uuid
from fnmatch import fnmatchcase
from pathlib import Path

from wire import Answer, Request


class Provider:
    """A table of answers; without a file it has none."""

    def __init__(self, file: Path | None) -> None:
        self._table = json.loads(file.read_text()) if file else []
        self._left = [entry.get("times", 1 << 30) for entry in self._table]

    def answer(self, request: Request) -> Answer | None:
        """The answer for a request, which is an effect unless it reads or authenticates."""
        called = f"{request.method} {request.header('host')}{request.path}"
        fitting = (number for number, entry in enumerate(self._table) if fnmatchcase(called, entry["request"]))
        chosen = next((number for number in fitting if self._left[number]), None)
        if chosen is None:
            return None
        self._left[chosen] -= 1
        entry = self._table[chosen]
        usual = "effect" if request.method == "POST" and "oauth" not in request.path else "read"
        body = entry["body"] if isinstance(entry["body"], str) else json.dumps(entry["body"])
        fresh = uuid.uuid4()
        for name, value in (('"{number}"', fresh.int % 10**6), ("{number}", fresh.int % 10**6)):
            body = body.replace(name, str(value))
        body = body.replace("{serial}", fresh.hex).replace("{digits}", str(fresh.int % 10**18))
        headers = [("Content-Type", "application/json"), ("X-Message-Id", fresh.hex)]
        return Answer(entry["status"], body.encode(), headers, entry.get("kind", usual), entry.get("lost", False))
