"""Pydantic's errors as lines for people: where, what was expected, what was found, what was probably meant."""

from __future__ import annotations

import contextlib
import re
import types
import typing
from collections.abc import Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from ledger_rules.errors import RulesError
from ledger_rules.schema import RulesFile
from ledger_rules.yamltext import Document, Loc

if TYPE_CHECKING:
    from ledger_rules.testcases import TestedFile

_EXPECTED = {
    "string_type": "text (in quotes if it looks like a number)",
    "int_type": "a whole number",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "greater_than_equal": "at least {ge}",
    "too_short": "at least {min_length} entry",
    "too_long": "no more than {max_length} entry",
}


_MEANT = {
    **dict.fromkeys(("host", "hosts", "domain", "path", "port", "scheme"), ("url", "; write it as a part of 'url'")),
    **dict.fromkeys(("uri", "endpoint"), ("url", "; write 'url'")),
    "ttl": ("window", "; write 'window'"),
}
"""Other words for a key, and what to do."""
_MOST_NAMED = 6
"""A mapping of more keys is not told by them."""


def validated(document: Document) -> RulesFile:
    """Return what a document says; raises RulesError, one line for each mistake."""
    try:
        # Most files have no tests, packs never: what tests look like is then not even imported.
        return RulesFile.model_validate(document.data)
    except ValidationError:
        return validated_with_tests(document)


def validated_with_tests(document: Document) -> TestedFile:
    """Return what a document says, its tests too; raises RulesError, one line for each mistake."""
    from ledger_rules.testcases import TestedFile

    try:
        return TestedFile.model_validate(document.data)
    except ValidationError as error:
        raise RulesError(lines(error, document, TestedFile)) from None


def lines(error: ValidationError, document: Document, model: type[BaseModel]) -> list[str]:
    """Return one line per problem, in the order of the file."""
    details = error.errors(include_url=False)
    unknown = [detail["loc"] for detail in details if detail["type"] == "extra_forbidden"]
    found = (_line(detail, document, model) for detail in details if not _misspelt(detail, unknown))
    return sorted(dict.fromkeys(found), key=_position)


def did_you_mean(found: str, known: Sequence[str], cutoff: float = 0.6) -> str:
    """Return `; did you mean 'x'?` for a near miss, else nothing."""
    near = get_close_matches(found, known, n=1, cutoff=cutoff)
    return f"; did you mean '{near[0]}'?" if near else ""


def found_at(document: Document, loc: Loc) -> str:
    """Describe what stands at a place, for `found ...`."""
    value = document.data
    for part in loc:
        try:
            value = value[part]
        except (KeyError, IndexError, TypeError):
            return "nothing"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list" if value else "an empty list"
    return "nothing" if value is None else f"'{document.texts.get(loc, value)}'"


def _line(detail: ErrorDetails, document: Document, model: type[BaseModel]) -> str:
    at_key = detail["loc"][-1:] == ("[key]",)
    loc = _written(detail["loc"][:-1] if at_key else detail["loc"], document)
    key = _key(loc)
    match detail["type"]:
        case "extra_forbidden":
            return _unknown_key(loc, document, model)
        case "missing":
            return document.problem(loc, f"missing key '{detail['loc'][-1]}'" + (f" in '{key}'" if key else ""))
        case "literal_error":
            return _not_one_of(detail, loc, document)
        case "list_type":
            return document.problem(
                loc, f"{key}: expected a list, found {found_at(document, loc)}{_as_list(document, loc)}"
            )
        case "model_type" | "model_attributes_type" if loc:
            return document.problem(loc, f"{key}: expected a mapping{_of(model, loc)}found {found_at(document, loc)}")
        case "value_error":
            text = str(detail.get("ctx", {}).get("error", detail["msg"]))
        case kind:
            expected = _EXPECTED.get(kind)
            text = f"expected {expected.format(**detail.get('ctx', {}))}" if expected else detail["msg"]
    found = f"'{loc[-1]}'" if at_key else found_at(document, loc)
    if not loc and found == "a list":
        found += "; begin with 'rules:'"
    shown = "" if found in ("a mapping", "a list") and detail["type"] == "value_error" else f", found {found}"
    return document.problem(loc, f"{key}: {text}{shown}" if key else f"{text}{shown}", at_key=at_key)


