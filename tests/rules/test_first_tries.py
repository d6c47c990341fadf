"""What people write at the first try, who know other tools: each mistake is one line that says what to write."""

from __future__ import annotations

import pytest

from ledger_rules import RulesError, loads
from ledger_rules.matching import place
from tests.rules.helpers import request
from tests.rules.test_loader_errors import DURATION, RULE

CONDITION = "expected a status such as 503 or 5xx, or one with a condition"
MATCH = "rules:\n  - name: a\n    match: "

LINES = {
    # other tools' words
    MATCH + "{url: 'https://x.com/orders/:id'}": (
        "3:18: url: expected '{id}' for a whole segment in place of ':id' (%3Aid is that text itself)"
        ", found 'https://x.com/orders/:id'"
    ),
    MATCH + "{host: x.com, url: 'https://x.com/'}": "3:13: unknown key 'host'; write it as a part of 'url'",
    RULE + "    ttl: 2h": "4:5: unknown key 'ttl'; write 'window'",
    "tools: {send: {ttl: 2h}}": "1:16: unknown key 'ttl'; write 'window'",
    "tools: {send: {timeout: none}}": f"1:25: timeout: {DURATION}, or never, found 'none'",
    RULE + "    outcomes: {'200 $.ok == False': failed}": (
        "4:16: outcomes: expected false in place of 'False', found '200 $.ok == False'"
    ),
    RULE + "    outcomes: {'200 $.a and $.b': failed}": (
        "4:16: outcomes: expected && in place of 'and', found '200 $.a and $.b'"
    ),
    RULE + "    outcomes: {'200 not $.a': failed}": "4:16: outcomes: expected ! in place of 'not', found '200 not $.a'",
    MATCH + "{url: 'https://x.com/', body: '$.a or $.b'}": (
        "3:42: body: expected || in place of 'or', found '$.a or $.b'"
    ),
    MATCH + "{url: 'https://x.com/', body: {kind: pay}}": (
        "3:42: body: expected a condition such as $.kind == 'pay', or a list of them"
    ),
    "rule: []": "1:1: unknown key 'rule'; did you mean 'rules'?",
    # a text or a mapping for a list, and the other way round
    "packs: stripe": "1:8: packs: expected a list, found 'stripe'; write [stripe]",
    RULE + "    fingerprint: {body: {ignore: $.at}}": "4:34: ignore: expected a list, found '$.at'; write [$.at]",
    RULE + "    fingerprint: {body: {ignore: '$.a[0]'}}": (
        "4:34: ignore: expected a list, found '$.a[0]'; write ['$.a[0]']"
    ),
    RULE + "    fingerprint: {body: [$.id]}": "4:25: body: expected a mapping of ignore, only; found a list",
    RULE + "    upstream_key: Idempotency-Key": (
        "4:19: upstream_key: expected a mapping of header, body, directive, retention; found 'Idempotency-Key'"
    ),
    RULE + "    fingerprint: {ignore: [$.at]}": "4:19: unknown key 'ignore'; it belongs under query or path or body",
    "rules:\npacks: [stripe]": "1:7: rules: expected a list, found nothing",
    "rules:\n  a:\n    match: {}": "2:3: rules: expected a list, found a mapping; begin each entry with '- '",
    # YAML's own traps
    RULE + "    window: 1:30": f"4:13: window: {DURATION}, found '1:30'",
    RULE + "    fingerprint: {body: {ignore: [$.items[*].at]}}": (
        "4:44: not valid YAML: while scanning an alias expected alphabetic or numeric character, but found ']'"
        "; put a text with * or & in quotes"
    ),
    "rules:\n  - name:a\n    match: {}": (
        "3:10: not valid YAML: mapping values are not allowed here"
        "; is this line indented as the one above it, a text with ': ' in quotes, and a space after every other ':'?"
    ),
    "packs: [@stripe]": (
        "1:9: not valid YAML: while scanning for the next token found character '@' that cannot start any token"
        "; put a text that begins with it in quotes"
    ),
    RULE + "    <<: {window: 1h}": "4:5: merge keys are not read, found '<<'; write its keys out",
}


@pytest.mark.parametrize("text", LINES)
def test_one_line_says_what_to_write(text):
    with pytest.raises(RulesError) as caught:
        loads(text, "ledger.yaml")
    assert str(caught.value).splitlines() == [f"ledger.yaml:{LINES[text]}"]


def test_a_segment_that_begins_with_a_colon_can_be_written():
    (rule,) = loads(MATCH + "{url: 'https://x.com/%3Aid/v1:predict'}").rules
    assert rule.urls[0].matches(place(request("POST", "/:id/v1:predict", host="x.com")))
