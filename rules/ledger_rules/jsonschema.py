"""The rules file as JSON Schema, for editors and other tools. Derived from the models; nothing is said here."""

from __future__ import annotations

from typing import Any

from ledger_rules.shipped import needs_hosts, pack_names
from ledger_rules.testcases import TestedFile

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of a rules file. It knows keys and values; contradictions are found by `load` only."""
    schema = _plain(TestedFile.model_json_schema(by_alias=True))
    schema["properties"]["packs"]["items"] = _pack_entry()
    return {"$schema": DIALECT, "title": "Ledger rules", **schema}


def _pack_entry() -> dict[str, Any]:
    """A pack by its name, or with options: editors complete the names."""
    named = {name: {"$ref": "#/$defs/PackOptions"} for name in pack_names()}
    alone = [name for name in named if not needs_hosts(name)]
    whole = {"type": "object", "properties": named, "additionalProperties": False}
    return {"anyOf": [{"enum": alone}, {**whole, "minProperties": 1, "maxProperties": 1}]}


def _plain(value: Any) -> Any:
    """Leave out what pydantic adds for its own purposes: titles, and null where a key may be left out."""
    if isinstance(value, list):
        return [_plain(item) for item in value if item != {"type": "null"}]
    if not isinstance(value, dict):
        return value
    kept = {name: _plain(inner) for name, inner in value.items() if not _noise(name, inner)}
    if len(kept.get("anyOf", ())) == 1:
        kept |= kept.pop("anyOf")[0]
    return kept


def _noise(name: str, inner: Any) -> bool:
    return (name == "title" and isinstance(inner, str)) or (name == "default" and inner is None)
