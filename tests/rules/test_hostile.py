"""Whatever a client sends: a rule is found or not, an operation is named, an explanation is given. Nothing raises."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger_rules import Request, default, identify, loads
from ledger_rules.explain import explain
from tests.rules.helpers import SECRET, request

RULES = loads(
    """
redact: {query: [card], response: ["$..secret"]}
rules:
  - name: rpc
    match: {url: "https://x.com/**/rpc", body: ["$.a", "$.b != 1"]}
    fingerprint: {body: {only: ["$..id", path.none, header.X-Order, query.q]}}
  - name: graphql
    match: {url: "https://x.com/**/rpc", graphql: {field: "pay*", name: "*"}}
  - name: orders
    match: {url: "https://x.com/{none}/**/orders/{order}", query: {q: "*"}}
    fingerprint:
      path: {ignore: [order]}
      query: {ignore: [q]}
      headers: [X-Order]
      body: {ignore: ["$..a", "$.*", "$[?@.b == 1]", "$.list[-1:]"]}
    verify: {get: "/o/{path.none}?x={$.a}&y={header.X-Order}&z={query.r}", done: $.a}
  - name: everything
    match: {url: "https://x.com/**"}
    upstream_key: {body: $.key, retention: 1h}
    idempotency_key: ignore-generated
""".replace("https://x.com/**/rpc", "https://x.com/{none}/**/rpc")
)

NAMES = st.sampled_from(["a", "b", "id", "key", "query"])
BODIES = (
    st.binary(max_size=60)
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner),
        max_leaves=10,
    ).map(lambda document: json.dumps(document).encode())
    | st.sampled_from([
        b"[" * 10_000 + b"]" * 10_000, b'{"a":' * 5_000 + b"1" + b"}" * 5_000, b'{"a": 1, "a": 2}', b'{"a": \xff}',
        b'{"query": "mutation { payNow }"}', b'{"query": "' + b"{" * 5_000 + b'"}', b"a=1&a=%zz&%00=\xff",
        b"\x1f\x8b\x08",
        b'{"n": ' + b"1" * 6_000 + b"}", b"NaN", b'"' + b"\\ud800" * 9 + b'"', b"--b\r\n\r\n\r\n--b--",
    ])
)  # fmt: skip
TYPES = st.sampled_from([
    "", "application/json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=b", "application/xml",
    "application/graphql", "text/plain; charset=utf-16", "application/json; =;", "\udcff",
])  # fmt: skip
SEGMENTS = ["v1", "orders", "rpc", "..", ".", "", "%2e%2e", "%2F", "%zz", "%ff", "\udcff", "ü"]
PATHS = st.sampled_from(["/s/orders/1", "/s/v1/rpc", "/s//v1/../orders/%2E"]) | st.lists(
    st.sampled_from(SEGMENTS), max_size=6
).map(lambda segments: "/" + "/".join(segments))


@st.composite
def requests(draw: st.DrawFn) -> Request:
    headers = {
        "Content-Type": draw(TYPES),
        "Content-Encoding": draw(st.sampled_from(["", "gzip", "br, zstd", "rot13"])),
    }
    headers |= draw(
        st.dictionaries(st.sampled_from(["X-Order", "Authorization", "Idempotency-Key"]), st.text(max_size=9))
    )
    query = draw(st.sampled_from(["", "?q=1", "?q=%zz&q", "?q=1&q=2&card=\udcff", "?" + "q=1&" * 500]))
    sent = request(
        method=draw(st.sampled_from(["POST", "POST", "put", "GET", ""])), host="x.com", body=draw(BODIES),
        target=draw(PATHS) + query, headers=headers,
    )  # fmt: skip
    return replace(sent, scheme=draw(st.sampled_from(["https"] * 5 + ["http"])))


@given(requests())
@settings(deadline=None, max_examples=300)
def test_nothing_that_a_client_sends_raises(sent):
    rule = RULES.match(sent)
    explained = explain(RULES, sent)
    assert explained.rule is rule
    json.dumps([explained.counted, explained.ignored, explained.notes, explained.said, explained.url])
    if rule is not None:
        named = identify(rule, sent, SECRET)
        assert identify(rule, sent, SECRET) == named
        if rule.verify:
            url = rule.verify.get.filled(sent, rule.urls)
            assert url is None or url.startswith("https://x.com/o/")


@given(requests())
@settings(deadline=None, max_examples=100)
def test_what_its_head_rules_out_no_body_brings_back(sent):
    found = RULES.match(sent)
    candidates = RULES.candidates(replace(sent, body=b""))
    assert found is None or found in candidates


@pytest.mark.parametrize(
    "host", ["", ".", "[", "]", "x..com", "\udcff", "xn--a", "a" * 70 + ".com", "::1%eth0", "1.2.3.4.5", "*"]
)
def test_no_host_raises(host):
    for rules in (RULES, default()):
        assert not rules.intercepts(host, 443)
        assert rules.match(request(host=host)) is None
