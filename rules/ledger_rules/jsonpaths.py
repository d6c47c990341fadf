"""RFC 9535 JSONPath: which parts of a document a rule ignores or goes by, and conditions on a response.

The library is imported when the first path is compiled: it takes a quarter of the time that rules take to load, and
most ledgers need it late or never.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from jsonpath import JSONPath, JSONPathEnvironment, JSONPathMatch
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
_OTHERS_WORDS = {"and": "&&", "or": "||", "not": "!", "True": "true", "False": "false", "None": "null"}
_WORD = re.compile(rf"(?<![.\w$@'\"])({'|'.join(_OTHERS_WORDS)})\b")
"""Of other languages; as the name of a member each stands behind a dot or in quotes."""
_REGULAR = re.compile(r"\b(match|search)\s*\(")
_TOKEN = re.compile(r"TOKEN_([A-Z]+)")
_LATER = ContextVar("later", default=False)


class Unwalkable(ValueError):
    """A document that a path cannot walk, such as one that is too deep for it."""


@contextmanager
def compiled_later() -> Iterator[None]:
    """Within it paths and conditions are compiled when they are first used: those of the packs, which tests compile."""
    token = _LATER.set(True)
    try:
        yield
    finally:
        _LATER.reset(token)


@dataclass(frozen=True)
class Path:
    """A JSONPath."""

    text: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read one; raises ValueError that says what is wrong."""
        path = cls(text)
        if not _LATER.get():
            _ = path.query
        return path

    @cached_property
    def query(self) -> JSONPath:
        """What it is compiled to. Raises ValueError that says what is wrong."""
        return _compile(self.text)

    def locations(self, document: Any) -> list[Location]:
        """Return where it matches. Raises Unwalkable."""
        return [match.parts for match in self._matches(document)]

    def named(self, document: Any) -> list[tuple[list[str], Any]]:
        """Return what it finds with the names on the way there, sorted by them, in document order under one name.

        `$..id` of a transfer: which id is the sender's is told by the names alone, and members have no order.
        """
        found = [
            ([part for part in match.parts if isinstance(part, str)], match.obj) for match in self._matches(document)
        ]
        return sorted(found, key=lambda pair: pair[0])

    def values(self, document: Any) -> list[Any]:
        """Return what it matches, in document order. Raises Unwalkable."""
        return [match.obj for match in self._matches(document)]

    def _matches(self, document: Any) -> list[JSONPathMatch]:
        # The library takes a text for a JSON document and parses it.
        return _walked(lambda: self.query.finditer(document)) if isinstance(document, dict | list) else []


@dataclass(frozen=True)
class Condition:
    """A filter expression about a whole document, such as `$.ok == false`, or a path that must exist."""

    text: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read one; raises ValueError that says what is wrong."""
        condition = cls(text)
        if not _LATER.get():
            _ = condition.filter
        return condition

    @cached_property
    def filter(self) -> Filter:
        """What it is compiled to. Raises ValueError that says what is wrong."""
        from jsonpath.segments import JSONPathChildSegment
        from jsonpath.selectors import Filter

        match _compile(f"$[?{self.text}]").segments:
            case [JSONPathChildSegment(selectors=[Filter() as only])]:
                return only
        raise ValueError("expected one condition; combine several with && and ||")

    def holds(self, document: Any) -> bool:
        """Say whether the document fits; a path that finds nothing compares as RFC 9535 says. Raises Unwalkable.

        A filter is tried on the children of a node. Here the document is the only child, and the root, too.
        """
        from jsonpath import JSONPathMatch

        root: Any = _OPAQUE if isinstance(document, str) else document
        node = JSONPathMatch(filter_context={}, obj=[root], parent=None, path="$", parts=(), root=root)
        return bool(_walked(lambda: self.filter.resolve(node)))


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


def _walked(walk: Callable[[], Iterable[JSONPathMatch]]) -> list[JSONPathMatch]:
    from jsonpath.exceptions import JSONPathError

    try:
        return list(walk())
    except JSONPathError as error:
        raise Unwalkable(*error.args) from None


@cache
def _environment() -> JSONPathEnvironment:
    from jsonpath import JSONPathEnvironment

    return JSONPathEnvironment(strict=True)


def _likely(name: str) -> str:
    return f"$.{name.lstrip('.')}" if _DOTTED.fullmatch(name.lstrip(".")) else "$.order.id"


def _compile(query: str) -> JSONPath:
    bare = _QUOTED.sub("''", query)
    if (regular := _REGULAR.search(bare)) is not None:
        raise ValueError(f"{regular[1]}() is not to be had: a regular expression can take for ever; compare with ==")
    if (word := _WORD.search(bare)) is not None:
        raise ValueError(f"expected {_OTHERS_WORDS[word[1]]} in place of '{word[1]}'")
    if _ASSIGNED.search(bare):
        raise ValueError("expected == where two values are compared")
    if bare.count("..") > MAX_DESCENTS:
        raise ValueError(f"expected no more than {MAX_DESCENTS} times '..': name the members that lead there")
    if not query.lstrip().startswith("$"):
        raise ValueError(f"expected an RFC 9535 JSONPath, which begins with $, such as {_likely(query)}")
    from jsonpath import JSONPath
    from jsonpath.exceptions import JSONPathError

    try:
        compiled = _environment().compile(query)
    except (JSONPathError, ValueError, RecursionError) as error:
        # str() of these errors draws a picture of several lines, and can itself fail.
        reason = _TOKEN.sub(lambda token: token[1].lower(), str(error.args[0])) if error.args else "syntax error"
        raise ValueError(f"expected an RFC 9535 JSONPath ({reason})") from None
    if not isinstance(compiled, JSONPath):
        raise ValueError("expected one RFC 9535 JSONPath")
    return compiled
