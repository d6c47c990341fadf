"""What conditions of a rule can read of a request's body, read once and only when first asked for.

More lenient than a fingerprint: a server may be so too, and what slips past its rule is guarded by nothing. What
cannot be read at all is None, and conditions then count as met.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from ledger_rules import graphql, mediatypes, multipart
from ledger_rules.encodings import Undecodable, decoded
from ledger_rules.readers import MAX_WHOLE
from ledger_rules.request import Request
from ledger_rules.urls import Pair, form_pairs, split_target

type Documents = tuple[Any, ...] | None
"""What a body says, as JSON has it; several where servers could read it in several ways; none where it is no data."""


class Content:
    """The body of one request."""

    def __init__(self, request: Request) -> None:
        self._request = request

    @cached_property
    def documents(self) -> Documents:
        """The body as data: JSON, or fields as an object of lists. None where it should be data and is not readable."""
        try:
            return self._documents()
        except Exception:  # whatever a parser finds to raise about bytes from outside
            return None

    @cached_property
    def operations(self) -> tuple[graphql.Operation, ...] | None:
        """The GraphQL operations asked for, in the body or in the query; None where that is not to be told."""
        documents = [self._in_query()] if self._request.method.upper() == "GET" else self._asked()
        requests = [request for one in documents for request in _listed(one)]
        if not graphql.readable(requests):
            return None
        found = [graphql.operation(request) for request in requests]
        known = tuple(operation for operation in found if operation is not None)
        return known if known and len(known) == len(found) else None

    @cached_property
    def _body(self) -> bytes:
        """Raises ValueError for what is too large or cannot be decoded."""
        body = decoded(self._request.body, self._request.header("Content-Encoding"))
        if len(body) > MAX_WHOLE:
            raise Undecodable(f"larger than {MAX_WHOLE >> 20} MiB")
        return body

    @cached_property
    def _media(self) -> mediatypes.MediaType:
        return mediatypes.read(self._request.header("Content-Type"))

    def _documents(self) -> Documents:
        match self._media.format:
            case "form":
                pairs = form_pairs(self._body.decode("utf-8", "surrogateescape"))
                fields = () if pairs is None else (_lists(pairs),)
                return (*fields, *(self._json(said=False) or ())) or None
            case "multipart":
                reader = multipart.Reader(self._media.boundary)
                reader.feed(self._body)
                return (_lists([(part.name, part.value) for part in reader.finish()]),)
            case form:
                return self._json(said=form == "json" or not self._media.essence)

    def _json(self, said: bool) -> Documents:
        """Read JSON whatever the media type is: servers do. `said`: anything else would be a mistake."""
        if not self._body:
            return ()
        try:
            return _readings(self._body)
        except (ValueError, RecursionError):
            return None if said else ()

    def _asked(self) -> Sequence[Any]:
        """Return GraphQL requests, as far as they can be told; see the multipart request specification for `map`.

        https://github.com/jaydenseric/graphql-multipart-request-spec
        """
        if self._media.format == "graphql":
            return [{"query": self._body.decode("utf-8", "replace")}] if self.documents is not None else []
        documents = self.documents or ()
        if self._media.format != "multipart":
            return documents
        operations = [text for one in documents for text in one.get("operations", ()) if isinstance(text, str)]
        try:
            return [json.loads(text) for text in operations]
        except (ValueError, RecursionError):
            return []

    def _in_query(self) -> Mapping[str, Any]:
        pairs = form_pairs(split_target(self._request.target)[1]) or ()
        return {name: value for name, value in pairs if name in ("query", "operationName")}


def _readings(body: bytes) -> tuple[Any, ...]:
    """Parse JSON; where a key is there twice, once with the last and once with the first of its values."""
    twice: list[bool] = []

    def last(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            twice.append(True)
        return found

    document = json.loads(body, object_pairs_hook=last)
    if not twice:
        return (document,)
    return (document, json.loads(body, object_pairs_hook=lambda pairs: dict(reversed(pairs))))


def _lists(pairs: Sequence[Pair] | Sequence[tuple[str, Any]]) -> dict[str, list[Any]]:
    lists: dict[str, list[Any]] = {}
    for name, value in pairs:
        lists.setdefault(name, []).append(value)
    return lists


def _listed(document: Any) -> Sequence[Any]:
    return document if isinstance(document, list) else (document,)
