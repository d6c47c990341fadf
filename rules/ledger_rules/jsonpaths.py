"""RFC 9535 JSONPath: which parts of a document a rule ignores or goes by, and conditions on a response."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self

from jsonpath import JSONPath, JSONPathEnvironment, JSONPathMatch
from jsonpath.exceptions import JSONPathError
from jsonpath.segments import JSONPathChildSegment
from jsonpath.selectors import Filter

type Location = tuple[int | str, ...]

NOTHING: tuple[Any, ...] = (None, "", {}, [], [None], [""])
"""Values that are no business key; in lists, as forms have them."""

MAX_DESCENTS = 2
"""More `..` in one path visit a document again for every one of its parts: minutes, for a large one."""

_OPAQUE = object()
"""In place of a bare text, which the library would take for a JSON document and parse. It equals nothing."""

_QUOTED = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\"""")
_DOTTED = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*", re.A)
_ASSIGNED = re.compile(r"(?<![=!<>])=(?!=)")
_REGULAR = re.compile(r"\b(match|search)\s*\(")
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

    def named(self, document: Any) -> list[tuple[list[str], Any]]:
        """Return what it finds with the names on the way there, sorted by them, in document order under one name.

        `$..id` of a transfer: which id is the sender's is told by the names alone, and members have no order.
        """
        matches = self.query.finditer(document) if _walkable(document) else ()
        found = [([part for part in match.parts if isinstance(part, str)], match.obj) for match in matches]
        return sorted(found, key=lambda pair: pair[0])

    def values(self, document: Any) -> list[Any]:
        """Return what it matches, in document order. Raises JSONPathError for documents it cannot walk."""
        return [match.obj for match in self.query.finditer(document)] if _walkable(document) else []


@dataclass(frozen=True, slots=True)
class Condition:
    """A filter expression about a whole document, such as `$.ok == false`, or a path that must exist."""

    text: str
    filter: Filter

    @classmethod
    def parse(cls, text: str) -> Self:
        """Compile; raises ValueError that says what is wrong."""
        match _compile(f"$[?{text}]").segments:
            case [JSONPathChildSegment(selectors=[Filter() as only])]:
                return cls(text, only)
        raise ValueError("expected one condition; combine several with && and ||")

    def holds(self, document: Any) -> bool:
        """Say whether the document fits; a path that finds nothing compares as RFC 9535 says.

        A filter is tried on the children of a node. Here the document is the only child, and the root, too.
        """
        root: Any = _OPAQUE if isinstance(document, str) else document
        node = JSONPathMatch(filter_context={}, obj=[root], parent=None, path="$", parts=(), root=root)
        return next(iter(self.filter.resolve(node)), None) is not None


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


def _likely(name: str) -> str:
    return f"$.{name.lstrip('.')}" if _DOTTED.fullmatch(name.lstrip(".")) else "$.order.id"


def _compile(query: str) -> JSONPath:
    bare = _QUOTED.sub("''", query)
    if (regular := _REGULAR.search(bare)) is not None:
        raise ValueError(f"{regular[1]}() is not to be had: a regular expression can take for ever; compare with ==")
    if _ASSIGNED.search(bare):
        raise ValueError("expected == where two values are compared")
    if bare.count("..") > MAX_DESCENTS:
        raise ValueError(f"expected no more than {MAX_DESCENTS} times '..': name the members that lead there")
    if not query.lstrip().startswith("$"):
        raise ValueError(f"expected an RFC 9535 JSONPath, which begins with $, such as {_likely(query)}")
    try:
        compiled = _ENVIRONMENT.compile(query)
    except (JSONPathError, ValueError, RecursionError) as error:
        # str() of these errors draws a picture of several lines, and can itself fail.
        reason = str(error.args[0]) if error.args else "syntax error"
        raise ValueError(f"expected an RFC 9535 JSONPath ({reason})") from None
    if not isinstance(compiled, JSONPath):
        raise ValueError("expected one RFC 9535 JSONPath")
    return compiled
