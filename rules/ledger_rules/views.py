"""Which part of a body counts for a rule: all, all but some paths, or a business key. Knows documents, not bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ledger_rules import embedded
from ledger_rules.jsonpaths import NOTHING, Location, Path, without


@dataclass(frozen=True, slots=True)
class BodyView:
    """Which part of a body counts: all, all but `ignore`, or `only` (a business key)."""

    ignore: tuple[Path, ...] = ()
    only: tuple[Path, ...] = ()

    is_everything: bool = field(init=False, repr=False, compare=False)
    """Whether all of it counts."""

    def __post_init__(self) -> None:
        """Find out once what every request asks for."""
        object.__setattr__(self, "is_everything", not self.ignore and not self.only)


EVERYTHING = BodyView()

type Notes = tuple[str, ...]
"""What was done, for a person."""


class NothingLeft(Exception):
    """A view ignores all that a body says. Then all of it counts: to merge every request would drop real ones."""


def business_key(document: Any, view: BodyView) -> tuple[list[list[Any]] | None, Notes]:
    """Return what each path of `only` finds, and notes; None where there is none to find or one is missing.

    A document without its business key has none: going by the rest of the paths would merge what differs.
    """
    found: list[list[Any]] = []
    for path in view.only:
        values = path.values(document)
        if all(value in NOTHING for value in values):
            return None, (f"{path.text} finds nothing: the whole body counts",)
        found.append(values if len(values) < 2 else [list(pair) for pair in path.named(document)])
    return found or None, tuple(f"only {path.text} counts" for path in view.only)


def reduced(document: Any, view: BodyView) -> tuple[Any, Notes]:
    """Return a document without what the view ignores, and notes. Changes the document.

    Raises NothingLeft where no value is left of it that says anything.
    """
    if not view.ignore:
        return document, ()
    locations, notes = _located(document, view.ignore)
    left = without(document, locations)
    if locations and not embedded.says_something(left):
        raise NothingLeft
    return left, notes


class Entries(NamedTuple):
    """What counts of named values: a business key, or else the entries at these indexes.

    rests: of those of which a part is ignored, what is left.
    """

    key: list[list[Any]] | None
    left: Sequence[int]
    rests: Mapping[int, embedded.Rest]
    notes: Notes


def entries(names: Sequence[str], values: Sequence[Any], view: BodyView) -> Entries:
    """Return what counts of named values. Raises NothingLeft.

    To JSONPath named values are an object of lists: `$.name` is every value of that name, `$.name[0]` the first.
    """
    if view.is_everything:
        return Entries(None, range(len(names)), {}, ())
    document = _lists(names, values)
    key, missing = business_key(document, view)
    if key is not None:
        return Entries(key, (), {}, missing)
    inside = embedded.reduced(names, values, view.ignore)
    gone, notes = _located(document, view.ignore, inside.hits)
    left = _left(names, set(gone))
    if gone and not left:
        raise NothingLeft
    return Entries(None, left, inside.rests, (*missing, *notes))


def _lists(names: Sequence[str], values: Sequence[Any]) -> dict[str, list[Any]]:
    lists: dict[str, list[Any]] = {}
    for name, value in zip(names, values, strict=True):
        lists.setdefault(name, []).append(value)
    return lists


def _left(names: Sequence[str], gone: set[Location]) -> list[int]:
    seen: dict[str, int] = {}
    left: list[int] = []
    for index, name in enumerate(names):
        place = seen[name] = seen.get(name, -1) + 1
        if (name,) not in gone and (name, place) not in gone:
            left.append(index)
    return left


def _located(document: Any, paths: Sequence[Path], hits: frozenset[str] = frozenset()) -> tuple[list[Location], Notes]:
    """hits: the paths that found something elsewhere."""
    found: list[Location] = []
    notes: list[str] = []
    for path in paths:
        here = path.locations(document)
        found += here
        ignored = here or path.text in hits
        notes.append(f"ignored {path.text}" if ignored else f"{path.text}, to be ignored, finds nothing")
    return found, tuple(notes)
