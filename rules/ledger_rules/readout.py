"""A reading of a body for a person: what was made of it, line by line. Decides nothing."""

from __future__ import annotations

import json

from ledger_rules.bodies import Reading

FORMATS = {
    "json": "read as JSON: white space, the order of keys and escapes do not matter; numbers count as they are written",
    "graphql": "read as GraphQL: as JSON, and white space, commas and comments in the query do not matter",
    "form": "read as a form: escapes and the order of different names do not matter",
    "multipart": "read as multipart: the boundary does not matter; files count by their SHA-256",
    "xml": "read as XML: the order and quotes of attributes and white space inside tags do not matter",
}


def notes(reading: Reading) -> list[str]:
    """Return what was undone, normalised and left out, or why the body is compared byte by byte; in sentences."""
    about = FORMATS.get(reading.format)
    return [*([about] if about else []), *reading.notes]


def lines(reading: Reading) -> list[str]:
    """Return what counts of a body, in its one spelling.

    A line for a document, for each field of a form, each part of a multipart body, each path of a business key; for
    what is compared byte by byte, its hash.
    """
    said = reading.value
    whole = said[1:] if said and said[0] in ("only", "all") else said
    match reading.format:
        case "json" | "graphql" | "xml":
            return [str(text) for text in whole]
        case "raw":
            return [f"sha256 {value.hex()}" for value in said if isinstance(value, bytes)]
    if said and said[0] == "only":
        return [json.dumps(values, ensure_ascii=False) for values in _listed(whole[0])]
    return [_line(entry) for entry in whole]


def _listed(value: object) -> list[object]:
    return value if isinstance(value, list) else [value]


def _line(entry: object) -> str:
    match entry:
        case (str(name), str(value)):
            return f"{name}={value}"
        case (str(name), None):
            return name
        case (tuple(headers), int(size), bytes(sha256)):
            return "; ".join(
                [*(f"{name}: {value}" for name, value in headers), f"size {size}", f"sha256 {sha256.hex()}"]
            )
        case (str(name), ("json", str(rest))):
            return f"{name}={rest}"
        case (tuple(headers), ("json", str(rest))):
            return "; ".join([*(f"{name}: {value}" for name, value in headers), rest])
    return str(entry)
