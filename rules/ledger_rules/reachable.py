"""Which rules can never be reached, because earlier ones certainly mean all that they mean. Where it is hard to
tell, none: to refuse a good file is as wrong as to miss a mistake.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ledger_rules.globs import TextGlob
from ledger_rules.index import Index
from ledger_rules.matching import Criteria, GraphqlCriteria, Wanted
from ledger_rules.patterns import UrlPattern
from ledger_rules.rule import Rule


def never_reached(rules: Sequence[Rule]) -> Iterator[tuple[Rule, Rule]]:
    """Yield each rule of which every method at every URL is taken before, and one of those that take it."""
    index = Index()
    for number, rule in enumerate(rules):
        taken = [_taken(rule, url, rules, index) for url in rule.urls]
        if None not in taken:
            yield rule, next(first for first in taken if first is not None)
        index.add(number, rule.urls)


def _taken(rule: Rule, url: UrlPattern, rules: Sequence[Rule], index: Index) -> Rule | None:
    """Return the first of the earlier rules that take all methods at one URL of a rule; None if some are left."""
    left = set(rule.methods)
    first: Rule | None = None
    for number in index.covering(url):
        earlier = rules[number]
        if left & earlier.methods and _asks_no_more(earlier.match, rule.match):
            first = first or earlier
            left -= earlier.methods
    return None if left else first


def _asks_no_more(earlier: Criteria, later: Criteria) -> bool:
    """Say whether what meets the later conditions certainly meets the earlier ones; URL and method apart."""
    return (
        _implied(earlier.query, later.query)
        and _implied(
            tuple((name.lower(), glob) for name, glob in earlier.headers),
            tuple((name.lower(), glob) for name, glob in later.headers),
        )
        and {condition.text for condition in earlier.body} <= {condition.text for condition in later.body}
        and _graphql_implied(earlier.graphql, later.graphql)
    )


def _implied(earlier: Wanted, later: Wanted) -> bool:
    return all(any(name == other and glob.covers(one) for other, one in later) for name, glob in earlier)


def _graphql_implied(earlier: GraphqlCriteria | None, later: GraphqlCriteria | None) -> bool:
    if earlier is None or later is None:
        return earlier is None
    return (
        earlier.types >= later.types and _covered(earlier.names, later.names) and _covered(earlier.fields, later.fields)
    )


def _covered(earlier: Sequence[TextGlob], later: Sequence[TextGlob]) -> bool:
    if not earlier or not later:
        return not earlier
    return all(any(one.covers(other) for one in earlier) for other in later)
