"""What varied between two requests to one endpoint, and whether it looks like noise. Pure: no clock, no store."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ledger_rules.rule import Fingerprint
from ledger_rules.shapes import VOLATILE, Field

_AT_MOST = 4
"""Requests that differ in more are not attempts of one operation."""


@dataclass(frozen=True, slots=True)
class Variation:
    """What is different in two requests that are alike otherwise."""

    fields: tuple[Field, ...]

    @property
    def noise(self) -> bool:
        """Whether all of it looks as if it changed from attempt to attempt."""
        return all(field.shape in VOLATILE for field in self.fields)


def variation(one: Sequence[Field], other: Sequence[Field]) -> Variation | None:
    """Compare two requests. None: they are equal, or too unlike to be attempts of one operation."""
    before, after = {f.place: f for f in one}, {f.place: f for f in other}
    if before.keys() != after.keys() or len(before) != len(one):
        return None
    differing = tuple(f for f in other if f.digest != before[f.place].digest)
    if not 0 < len(differing) <= _AT_MOST or len(differing) == len(other):
        return None
    return Variation(differing)


def to_ignore(fields: Iterable[Field], prints: Fingerprint) -> str | None:
    """A rule's `fingerprint` that leaves these fields out as well; None for headers alone, which do not count anyway.

    prints: the rule's own. What it ignores already is in it: a key that stands there twice is an error.
    """
    places = [f.place for f in fields]
    body = _names([path.text for path in prints.body.ignore], [p for p in places if p.startswith("$")])
    query = _names(sorted(prints.query_ignore), [p.removeprefix("query.") for p in places if p.startswith("query.")])
    found = [f"{part}: {{ignore: {names}}}" for part, names in (("body", body), ("query", query)) if names]
    return f"fingerprint: {{{', '.join(found)}}}" if found else None


def _names(ignored: list[str], more: list[str]) -> str | None:
    return json.dumps([*ignored, *more], ensure_ascii=False) if more else None