def _as_list(document: Document, loc: Loc) -> str:
    """Say how a list is written, by what was written instead."""
    if found_at(document, loc) == "nothing":
        return ""
    text = document.texts.get(loc)
    if text is None:
        return "; begin each entry with '- '"
    plain = re.fullmatch(r"[\w$./\-]+", text)
    return f"; write [{text}]" if plain else "; write ['" + text.replace("'", "''") + "']"


def _of(model: type[BaseModel], loc: Loc) -> str:
    """Say of which keys a mapping is, where they are few."""
    known = _keys_within(model, loc)
    return f" of {', '.join(known)}; " if 0 < len(known) <= _MOST_NAMED else ", "


def _misspelt(detail: ErrorDetails, unknown: Sequence[tuple[int | str, ...]]) -> bool:
    """Say whether a key is only missing because it is misspelt beside: one mistake, one line."""
    loc = detail["loc"]
    beside = (str(other[-1]) for other in unknown if other[:-1] == loc[:-1])
    return detail["type"] == "missing" and any(
        did_you_mean(key, [str(loc[-1])]) or _MEANT.get(key, ("",))[0] == loc[-1] for key in beside
    )


def _unknown_key(loc: Loc, document: Document, model: type[BaseModel]) -> str:
    key = str(loc[-1])
    known = _known_keys(model, loc[:-1])
    meant, told = _MEANT.get(key, ("", ""))
    inside = " or ".join(_inside(model, loc[:-1], key))
    hint = told if meant in known else did_you_mean(key, known, cutoff=0.85)
    hint = hint or (f"; it belongs under {inside}" if inside else did_you_mean(key, known))
    hint = hint or f"; expected one of {', '.join(known)}"
    return document.problem(loc, f"unknown key '{key}'{hint}", at_key=True)


def _not_one_of(detail: ErrorDetails, loc: Loc, document: Document) -> str:
    found = found_at(document, loc)
    expected = str(detail.get("ctx", {}).get("expected"))
    known = re.findall(r"'([^']*)'", expected)
    choice = f"one of {', '.join(known)}" if known else expected
    quoted = "; leave the quotes out" if found == f"'{expected}'" else ""
    hint = did_you_mean(found.strip("'"), known) or quoted
    return document.problem(loc, f"{_key(loc)}: expected {choice}, found {found}{hint}")


def _written(loc: Loc, document: Document) -> Loc:
    """Return the part of a model's location that is in the file (`url: x` is validated as `url: [x]`)."""
    while loc not in document.values:
        loc = loc[:-1]
    return loc


def _key(loc: Loc) -> str:
    return next((str(part) for part in reversed(loc) if isinstance(part, str)), "")


def _known_keys(annotation: Any, loc: Loc) -> list[str]:
    """Return the keys that are allowed in the mapping at a location, by walking the models' annotations."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (Annotated, types.UnionType):
        return _known_keys(arguments[0], loc)  # of an optional, `None` is always written last
    if origin in (list, dict):
        return _known_keys(arguments[-1], loc[1:])
    fields = {field.alias or name: field for name, field in annotation.model_fields.items()}
    return _known_keys(fields[str(loc[0])].annotation, loc[1:]) if loc else list(fields)


def _inside(model: type[BaseModel], loc: Loc, key: str) -> list[str]:
    """Return which mappings a level further in have a key: a wrong indentation."""
    return [name for name in _known_keys(model, loc) if key in _keys_within(model, (*loc, name))]


def _keys_within(model: type[BaseModel], loc: Loc) -> list[str]:
    for inner in (loc, (*loc, 0)):
        with contextlib.suppress(AttributeError, IndexError):
            return _known_keys(model, inner)
    return []


def _position(line: str) -> tuple[int, int]:
    numbers = re.search(r":(\d+):(\d+): ", line)
    return (int(numbers[1]), int(numbers[2])) if numbers else (0, 0)
