"""What a body says, apart from how it is spelled: JSON, forms, everything else byte by byte.

A false merge drops a real payment: whatever is not understood completely is compared as raw bytes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from jsonpath.exceptions import JSONPathError

from ledger_rules.canonical import ExactFloat, ExactInt, encode
from ledger_rules.jsonpaths import Path, chosen, without
from ledger_rules.urls import Pair, form_pairs, sorted_pairs

MAX_PARSED = 1 << 20
"""Bodies above 1 MiB are compared as raw bytes: parsing them would stall every other request."""

_LONGEST_INT = 300
_FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class BodyView:
    """Which part of a body counts: all, all but `ignore`, or `only` (a business key)."""

    ignore: tuple[Path, ...] = ()
    only: tuple[Path, ...] = ()


EVERYTHING = BodyView()


def media_type(content_type: str | None) -> str:
    """Return the media type without parameters, lower case; empty when there is none."""
    return (content_type or "").partition(";")[0].strip().lower()


def meaning(body: bytes, content_type: str | None, encoding: str | None, view: BodyView = EVERYTHING) -> bytes:
    """Return bytes that are equal for two bodies that say the same, and for no others. Never raises."""
    kind = media_type(content_type)
    reader = _reader(kind, content_type, encoding)
    if reader is not None and len(body) <= MAX_PARSED:
        try:
            return encode((kind, reader(body, view)))
        except (ValueError, RecursionError, JSONPathError):
            pass  # not what its media type says, or not entirely: raw
    return encode((kind, encoding, "raw", hashlib.sha256(body).digest()))


def exact_json(text: str) -> Any:
    """Parse JSON with numbers that remember their spelling; ValueError for duplicate keys and non-numbers."""
    return json.loads(
        text, parse_int=_integer, parse_float=_float, parse_constant=_not_json, object_pairs_hook=_no_duplicates
    )


def _reader(
    kind: str, content_type: str | None, encoding: str | None
) -> Callable[[bytes, BodyView], Sequence[object]] | None:
    if encoding not in (None, "", "identity") or not _utf8(content_type or ""):
        return None
    if kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json")):
        return _json
    return _form if kind == _FORM else None


def _utf8(content_type: str) -> bool:
    charset = content_type.lower().partition("charset=")[2].partition(";")[0].strip(" \"'")
    return charset in ("", "utf-8", "utf8", "us-ascii")


def _json(body: bytes, view: BodyView) -> Sequence[object]:
    document = exact_json(body.decode("utf-8"))
    encode(document)  # refuses deep nesting before any path walks it
    if view.only and (values := chosen(document, view.only)) is not None:
        return ("json", "only", values)
    locations = [location for path in view.ignore for location in path.locations(document)]
    return ("json", without(document, locations) if locations else document)


def _form(body: bytes, view: BodyView) -> Sequence[object]:
    """A form is to JSONPath an object of lists: `$.name` is every value of that name."""
    pairs = form_pairs(body.decode("utf-8"))
    if pairs is None:
        raise ValueError("malformed escape")
    if view.only and (values := chosen(_lists(pairs), view.only)) is not None:
        return ("form", "only", values)
    return ("form", sorted_pairs(_kept(pairs, view.ignore) if view.ignore else pairs))


def _kept(pairs: Sequence[Pair], ignore: Sequence[Path]) -> list[Pair]:
    gone = {location for path in ignore for location in path.locations(_lists(pairs))}
    seen: dict[str, int] = {}
    kept: list[Pair] = []
    for name, value in pairs:
        index = seen[name] = seen.get(name, -1) + 1
        if (name,) not in gone and (name, index) not in gone:
            kept.append((name, value))
    return kept


def _lists(pairs: Sequence[Pair]) -> dict[str, list[str | None]]:
    lists: dict[str, list[str | None]] = {}
    for name, value in pairs:
        lists.setdefault(name, []).append(value)
    return lists


def _integer(text: str) -> ExactInt | ExactFloat:
    # Python refuses to convert very long integers; as a float it only has to be comparable.
    if len(text) > _LONGEST_INT:
        return _float(text)
    number = ExactInt(text)
    number.text = text
    return number


def _float(text: str) -> ExactFloat:
    number = ExactFloat(text)
    number.text = text
    return number


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("duplicate key")
    return found


def _not_json(text: str) -> NoReturn:
    raise ValueError(f"{text} is not JSON")
