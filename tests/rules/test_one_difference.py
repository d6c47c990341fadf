"""One base request, spelled in every way, is one operation; each variant with one difference is another."""

from __future__ import annotations

import gzip
import json
import zlib
from itertools import combinations

import brotli
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger_rules import Operation, identify
from tests.rules.helpers import SECRET, one_rule, request

RULE = one_rule(
    "account: [Authorization], idempotency_key: ignore, "
    "fingerprint: {headers: [X-Tenant], query: {ignore: [ts]}, body: {ignore: ['$.sent_at']}}"
)
CHARGE = {"amount": 4900, "rate": 0.25, "lines": [{"sku": "a", "qty": 1}, {"sku": "b"}], "note": "thé", "sent_at": 1}
BASE = {
    "method": "POST",
    "path": "a~b",
    "query": [("kind", "new"), ("tag", "x"), ("tag", "y")],
    "type": "application/json",
    "tenant": "t-1",
    "auth": "Bearer sk_1",
    "wf": "order-7",
    "document": CHARGE,
}
DIFFERENCES = {
    "method": {"method": "PUT"},
    "path": {"path": "a/b"},
    "query value": {"query": [("kind", "old"), ("tag", "x"), ("tag", "y")]},
    "order within a name": {"query": [("kind", "new"), ("tag", "y"), ("tag", "x")]},
    "one query pair less": {"query": [("kind", "new"), ("tag", "x")]},
    "media type": {"type": "application/vnd.api+json"},
    "tenant": {"tenant": "t-2"},
    "account": {"auth": "Bearer sk_2"},
    "workflow": {"wf": "order-8"},
    "amount": {"document": CHARGE | {"amount": 4901}},
    "amount as a fraction": {"document": CHARGE | {"amount": 4900.0}},
    "amount as text": {"document": CHARGE | {"amount": "4900"}},
    "rate": {"document": CHARGE | {"rate": 0.26}},
    "order of a list": {"document": CHARGE | {"lines": CHARGE["lines"][::-1]}},
    "one line less": {"document": CHARGE | {"lines": CHARGE["lines"][:1]}},
    "accent": {"document": CHARGE | {"note": "the"}},
    "a field more": {"document": CHARGE | {"express": None}},
    "a field less": {"document": {key: value for key, value in CHARGE.items() if key != "rate"}},
}
IN_NO_PAYLOAD = {"method", "path", "query value", "order within a name", "one query pair less", "account", "workflow"}
PATHS = {"a~b": ["/charges/a~b", "/charges/a%7eb", "/x/../charges/./a%7Eb"], "a/b": ["/charges/a/b"]}
ENCODERS = {
    "": bytes,
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": brotli.compress,
    "zstd": zstandard.ZstdCompressor().compress,
}


def shuffled(value, draw):
    if isinstance(value, dict):
        return {key: shuffled(value[key], draw) for key in draw(st.permutations(list(value)))}
    return [shuffled(item, draw) for item in value] if isinstance(value, list) else value


@st.composite
def attempts(draw, difference: str | None = None) -> Operation:
    """The base request, or a variant of it, in any spelling and with any noise."""
    said = BASE | (DIFFERENCES[difference] if difference else {})
    encoding = draw(st.sampled_from(list(ENCODERS)))
    noisy = said["document"] | {"sent_at": draw(st.integers())}
    text = json.dumps(shuffled(noisy, draw), ensure_ascii=draw(st.booleans()), indent=draw(st.sampled_from([None, 2])))
    body = ENCODERS[encoding](text.encode())
    tags = [pair for pair in said["query"] if pair[0] == "tag"]
    rest = [pair for pair in said["query"] if pair[0] != "tag"]
    pairs = draw(st.permutations([[pair] for pair in (*rest, ("ts", draw(st.sampled_from("12"))))] + [tags]))
    query = "&".join(f"{name}={value}" for group in pairs for name, value in group)

    headers = [
        ("Content-Type", said["type"] + draw(st.sampled_from(["", "; charset=utf-8", ";charset=UTF-8"]))),
        ("X-Tenant", said["tenant"]),
        ("Authorization", said["auth"]),
        ("Ledger-Workflow", said["wf"]),
        ("Content-Length", str(len(body))),
        ("X-Request-Id", draw(st.uuids()).hex),
        ("Idempotency-Key", draw(st.uuids()).hex),
        *([("Content-Encoding", encoding)] if encoding else []),
    ]
    cased = [(draw(st.sampled_from([name, name.lower(), name.upper()])), value) for name, value in headers]
    sent = request(
        draw(st.sampled_from([said["method"], said["method"].lower()])),
        f"{draw(st.sampled_from(PATHS[said['path']]))}?{query}",
        body,
        headers=dict(draw(st.permutations(cased))),
        host=draw(st.sampled_from(["pay.example.com", "PAY.example.com", "pay.example.com."])),
    )
    return identify(RULE, sent, SECRET)


@given(attempts(), attempts())
def test_however_it_is_spelled_it_is_one_operation(one, other):
    assert (one.id, one.payload_id, one.payload) == (other.id, other.payload_id, other.payload)


@pytest.mark.parametrize("difference", DIFFERENCES)
@settings(max_examples=30)
@given(st.data())
def test_one_difference_makes_another_operation_however_it_is_spelled(difference, data):
    one, other = data.draw(attempts()), data.draw(attempts(difference))
    assert one.id != other.id
    assert one.payload_id != other.payload_id
    assert one.payload != other.payload or difference in IN_NO_PAYLOAD


@settings(max_examples=20)
@given(st.data())
def test_no_two_differences_are_one(data):
    found = {difference: data.draw(attempts(difference)).id for difference in DIFFERENCES}
    assert all(found[one] != found[other] for one, other in combinations(DIFFERENCES, 2))
