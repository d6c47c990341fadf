"""A request's URL as it is stored: without the credentials that some carry in their query or their path."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import quote

from ledger_rules.matching import Sighting
from ledger_rules.request import Request
from ledger_rules.rule import Rule
from ledger_rules.urls import MASK, masked


def stored_url(rule: Rule, request: Request) -> str:
    """Return the URL with what the rule masks: query parameters, and `{name}` segments of its patterns, by name.

    The URL of an incoming webhook is all it takes to use it: `/services/{team}/{bot}/{token}`.
    """
    path = _masked_path(rule, request) if rule.secret_names else None
    if path is not None:
        query = request.target.partition("?")[1:]
        request = replace(request, target=path + "".join(query))
    return masked(request, rule.masked)


def _masked_path(rule: Rule, request: Request) -> str | None:
    place = Sighting(request).place
    for url, names in rule.secret_names:
        segments = url.without(place, names)
        if segments is not None:
            return "/" + "/".join(MASK if one is None else _escaped(one) for one in segments)
    return None


def _escaped(segment: str) -> str:
    return quote(segment.encode("utf-8", "surrogateescape"), safe="~!$&'()*+,;=:@")
