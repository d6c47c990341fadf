"""Answers in the shapes of real providers, from a table: by method, host and path. Standard library only.

The table is a JSON list of `{"request": "METHOD host/path" (globs), "status": N, "body": ...}`; the first that fits
counts. In a body `{serial}`, `{digits}` and `{number}` (a number of JSON) become others with every answer.
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

    def answer(self, request: Request) -> Answer | None:
        """The answer for a request, which is an effect unless it reads or authenticates."""
        called = f"{request.method} {request.header('host')}{request.path}"
        entry = next((entry for entry in self._table if fnmatchcase(called, entry["request"])), None)
        if entry is None:
            return None
        kind = "effect" if request.method == "POST" and "oauth" not in request.path else "read"
        body = entry["body"] if isinstance(entry["body"], str) else json.dumps(entry["body"])
        fresh = uuid.uuid4()
        for name, value in (('"{number}"', fresh.int % 10**6), ("{number}", fresh.int % 10**6)):
            body = body.replace(name, str(value))
        body = body.replace("{serial}", fresh.hex).replace("{digits}", str(fresh.int % 10**18))
        headers = [("Content-Type", "application/json"), ("X-Message-Id", fresh.hex)]
        return Answer(entry["status"], body.encode(), headers, kind)
