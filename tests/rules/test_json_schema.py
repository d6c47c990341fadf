"""The exported JSON Schema against a validator that is not ours: what loads is valid, what is misspelt is not."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from ledger_rules import RulesError, loads, pack_names
from ledger_rules.jsonschema import json_schema
from ledger_rules.patterns import UrlPattern
from ledger_rules.shipped import expanded
from ledger_rules.yamltext import parse
from tests.rules.test_loader_errors import LINES, RULE

SCHEMA = json_schema()
VALIDATOR = Draft202012Validator(SCHEMA)
PAGE = (Path(__file__).parents[2] / "docs" / "rules.md").read_text("utf-8")
EXAMPLES = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def data(text: str) -> Any:
    return parse(text, "ledger.yaml").data


def test_it_is_a_json_schema():
    Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("name", pack_names())
def test_every_shipped_pack_is_valid(name):
    VALIDATOR.validate(expanded(name, [UrlPattern.parse("https://api.example.com")]).data)


@pytest.mark.parametrize("text", EXAMPLES)
def test_every_documented_example_is_valid(text):
    VALIDATOR.validate(data(text))


@pytest.mark.parametrize(
    "text",
    [
        "packs: [stripe]\nrules: [{name: stripe/create, window: 1h}]",
        RULE + "    mode: observe\n  - {name: b, match: {url: ['https://x.com/', 'https://y.com/'], method: post}}",
        RULE + "    outcomes: {'503': failed, 5xx: unknown, '200 $.ok == false': failed}",
        "tools: {pay: {timeout: never, wait: 0}}",
        "egress: {allow: [], deny: 10.0.0.0/8}",
        "rules: []\ntests: [{request: {url: 'http://x', json: 1}, same: [{json: {a: null}, query: {b: 1, c: null}}]}]",
    ],
)  # fmt: skip
def test_short_forms_and_rare_keys_are_valid(text):
    loads(text)
    VALIDATOR.validate(data(text))


def bad() -> list[str]:
    """The wrong files whose mistake is a key, a type or a word: what a schema can know."""
    words = (
        "unknown key",
        "missing key",
        "expected one of",
        "a whole number",
        "header name",
        "a duration",
        "expected a list",
    )
    known = {text: line for text, line in LINES.items() if "unknown pack" not in line and ".inf" not in text}
    return [text for text, line in known.items() if any(word in line for word in words)]


@pytest.mark.parametrize("text", bad())
def test_what_is_misspelt_is_invalid(text):
    with pytest.raises(RulesError):
        loads(text)
    assert not VALIDATOR.is_valid(data(text))


def keys() -> set[str]:
    """Every key there is, as `PART.KEY`; those of a rules file itself alone. The packs' names are in packs.md."""
    parts = {"": SCHEMA, **SCHEMA["$defs"]}
    return {f"{part}.{key}" for part, described in parts.items() for key in described["properties"]}


def used(described: dict[str, Any], value: object, part: str = "") -> Iterator[str]:
    """Yield those that a value has, as `keys` names them."""
    if "$ref" in described:
        part = described["$ref"].removeprefix("#/$defs/")
        described = SCHEMA["$defs"][part]
    for choice in described.get("anyOf", ()):
        yield from used(choice, value, part)
    for item in value if isinstance(value, list) else ():
        yield from used(described.get("items", {}), item, part)
    named, others = described.get("properties", {}), [*described.get("patternProperties", {}).values()]
    for key, inner in value.items() if isinstance(value, dict) else ():
        if key in named:
            yield f"{part}.{key}"
            yield from used(named[key], inner, part)
        for other in others:
            yield from used(other, inner, part)


def test_every_key_has_an_example_that_works():
    """The examples are loaded, and their tests run, in `test_docs`."""
    assert sorted(keys() - {key for text in EXAMPLES for key in used(SCHEMA, data(text))}) == []


def test_every_key_is_in_the_list_of_keys():
    listed = PAGE.partition("## Every key")[2]
    missing = [key for key in sorted(keys()) if not re.search(rf"`{key.partition('.')[2]}`", listed)]
    assert missing == []
