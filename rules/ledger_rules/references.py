"""Values of a request that a rule refers to: `$.order_id` in its body, `path.id`, `query.ref`, `header.X-Order-Id`.

And URLs with such references in braces, where `{key}` is the key that the provider got. What is not there, or there
twice, has no value: nobody guesses.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import quote

from ledger_rules.jsonpaths import Location, Path, Unwalkable
from ledger_rules.matching import Sighting
from ledger_rules.patterns import UrlPattern
from ledger_rules.request import Request, origin
from ledger_rules.urls import normal_host

_FORM = re.compile(
    r"(?:path\.(?P<path>[A-Za-z_]\w*)|query\.(?P<query>.+)|header\.(?P<header>[!#$%&'*+\-.^_`|~\w]+))", re.A
)
_BRACES = re.compile(r"\{([^{}]*)\}")
_URL = re.compile(r"(?P<origin>https?://[^/?#{}\s]+)?(?P<target>/[^\s#]*)")
_EXPECTED = "expected a JSONPath such as $.order_id, or path.NAME, query.NAME or header.NAME"


@dataclass(frozen=True, slots=True)
class Reference:
    """One value of a request. kind: `body`, `path`, `query` or `header`, name: of the latter three; or `key`."""

    text: str
    kind: str
    name: str = ""
    body: Path | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a reference; raises ValueError that says what was expected."""
        if text.startswith("$"):
            return cls(text, "body", body=Path.parse(text))
        form = _FORM.fullmatch(text)
        if form is None or form.lastgroup is None:
            raise ValueError(_EXPECTED)
        return cls(text, form.lastgroup, form[form.lastgroup])

    def values(self, seen: Sighting, urls: Sequence[UrlPattern]) -> list[Any]:
        """Return what it stands for in a request, of a path as the first of these patterns that fits names it."""
        match self.kind:
            case "path":
                found = (url.named(seen.place, self.name) for url in urls)
                return [value for value in found if value is not None][:1]
            case "query":
                return [value or "" for name, value in seen.query if name == self.name]
            case "header":
                value = seen.request.header(self.name)
                return [] if value is None else [value]
        return self._in_body(seen)

    def ignored(self, seen: Sighting, ignored: Sequence[Path]) -> bool:
        """Say whether what it stands for is, wholly or in part, at one of these paths of the body."""
        documents = seen.content.documents
        if self.body is None or not ignored or documents is None or len(documents) != 1:
            return False
        try:
            mine = self.body.locations(documents[0])
            theirs = [location for path in ignored for location in path.locations(documents[0])]
        except (Unwalkable, RecursionError):
            return True
        return any(_overlap(one, other) for one in mine for other in theirs)

    def _in_body(self, seen: Sighting) -> list[Any]:
        documents = seen.content.documents
        if self.body is None or documents is None or len(documents) != 1:
            return []
        try:
            return self.body.values(documents[0])
        except (Unwalkable, RecursionError):
            return []


KEY = Reference("key", "key")
"""The key that went to the provider, the client's or ours. Only a template can refer to it."""


@dataclass(frozen=True, slots=True)
class Template:
    """A URL with references in braces, on the request's own origin.

    own_origin: the one it names, None where it is a path alone. pieces: texts and references, in turns.
    """

    text: str
    own_origin: str | None
    pieces: tuple[str | Reference, ...]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a template; raises ValueError that says what was expected."""
        form = _URL.fullmatch(text)
        if form is None:
            raise ValueError("expected a URL or a path, such as /orders?reference={$.order_id}")
        parts = _BRACES.split(form["target"])
        if any(brace in part for part in parts[::2] for brace in "{}"):
            raise ValueError("expected every '{' to be closed by a '}'")
        pieces = (_piece(part) if index % 2 else part for index, part in enumerate(parts))
        named = UrlPattern.parse(form["origin"]) if form["origin"] else None
        if named is not None and not named.host.literal:
            raise ValueError("expected a host without '*', or a path alone, such as /orders")
        return cls(text, named.origin if named else None, tuple(pieces))

    @property
    def references(self) -> tuple[Reference, ...]:
        """All that it refers to."""
        return tuple(piece for piece in self.pieces if isinstance(piece, Reference))

    def filled(
        self, request: Request, urls: Sequence[UrlPattern], key: str | None = None, ignored: Sequence[Path] = ()
    ) -> str | None:
        """Return the URL for a request; None where a value is missing, or where it would lead to another origin.

        key: the one that went to the provider. ignored: what of the body differs between two attempts of one
        operation, and so says nothing of the one that is asked about.
        """
        own = origin(request.scheme, normal_host(request.host), request.port)
        if self.own_origin not in (None, own):
            return None
        seen = Sighting(request)
        if any(reference.ignored(seen, ignored) for reference in self.references):
            return None
        texts = [
            piece if isinstance(piece, str) else _inserted(_values(piece, seen, urls, key)) for piece in self.pieces
        ]
        return None if None in texts else own + "".join(text for text in texts if text is not None)


def _piece(text: str) -> Reference:
    return KEY if text == KEY.text else Reference.parse(text)


def _values(reference: Reference, seen: Sighting, urls: Sequence[UrlPattern], key: str | None) -> list[Any]:
    if reference is KEY:
        return [] if key is None else [key]
    return reference.values(seen, urls)


def _overlap(one: Location, other: Location) -> bool:
    """Whether one of the two is the other, or holds it."""
    return all(a == b for a, b in zip(one, other, strict=False))


def _inserted(values: Sequence[Any]) -> str | None:
    """Return the one value, escaped. Dots alone would lead elsewhere, numbers with a fraction have many spellings."""
    while len(values) == 1 and isinstance(values[0], list):
        values = values[0]  # the fields of a form are lists
    value = values[0] if len(values) == 1 else None
    if isinstance(value, bool) or not isinstance(value, str | int) or value in ("", ".", ".."):
        return None
    return quote(str(value).encode("utf-8", "surrogateescape"), safe="")
