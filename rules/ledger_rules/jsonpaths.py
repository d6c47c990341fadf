"""RFC 9535 JSONPath: which parts of a document a rule ignores or goes by, and conditions on a response."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self

from jsonpath import JSONPath, JSONPathEnvironment
from jsonpath.exceptions import JSONPathError

type Location = tuple[int | str, ...]

NOTHING: tuple[Any, ...] = (None, "", {}, [], [None], [""])
"""Values that are no business key; in lists, as forms have them."""

_ENVIRONMENT = JSONPathEnvironment(strict=True)


@dataclass(frozen=True, slots=True)
class Path:
    """A compiled JSONPath."""

    text: str
    query: JSONPath

    @classmethod
    def parse(cls, text: str) -> Self:
        """Compile; raises ValueError that says what is wrong."""
        return cls(text, _compile(text))

    def locations(self, document: Any) -> list[Location]:
        """Return where it matches. Raises JSONPathError for documents it cannot walk."""
        return [match.parts for match in self.query.finditer(document)] if _walkable(document) else []

    def values(self, document: Any) -> list[Any]:
        """Return what it matches, in document order. Raises JSONPathError for documents it cannot walk."""
        return [match.obj for match in self.query.finditer(document)] if _walkable(document) else []


@dataclass(frozen=True, slots=True)
class Condition:
    """A filter expression about a whole document, such as `$.ok == false`, or a path that must exist."""

    text: str
    query: JSONPath

    @classmethod
    def parse(cls, text: str) -> Self:
        """Compile; raises ValueError that says what is wrong."""
        return cls(text, _compile(f"$[?{text}]"))

    def holds(self, document: Any) -> bool:
        """Say whether the document fits; a path that finds nothing compares as RFC 9535 says.

        A filter is tried on each child of the root, and here it speaks of the root alone: one child will do,
        and a document without children gets one.
        """
        subject = document if _walkable(document) and document else {"": document}
        return next(iter(self.query.finditer(subject)), None) is not None


def without(document: Any, locations: Iterable[Location]) -> Any:
    """Return the document with the values at these locations removed. Changes the document."""
    for location in sorted(set(locations), key=_removal_order, reverse=True):
        parent = document
        for part in location[:-1]:
            parent = parent[part]
        del parent[location[-1]]
    return document


def _removal_order(location: Location) -> tuple[int, list[tuple[bool, int | str]]]:
    """Deepest first, and in one list the last index first: what is still to be removed keeps its place."""
    return len(location), [(isinstance(part, int), part) for part in location]


def _walkable(document: Any) -> bool:
    # The library takes a text for a JSON document and parses it.
    return isinstance(document, dict | list)


def _compile(query: str) -> JSONPath:
    try:
        compiled = _ENVIRONMENT.compile(query)
    except (JSONPathError, ValueError, RecursionError) as error:
        # str() of these errors draws a picture of several lines, and can itself fail.
        reason = str(error.args[0]) if error.args else "syntax error"
        raise ValueError(f"expected an RFC 9535 JSONPath ({reason})") from None
    if not isinstance(compiled, JSONPath):
        raise ValueError("expected one RFC 9535 JSONPath")
    return compiled
