"""Which part of a request counts for a rule, outside of its body: what of the URL, and business keys from elsewhere."""

from __future__ import annotations

from ledger_rules.jsonpaths import NOTHING
from ledger_rules.matching import Sighting
from ledger_rules.request import Request
from ledger_rules.rule import Fingerprint, Rule
from ledger_rules.urls import identity
from ledger_rules.views import EVERYTHING, BodyView

type Found = tuple[list[object], ...] | None
"""What each of `only` stands for, as far as it is outside the body; None where one of them has no value."""


def elsewhere(rule: Rule, request: Request) -> Found:
    """Return the parts of a rule's business key that are not in the body. Never raises."""
    if not rule.fingerprint.only:
        return ()
    seen = Sighting(request)
    found = tuple(reference.values(seen, rule.urls) for reference in rule.fingerprint.only)
    return None if any(all(value in NOTHING for value in values) for values in found) else found


def body_view(prints: Fingerprint, found: Found) -> BodyView:
    """Return which part of the body counts. Without its whole business key a request has none: then all of it does."""
    return EVERYTHING if found is None else prints.body


def body_counts(prints: Fingerprint, found: Found) -> bool:
    """Say whether any of the body does: nothing of it where the business key is all elsewhere."""
    return not found or bool(prints.body.only)


def url(rule: Rule, request: Request) -> tuple[object, ...]:
    """Return what of the URL counts."""
    prints = rule.fingerprint
    whole = identity(request, prints.query_ignore)
    if not prints.path_ignore:
        return whole
    place = Sighting(request).place
    kept = next((path for one in rule.urls if (path := one.without(place, prints.path_ignore)) is not None), None)
    return whole if kept is None else (*whole[:3], "path", kept, whole[-1])
