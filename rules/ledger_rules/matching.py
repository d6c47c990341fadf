"""Which requests a rule means: one criterion, one small function. What happens to them is not here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from ledger_rules import graphql
from ledger_rules.asking import methods
from ledger_rules.contents import Content
from ledger_rules.globs import TextGlob
from ledger_rules.jsonpaths import Condition, Unwalkable
from ledger_rules.patterns import Place, UrlPattern
from ledger_rules.request import Request
from ledger_rules.urls import Pair, form_pairs, of_path, split_target

EFFECT_METHODS = frozenset(("POST", "PUT", "PATCH", "DELETE"))
"""What a rule without `method` means."""

place = of_path(Place.of)
"""Where a request goes."""

type Wanted = tuple[tuple[str, TextGlob], ...]
"""Names, and what their values must look like."""


class Sighting:
    """A request read for all the rules it is held against: each part once, and only when one of them asks for it.

    methods: its own, then what headers make of it. Nothing here raises.
    """

    def __init__(self, request: Request) -> None:
        self.request = request
        self.methods = methods(request)

    @cached_property
    def place(self) -> Place:
        """Where it goes."""
        return place(self.request)

    @cached_property
    def query(self) -> tuple[Pair, ...]:
        """Its parameters; a query with a malformed escape has none."""
        return form_pairs(split_target(self.request.target)[1]) or ()

    @cached_property
    def content(self) -> Content:
        """Its body."""
        return Content(self.request)


@dataclass(frozen=True, slots=True)
class GraphqlCriteria:
    """Which GraphQL operations are meant. names, fields: empty for any; a field is one of the root's."""

    types: frozenset[str] = frozenset(("mutation",))
    names: tuple[TextGlob, ...] = ()
    fields: tuple[TextGlob, ...] = ()

    def fit(self, operation: graphql.Operation) -> bool:
        """Say whether this operation is meant. A persisted one is, unless its name tells: only the server knows it."""
        if operation.type is None:
            return operation.name is None or _any_fits(self.names, [operation.name])
        named = () if operation.name is None else (operation.name,)
        return (
            operation.type in self.types and _any_fits(self.names, named) and _any_fits(self.fields, operation.fields)
        )


@dataclass(frozen=True, slots=True)
class Criteria:
    """What must be true of a request, all of it. urls: one of them will do; body: each condition must hold."""

    urls: tuple[UrlPattern, ...]
    methods: frozenset[str] = EFFECT_METHODS
    query: Wanted = ()
    headers: Wanted = ()
    body: tuple[Condition, ...] = ()
    graphql: GraphqlCriteria | None = None
    reads_body: bool = field(init=False, repr=False, compare=False)
    """Whether the head of a request does not tell."""

    def __post_init__(self) -> None:
        """Find out once what every request asks for."""
        object.__setattr__(self, "reads_body", bool(self.body) or self.graphql is not None)

    def fit_head(self, seen: Sighting) -> bool:
        """Say whether a request whose URL fits can be meant, as far as can be told without its body."""
        return (
            method_fits(self.methods, seen)
            and (not self.query or query_fits(self.query, seen))
            and (not self.headers or headers_fit(self.headers, seen))
        )

    def fit_body(self, seen: Sighting) -> bool:
        """Say whether the body is meant, too."""
        return body_fits(self.body, seen) and graphql_fits(self.graphql, seen)


def method_fits(wanted: frozenset[str], seen: Sighting) -> bool:
    """Say whether its method is meant, or one that a header makes of it: a server may go by either."""
    return not wanted.isdisjoint(seen.methods)


def url_fits(urls: Iterable[UrlPattern], seen: Sighting) -> bool:
    """Say whether one of the patterns fits."""
    return any(url.matches(seen.place) for url in urls)


def query_fits(wanted: Wanted, seen: Sighting) -> bool:
    """Any value of a repeated parameter will do: which one the server goes by is not known."""
    return all(any(key == name and glob.matches(value or "") for key, value in seen.query) for name, glob in wanted)


def headers_fit(wanted: Wanted, seen: Sighting) -> bool:
    """Several headers of one name are read as one value."""
    return all((value := seen.request.header(name)) is not None and glob.matches(value) for name, glob in wanted)


def body_fits(conditions: Sequence[Condition], seen: Sighting) -> bool:
    """Say whether every condition holds. One that cannot be checked counts as met: the effect may be the one meant."""
    if not conditions:
        return True
    documents = seen.content.documents
    return documents is None or all(any(_holds(one, document) for document in documents) for one in conditions)


def graphql_fits(wanted: GraphqlCriteria | None, seen: Sighting) -> bool:
    """Say whether one of the operations is meant. Where they cannot be told, one of them may be."""
    if wanted is None:
        return True
    operations = seen.content.operations
    return operations is None or any(wanted.fit(operation) for operation in operations)


def _holds(condition: Condition, document: object) -> bool:
    try:
        return condition.holds(document)
    except (Unwalkable, RecursionError):
        return True


def _any_fits(globs: Sequence[TextGlob], texts: Iterable[str]) -> bool:
    return not globs or any(glob.matches(text) for glob in globs for text in texts)
