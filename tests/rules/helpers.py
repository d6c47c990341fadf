"""One request and one rule to start from; every test names what it changes."""

from __future__ import annotations

from functools import cache
from typing import Any
from urllib.parse import urlsplit

from ledger_rules import Operation, Request, Rule, Ruleset, identify, loads

SECRET = b"a secret of this ledger"


def request(method: str = "POST", target: str = "/orders", body: bytes = b"", **changes: Any) -> Request:
    """A POST to https://hooks.example.com/orders; `headers` is a mapping here."""
    headers = tuple(changes.pop("headers", {}).items())
    fields: dict[str, Any] = {"scheme": "https", "host": "hooks.example.com", "port": 443} | changes
    return Request(method=method, target=target, headers=headers, body=body, **fields)


def ruleset(rule: str = "", match: str = "", top: str = "") -> Ruleset:
    """One rule named `order` about https://hooks.example.com/**; the arguments are YAML, flow style."""
    match = match or "{url: 'https://hooks.example.com/**'}"
    return loads(f"{top}\nrules:\n  - {{name: order, match: {match}, {rule}}}\n")


def one_rule(rule: str = "", match: str = "", top: str = "") -> Rule:
    return ruleset(rule, match, top).rules[0]


def operation(rule: Rule | None = None, **changes: Any) -> Operation:
    return identify(rule or one_rule(), request(**changes), SECRET)


def json_request(body: str | bytes, **changes: Any) -> dict[str, Any]:
    headers = {"Content-Type": "application/json"} | changes.pop("headers", {})
    return {"body": body.encode() if isinstance(body, str) else body, "headers": headers} | changes


def form_request(body: str | bytes, **changes: Any) -> dict[str, Any]:
    return json_request(body, headers={"Content-Type": "application/x-www-form-urlencoded"}, **changes)


@cache
def pack(name: str) -> Ruleset:
    return loads("packs: [{webhooks: {hosts: [hooks.example.com]}}]" if name == "webhooks" else f"packs: [{name}]")


def to(url: str, method: str = "POST", **changes):
    parts = urlsplit(url)
    return request(
        method=method, host=parts.hostname, target=parts.path + (f"?{parts.query}" * bool(parts.query)), **changes
    )


def the_rule(name: str, url: str, **changes) -> Rule:
    rule = pack(name).match(to(url, **changes))
    assert rule is not None
    return rule
