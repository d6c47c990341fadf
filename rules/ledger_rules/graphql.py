"""GraphQL requests as they come over HTTP: which operation a body asks for, and its text in one spelling.

Read here and nowhere else, so that matching a rule and making a fingerprint cannot disagree.
The format: https://graphql.github.io/graphql-over-http/draft/#sec-Request; the language: https://spec.graphql.org.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from graphql import DocumentNode, OperationDefinitionNode

MAX_DOCUMENT = 256 << 10
"""Longer documents, in characters, are not read, nor batches longer in all: a parser in Python takes its time."""
MAX_BATCH = 1_000
"""Requests of one batch that are read, however short they are."""

_MAX_TOKENS = 20_000
_OPTIONAL = ("operationName", "variables", "extensions")


@dataclass(frozen=True, slots=True)
class Operation:
    """One GraphQL operation. Where it is unclear which of several a server would run, a mutation among them counts.

    type: `query`, `mutation` or `subscription`; None for a persisted one, of which only the server knows the text.
    name: as the document (or `operationName`) has it, None for an anonymous one. Clients choose it freely.
    fields: what is asked of the root, without aliases: `paymentCreate`. The schema fixes these.
    document: the whole text without white space, commas and comments that mean nothing; empty for a persisted one.
    """

    type: str | None
    name: str | None
    fields: tuple[str, ...]
    document: str


def read(body: bytes) -> Operation | None:
    """Return the one operation a JSON body asks for; None where it is no GraphQL or a batch. Never raises."""
    found = read_all(body)
    return found[0] if len(found) == 1 else None


def read_all(body: bytes) -> tuple[Operation, ...]:
    """Return every operation of a JSON body, several for a batch; none where any of it is no GraphQL. Never raises."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return ()
    asked = document if isinstance(document, list) else [document]
    found = [operation(request) for request in asked]
    known = tuple(one for one in found if one is not None)
    return known if len(known) == len(found) else ()


def operation(request: Any) -> Operation | None:
    """Return what one request, parsed from JSON, asks for; None where it is not a GraphQL request. Never raises."""
    if not isinstance(request, Mapping):
        return None
    text, name = request.get("query"), request.get("operationName")
    if name is not None and not isinstance(name, str):
        return None
    if text is None:
        return _persisted(request, name)
    return _read(text, name or None) if isinstance(text, str) and len(text) <= MAX_DOCUMENT else None


def readable(requests: Sequence[Any]) -> bool:
    """Say whether all of a batch can be read in bounded time. Never raises."""
    texts = (one.get("query") for one in requests if isinstance(one, Mapping))
    lengths = [len(text) for text in texts if isinstance(text, str)]
    return len(lengths) <= MAX_BATCH and sum(lengths) <= MAX_DOCUMENT


def normalise(document: Any) -> bool:
    """Put the mutations of a request or a batch, parsed from JSON, into one spelling; say whether there are any.

    Changes the document: texts lose what means nothing, parts that are null are left out. Only mutations: a text
    `{ a }` under `query` may be anything, also a search.
    """
    if isinstance(document, dict) and "query" not in document:
        return False
    requests = document if isinstance(document, list) else (document,)
    if not any(isinstance(one, dict) and "query" in one for one in requests) or not readable(requests):
        return False
    asking = [one for one in requests if isinstance(one, dict) and isinstance(one.get("query"), str)]
    mutations = [(one, asked) for one in asking if (asked := operation(one)) and asked.type == "mutation"]
    for request, asked in mutations:
        request["query"] = asked.document
        for part in _OPTIONAL:
            if request.get(part, part) is None:
                del request[part]
    return bool(mutations)


def _persisted(request: Mapping[str, Any], name: str | None) -> Operation | None:
    """Automatic persisted queries send a hash in `extensions` in place of the text."""
    extensions = request.get("extensions")
    known = isinstance(extensions, Mapping) and "persistedQuery" in extensions
    return Operation(None, name, (), "") if known else None


def _read(text: str, name: str | None) -> Operation | None:
    # Imported when first needed: most ledgers never see GraphQL, and it takes longer than all the rest.
    from graphql import GraphQLError, parse, strip_ignored_characters

    try:
        document = parse(text, no_location=True, max_tokens=_MAX_TOKENS)
        candidates = _candidates(document, name)
        if not candidates:
            return None
        kinds = {one.operation.value: one for one in reversed(candidates)}
        chosen = kinds.get("mutation", candidates[0])
        fields = tuple(_root_fields(document, candidates))
        own = chosen.name.value if chosen.name else None
        return Operation(chosen.operation.value, own, fields, strip_ignored_characters(text))
    except (GraphQLError, RecursionError):
        return None


def _candidates(document: DocumentNode, name: str | None) -> Sequence[OperationDefinitionNode]:
    """Return what a server could run: the operation of that name, or else all; none if this is no executable text."""
    from graphql import FragmentDefinitionNode, OperationDefinitionNode

    if not all(isinstance(d, OperationDefinitionNode | FragmentDefinitionNode) for d in document.definitions):
        return ()
    operations = [d for d in document.definitions if isinstance(d, OperationDefinitionNode)]
    return [d for d in operations if d.name is not None and d.name.value == name] or operations


def _root_fields(document: DocumentNode, operations: Sequence[OperationDefinitionNode]) -> Iterator[str]:
    """Yield the names of root fields in the order they run, fragments looked into, each of them once."""
    from graphql import FieldNode, FragmentDefinitionNode, FragmentSpreadNode, InlineFragmentNode

    fragments = {d.name.value: d for d in document.definitions if isinstance(d, FragmentDefinitionNode)}
    left = [selection for one in operations for selection in one.selection_set.selections]
    while left:
        match left.pop(0):
            case FieldNode(name=name):
                yield name.value
            case InlineFragmentNode(selection_set=inner):
                left[:0] = inner.selections
            case FragmentSpreadNode(name=name) if fragment := fragments.pop(name.value, None):
                left[:0] = fragment.selection_set.selections
