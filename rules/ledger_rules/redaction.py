"""What is masked in a response before it is stored. The live answer is not touched."""

from __future__ import annotations

from collections.abc import Sequence

from ledger_rules import jsontext, mediatypes
from ledger_rules.encodings import decoded
from ledger_rules.jsonpaths import Location, Path
from ledger_rules.urls import MASK

DESCRIBES_BODY = frozenset(
    ("content-length", "content-encoding", "content-md5", "content-digest", "repr-digest", "digest", "etag")
)
"""Headers, lower case, that are no longer true of a body that was masked."""


def redacted(
    paths: Sequence[Path], content_type: str | None, content_encoding: str | None, body: bytes
) -> bytes | None:
    """Return a body, decoded, with the values at these paths masked; the very same one where there is nothing to mask.

    None where a body that should be JSON cannot be read: what may hold a secret is not kept. Never raises.
    """
    if not paths or not body or mediatypes.read(content_type).format != "json":
        return body
    try:
        said = jsontext.read(decoded(body, content_encoding).decode("utf-8"))
        found: list[Location] = [location for path in paths for location in path.locations(said.document)]
    except (ValueError, RecursionError):
        return None
    for location in sorted(set(found), key=len, reverse=True):
        parent = said.document
        for part in location[:-1]:
            parent = parent[part]
        parent[location[-1]] = MASK
    return said.write(said.document).encode() if found else body
