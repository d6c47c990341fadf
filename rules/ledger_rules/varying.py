"""What varied between two requests to one endpoint, and whether it looks like noise. Pure: no clock, no store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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


def to_ignore(field: Field) -> str | None:
    """The line of a rule's `fingerprint` that leaves this field out; None for headers, which do not count anyway."""
    if field.place.startswith("$"):
        return f'body: {{ignore: ["{field.place}"]}}'
    if field.place.startswith("query."):
        return f"query: {{ignore: [{field.place.removeprefix('query.')}]}}"
    return None
