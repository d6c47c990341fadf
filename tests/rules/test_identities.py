"""Requests of all formats and packs, and what they were identified as when each was written down.

Records outlive the code: an identity that changes makes an upgrade run every operation once more. `identities.jsonl`
begins with the rules by name; each further line is one request and, under `known`, its rule and the beginnings of its
hashes. A line without `known` is filled in by `python -m tests.rules.test_identities`; the others stay as they are,
unless `VERSION` is raised (id) or a rule is meant to change.
"""

from __future__ import annotations

import base64
import json
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from ledger_rules import MissingKey, Request, Ruleset, identify, loads
from ledger_rules.operation import read_body
from ledger_rules.request import DEFAULT_PORTS
from ledger_rules.ruleset import decide
from ledger_rules.shipped import pack_names

FILE = Path(__file__).with_name("identities.jsonl")
SECRET = b"of the ledger whose records these are"
SHOWN = 16

RULES, *LINES = map(json.loads, FILE.read_text("ascii").splitlines())


@cache
def ruleset(name: str) -> Ruleset:
    return loads(RULES[name])


def request_of(line: dict[str, Any]) -> Request:
    """Build it as it comes from the wire: `url` is origin and raw target, with a bar between."""
    origin, _, target = line["url"].partition("|")
    parts = urlsplit(origin)
    assert parts.hostname
    body = base64.b64decode(line["base64"]) if "base64" in line else line["body"].encode()
    host, port = line.get("host", parts.hostname), parts.port or DEFAULT_PORTS[parts.scheme]
    headers = tuple((name, value) for name, value in line["headers"])
    return Request(line["method"], parts.scheme, host, port, target, headers, body)


def known(line: dict[str, Any]) -> list[str] | None:
    """What a request is identified as; None where no rule means it."""
    request = request_of(line)
    rule = ruleset(line["rules"]).match(request)
    if rule is None:
        return None
    read = read_body(rule, request).format
    try:
        found = identify(rule, request, SECRET)
    except MissingKey:
        return [rule.name, read, "missing key"]
    hashes = (found.id, found.content_id, found.payload_id, found.payload, found.account)
    return [rule.name, read, *(one[:SHOWN] for one in hashes)]


@pytest.mark.parametrize("rules", RULES)
def test_what_was_recorded_is_found_again(rules):
    lines = [line for line in LINES if line["rules"] == rules]
    assert lines
    assert [(line, known(line)) for line in lines if known(line) != line["known"]] == []


def test_all_packs_and_formats_are_among_them():
    found = [line["known"] for line in LINES if line["known"]]
    assert {one[0].partition("/")[0] for one in found} >= set(pack_names())
    assert {one[1] for one in found} == {"json", "graphql", "form", "multipart", "xml", "raw"}


@pytest.mark.parametrize("rules", RULES)
def test_the_head_alone_finds_the_same_rule(rules):
    """As on the wire: candidates by the head, the decision when the body has come."""
    for line in LINES:
        if line["rules"] == rules:
            request = request_of(line)
            head = Request(
                *(getattr(request, name) for name in ("method", "scheme", "host", "port", "target")),
                request.headers,
                b"",
            )
            decided = decide(ruleset(rules).candidates(head), request)
            assert (decided and decided.name) == (line["known"] and line["known"][0])


if __name__ == "__main__":
    filled = [line if "known" in line else line | {"known": known(line)} for line in LINES]
    FILE.write_text("".join(json.dumps(line) + "\n" for line in (RULES, *filled)), "ascii")
