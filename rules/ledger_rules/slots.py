"""The one place in a JSON body where an idempotency key stands, found without touching any other byte.

Pure text surgery. Which key goes in, and when, is not known here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

_PLAIN = re.compile(r"[A-Za-z0-9_\-]*")
_SPACE = re.compile(r"[ \t\r\n]*")

type Spans = Mapping[str, tuple[int, int]]
"""Where the values of an object's members stand in its text, from and to, in their order."""


@dataclass(frozen=True, slots=True)
class Slot:
    """The place of an idempotency key in a body, whether one stands there or not.

    before, after: the bytes around it. found: the client's own key that stands there now, None without one.
    """

    before: bytes
    after: bytes
    found: str | None = None

    @property
    def emptied(self) -> bytes:
        """The body without any key: what two attempts have in common."""
        return self.before + self.after

    def filled(self, key: str) -> bytes:
        """Return the body with this key. Raises ValueError for a key that would have to be escaped."""
        if not _PLAIN.fullmatch(key):
            raise ValueError("expected a key of letters, digits, - and _")
        return self.before + key.encode("ascii") + self.after


def member_slot(body: bytes, path: Sequence[str]) -> Slot | None:
    """Return the slot of a text member of a JSON object, to be added where only it is missing. Never raises."""
    try:
        text = body.decode("utf-8")
        return slot_of(text, path, spans(text))
    except (ValueError, RecursionError):
        return None


def slot_of(text: str, path: Sequence[str], members: Spans, start: int | None = None) -> Slot | None:
    """Return the slot of a member of the object at `start` (the whole text), whose members these are.

    None where what leads to it is missing or no object, or where something else than a text stands there.
    """
    name, *rest = path
    span = members.get(name)
    if rest:
        if span is None or text[span[0]] != "{":
            return None
        return slot_of(text, rest, _object(text, span[0])[0], span[0])
    if span is None:
        at = (text.index("{") if start is None else start) + 1
        return _around(text, (at, at), f"{json.dumps(name)}:", "," if members else "")
    found = value(text, members, name)
    if found is not None and not isinstance(found, str):
        return None
    return _around(text, span, found=found or None)


def spans(text: str) -> Spans:
    """Return the members of a document that is one object and nothing else.

    Raises ValueError for anything else, also where a name comes twice; RecursionError for deep nesting.
    """
    members, end = _object(text, _skip(text, 0))
    if _skip(text, end) != len(text):
        raise ValueError("more than one value")
    return members


def value(text: str, members: Spans, name: str) -> Any:
    """Return the value of a member, None where there is none."""
    return _DECODER.decode(text[slice(*members[name])]) if name in members else None


def _around(text: str, span: tuple[int, int], left: str = "", right: str = "", found: str | None = None) -> Slot:
    before, after = f'{text[: span[0]]}{left}"', f'"{right}{text[span[1] :]}'
    return Slot(before.encode(), after.encode(), found)


def _object(text: str, at: int) -> tuple[Spans, int]:
    """Return an object's members and where it ends."""
    members: dict[str, tuple[int, int]] = {}
    at = _skip(text, _expect(text, at, "{"))
    if text[at : at + 1] == "}":
        return members, at + 1
    while True:
        name, at = _DECODER.raw_decode(text, at)
        if not isinstance(name, str) or name in members:
            raise ValueError("not an object whose names differ")
        start = _skip(text, _expect(text, _skip(text, at), ":"))
        _, end = _DECODER.raw_decode(text, start)
        members[name] = (start, end)
        at = _skip(text, end)
        if text[at : at + 1] == "}":
            return members, at + 1
        at = _skip(text, _expect(text, at, ","))


def _expect(text: str, at: int, character: str) -> int:
    if text[at : at + 1] != character:
        raise ValueError(f"expected {character}")
    return at + 1


def _skip(text: str, at: int) -> int:
    space = _SPACE.match(text, at)
    return space.end() if space else at


def _not_json(text: str) -> NoReturn:
    raise ValueError(f"{text} is not JSON")


_DECODER = json.JSONDecoder(parse_constant=_not_json)
