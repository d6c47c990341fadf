"""JSON that stands as text in a field of a form or of a multipart body: paths to ignore reach into it.

Discord's `payload_json` carries a message beside its files, with the nonce that its SDK makes up for every call.
What cannot be read as JSON stays the text that it is. No bodies here, and no rules.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

from ledger_rules import jsontext
from ledger_rules.jsonpaths import Location, Path, without

MAX_READ = 1 << 20
"""Characters of such texts that are read in one body, in sum; what comes after them stays text."""


type Rest = tuple[Literal["json"], str]
"""What is left of a text, in one spelling. No text that stands there as a whole is equal to it."""


class Reduced(NamedTuple):
    """Fields of which a part is ignored. rests: what is left of each, by index; hits: paths that found something."""

    rests: Mapping[int, Rest]
    hits: frozenset[str]


def reduced(names: Sequence[str], values: Sequence[Any], paths: Sequence[Path]) -> Reduced:
    """Return the fields of which paths ignore a part. One of which nothing would be left is none. Raises Unwalkable.

    To a path the names are an object of lists, and a text in them that is an object or a list in JSON is that.
    """
    document: dict[str, list[Any]] = {}
    read: dict[Location, tuple[int, jsontext.Text]] = {}
    left = MAX_READ
    for index, (name, value) in enumerate(zip(names, values, strict=True)):
        inside = document.setdefault(name, [])
        text = _read(value) if isinstance(value, str) and len(value) <= left else None
        if text is not None:
            read[name, len(inside)] = index, text
            left -= len(value)
        inside.append(value if text is None else text.document)
    if not read:
        return Reduced({}, frozenset())
    found = {path.text: [one for one in path.locations(document) if one[:2] in read and one[2:]] for path in paths}
    gone = {location for locations in found.values() for location in locations}
    without(document, gone)
    kept = {place for place in {one[:2] for one in gone} if says_something(document[str(place[0])][int(place[1])])}
    rests: dict[int, Rest] = {}
    for place in kept:
        index, text = read[place]
        rests[index] = "json", text.write(document[str(place[0])][int(place[1])])
    return Reduced(rests, frozenset(path for path, hits in found.items() if any(hit[:2] in kept for hit in hits)))


def says_something(document: Any) -> bool:
    """Say whether there is any value in it that is not a container."""
    unseen = [document]
    while unseen:
        value = unseen.pop()
        if not isinstance(value, dict | list):
            return True
        unseen += value.values() if isinstance(value, dict) else value
    return False


def _read(value: str) -> jsontext.Text | None:
    if not value.lstrip(" \t\r\n").startswith(("{", "[")):
        return None
    try:
        return jsontext.read(value)
    except ValueError:
        return None
