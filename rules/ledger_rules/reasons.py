"""Why a rule does or does not mean a request, criterion by criterion, in words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ledger_rules import matching
from ledger_rules.matching import Criteria, Sighting
from ledger_rules.rule import Rule


@dataclass(frozen=True, slots=True)
class Reason:
    """One criterion of a rule. fits: whether the request meets it; text: why, or why not."""

    criterion: str
    fits: bool
    text: str


@dataclass(frozen=True, slots=True)
class Tried:
    """A rule that was held against a request."""

    rule: str
    source: str
    fits: bool
    reasons: tuple[Reason, ...]


def tried(rule: Rule, seen: Sighting) -> Tried:
    """Hold one rule against a request."""
    reasons = tuple(_reasons(rule.match, seen))
    return Tried(rule.name, rule.source, all(reason.fits for reason in reasons), reasons)


def _reasons(match: Criteria, seen: Sighting) -> Iterator[Reason]:
    yield _method(match, seen)
    yield _url(match, seen)
    yield from _query(match, seen)
    yield from _headers(match, seen)
    if match.body:
        yield from _body(match, seen)
    if match.graphql:
        yield _graphql(match, seen)


def _method(match: Criteria, seen: Sighting) -> Reason:
    fits = matching.method_fits(match.methods, seen)
    found, wanted = ", also as ".join(seen.methods), ", ".join(sorted(match.methods))
    return Reason("method", fits, f"{found} is meant" if fits else f"{found} is not one of {wanted}")


def _url(match: Criteria, seen: Sighting) -> Reason:
    fitting = [url for url in match.urls if url.matches(seen.place)]
    if fitting:
        return Reason("url", True, f"{fitting[0]} fits")
    here = [url for url in match.urls if (url.scheme, url.port) == (seen.place.scheme, seen.place.port)]
    here = [url for url in here if url.host.matches(seen.place.host)]
    if not here:
        return Reason("url", False, "it is about other hosts")
    shown = ", ".join(str(url) for url in here[:3]) + (f" and {len(here) - 3} more" if len(here) > 3 else "")
    return Reason("url", False, f"the path /{'/'.join(seen.place.paths[0])} does not fit {shown}")


def _query(match: Criteria, seen: Sighting) -> Iterator[Reason]:
    for name, glob in match.query:
        found = [value or "" for key, value in seen.query if key == name]
        fits = matching.query_fits(((name, glob),), seen)
        yield Reason("query", fits, _value(f"the parameter {name}", found, str(glob), fits))


def _headers(match: Criteria, seen: Sighting) -> Iterator[Reason]:
    for name, glob in match.headers:
        value = seen.request.header(name)
        fits = matching.headers_fit(((name, glob),), seen)
        # The value may be a credential.
        found = [] if value is None else ["its value"]
        yield Reason("headers", fits, _value(f"the header {name}", found, str(glob), fits))


def _value(what: str, found: list[str], wanted: str, fits: bool) -> str:
    if not found:
        return f"{what} is missing"
    return f"{what}: {' and '.join(found)} {'fits' if fits else 'does not fit'} {wanted}"


def _body(match: Criteria, seen: Sighting) -> Iterator[Reason]:
    documents = seen.content.documents
    for condition in match.body:
        fits = matching.body_fits((condition,), seen)
        if documents is None:
            text = f"the body cannot be read, so {condition.text} counts as met"
        elif not documents:
            text = f"the body is no data, so {condition.text} does not hold"
        else:
            text = f"{condition.text} {'holds' if fits else 'does not hold'}"
        yield Reason("body", fits, text)


def _graphql(match: Criteria, seen: Sighting) -> Reason:
    operations = seen.content.operations
    fits = matching.graphql_fits(match.graphql, seen)
    if operations is None:
        return Reason("graphql", fits, "no GraphQL operation can be read, so it may be one that is meant")
    names = [f"{one.type or 'persisted'} {one.name or ''}".strip() + f" of {', '.join(one.fields)}" * bool(one.fields)
             for one in operations]  # fmt: skip
    return Reason("graphql", fits, f"{' and '.join(names)} {'is' if fits else 'is not'} meant")
