"""Whatever is wrong with a rules file, its author reads where, what was expected and what was probably meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger_rules import RulesError, load, loads, pack_names

RULE = "rules:\n  - name: a\n    match: {url: 'https://x.com/a'}\n"
DURATION = "expected a duration such as 500ms, 30s, 5m, 24h or 7d, or a number of seconds"
WILDCARDS = "the wildcards are '*' (within a segment), '**' (across) and '{name}' (a whole segment)"

LINES = {
    # the file itself
    "": "1:1: the file is empty; expected rules, packs or tools",
    "# only a comment\n": "1:1: the file is empty; expected rules, packs or tools",
    "version: 1": "1:1: expected 'rules', 'packs' or 'tools'; as it is, nothing would be guarded",
    "- a": "1:1: expected a mapping, found a list; begin with 'rules:'",
    "just text": "1:1: expected a mapping, found 'just text'",
    "version: 2\nrules: []": "1:10: version: expected 1, found '2'",
    "version: '1'\nrules: []": "1:10: version: expected 1, found '1'; leave the quotes out",
    "rulez: []": "1:1: unknown key 'rulez'; did you mean 'rules'?",
    "mode: enforec\nrules: []": "1:7: mode: expected one of enforce, observe, found 'enforec'; did you mean 'enforce'?",
    # YAML
    "rules: [": "1:9: not valid YAML: while parsing a flow node expected the node content, but found '<stream end>'",
    "rules:\n\t- a": (
        "2:1: not valid YAML: while scanning for the next token found character '\\t' that cannot start any token"
        "; indent with spaces, YAML takes no tabs"
    ),
    "rules:\n  - name: a\n     match: {}": (
        "3:11: not valid YAML: mapping values are not allowed here"
        "; is this line indented as the one above it, a text with ': ' in quotes, and a space after every other ':'?"
    ),
    RULE + "   window: 1h": (
        "4:4: not valid YAML: while parsing a block collection expected <block end>, but found '<block mapping start>'"
        "; is this line indented as the others of its list or mapping?"
    ),
    RULE + "    account: [$['a']]": (
        "4:16: not valid YAML: while parsing a flow sequence expected ',' or ']', but got '['"
        "; put a JSONPath with brackets in quotes"
    ),
    "rules: [\x01]": "1:9: character U+0001 is not allowed in YAML",
    "rules: !!python/object:os.system x": "1:8: tags are not allowed, found '!!python/object:os.system'",
    "rules: !mine x": "1:8: tags are not allowed, found '!mine'",
    "rules:\n  - name: a\n    name: b": "3:5: duplicate key 'name'; it is already given on line 2",
    "? [a]\n: b": "1:3: expected a plain key, found a list or a mapping",
    "rules: &a [*a]": "1:8: too many or too deeply nested values; are aliases nested?",
    # rules
    "rules: {}": "1:8: rules: expected a list, found a mapping; begin each entry with '- '",
    "rules: [{match: {url: 'https://x.com/'}}]": "1:9: missing key 'name' in 'rules'",
    "rules: [{name: a}]": "1:9: missing key 'match' in 'rules'",
    "rules: [{name: a b, match: {url: 'https://x.com/'}}]": (
        "1:16: name: expected a name of letters, digits and . _ / : - (up to 100), found 'a b'"
    ),
    "rules:\n  - name: a\n    match: {ur: 'https://x.com/'}": "3:13: unknown key 'ur'; did you mean 'url'?",
    RULE + "    wndow: 5m": "4:5: unknown key 'wndow'; did you mean 'window'?",
    RULE + "    colour: red": (
        "4:5: unknown key 'colour'; expected one of window, wait, name, mode, match, fingerprint, "
        "idempotency_key, account, upstream_key, outcomes, on_unknown, verify, max"
    ),
    # a key one level too far out
    "match: {url: 'https://x.com/'}\nrules: []": "1:1: unknown key 'match'; it belongs under rules",
    RULE + "    method: POST": "4:5: unknown key 'method'; it belongs under match",
    RULE + "    header: X": "4:5: unknown key 'header'; it belongs under upstream_key",
    # a host is not all that is on it
    "rules: [{name: a, match: {url: 'https://x.com'}}]": (
        "1:32: url: expected a path, too: https://x.com/** for all of this host, https://x.com/ for its root alone, "
        "found 'https://x.com'"
    ),
    RULE + "    window: 24x": f"4:13: window: {DURATION}, found '24x'",
    RULE + "    window: -1": f"4:13: window: {DURATION}, found '-1'",
    RULE + "    window: .inf": f"4:13: window: {DURATION}, found '.inf'",
    RULE + "    wait: true": f"4:11: wait: {DURATION}, found 'true'",
    RULE + "    wait:": f"4:10: wait: {DURATION}, found nothing",
    RULE + "    max: 0": "4:10: max: expected at least 1, found '0'",
    RULE + "    max: '2'": "4:10: max: expected a whole number, found '2'",
    RULE + "    idempotency_key: repsect": (
        "4:22: idempotency_key: expected one of respect, ignore, ignore-generated, require, found 'repsect'; "
        "did you mean 'respect'?"
    ),
    RULE + "    account: []": "4:14: account: expected at least 1 entry, found an empty list",
    RULE + "    account: Authorization": "4:14: account: expected a list, found 'Authorization'; write [Authorization]",
    RULE + "    upstream_key:": "4:18: upstream_key: expected a value, found nothing",
    RULE + "    upstream_key: {header: Idempotency-Key}": "4:19: missing key 'retention' in 'upstream_key'",
    **{
        RULE + f"    upstream_key: {{header: {name}, retention: 1h}}": (
            "4:28: header: expected a header of the key's own, such as Idempotency-Key: this one means something else, "
            f"found '{name}'"
        )
        for name in ("Host", "authorization", "Content-Length", "Cookie", "Ledger-Workflow", "Transfer-Encoding")
    },
    RULE + "    fingerprint: {headers: ['X Y']}": "4:29: headers: expected a header name, found 'X Y'",
    RULE + "    fingerprint: {body: {ignore: [sent_at]}}": (
        "4:35: ignore: expected an RFC 9535 JSONPath, which begins with $, such as $.sent_at, found 'sent_at'"
    ),
    RULE + "    fingerprint: {body: {ignore: ['$']}}": (
        "4:35: ignore: expected a path to a part of the body, not to all of it, found '$'"
    ),
    RULE + "    fingerprint: {body: {ignore: ['$.a'], only: ['$.b']}}": (
        "4:25: body: expected either 'ignore' or 'only', not both"
    ),
    RULE + "    outcomes: {abc: failed}": (
        "4:16: outcomes: expected a status such as 503 or 5xx, or one with a condition such as "
        "\"200 $.ok == false\", found 'abc'"
    ),
    RULE + "    outcomes: {'200 $.': failed}": (
        "4:16: outcomes: expected an RFC 9535 JSONPath (expected a shorthand selector), found '200 $.'"
    ),
    RULE + "    outcomes: {503: fail}": (
        "4:21: 503: expected one of success, failed, unknown, found 'fail'; did you mean 'failed'?"
    ),
    RULE + "    mode: watch": "4:11: mode: expected one of enforce, observe, found 'watch'",
    RULE + "    verify: {get: /orders}": "4:13: missing key 'done' in 'verify'",
    RULE + "    verify: {get: orders, done: $.id}": (
        "4:19: get: expected a URL or a path, such as /orders?reference={$.order_id}, found 'orders'"
    ),
    RULE + "    verify: {get: '/orders/{order}', done: $.id}": (
        "4:19: get: expected a JSONPath such as $.order_id, or path.NAME, query.NAME or header.NAME, "
        "found '/orders/{order}'"
    ),
    RULE + "    verify: {get: '/orders/{$.id', done: $.id}": (
        "4:19: get: expected every '{' to be closed by a '}', found '/orders/{$.id'"
    ),
    RULE + "    verify: {get: 'https://*.x.com/', done: $.id}": (
        "4:19: get: expected a host without '*', or a path alone, such as /orders, found 'https://*.x.com/'"
    ),
    RULE + "    verify: {get: /orders, done: [1]}": (
        "4:34: done: expected a condition such as $.data[0], or a status such as 404, or both"
    ),
    RULE + "    verify: {get: /orders, done: nope}": (
        "4:34: done: expected a status such as 503 or 5xx, or one with a condition such as "
        "\"200 $.ok == false\", found 'nope'"
    ),
    "defaults: {on_unknown: verify}\nrules: []": "1:24: on_unknown: expected one of hold, resend, found 'verify'",
    "rules: [{name: a, match: {url: 'https://x.com/', body: {}}}]": (
        "1:56: body: expected a condition such as $.kind == 'pay', or a list of them"
    ),
    "rules: [{name: a, match: {url: 'https://x.com/', body: $.kind = 'pay'}}]": (
        "1:56: body: expected == where two values are compared, found '$.kind = 'pay''"
    ),
    "rules: [{name: a, match: {url: 'https://x.com/', body: kind}}]": (
        "1:56: body: expected an RFC 9535 JSONPath (unexpected 'kind'), found 'kind'"
    ),
    "rules: [{name: a, match: {url: 'https://x.com/', graphql: {field: []}}}]": (
        "1:67: field: expected at least 1 entry, found an empty list"
    ),
    "rules: [{name: a, match: {url: 'https://x.com/', graphql: {type: mutations}}}]": (
        "1:66: type: expected one of query, mutation, subscription, found 'mutations'; did you mean 'mutation'?"
    ),
    "redact: {response: [x]}\nrules: []": (
        "1:21: response: expected an RFC 9535 JSONPath, which begins with $, such as $.x, found 'x'"
    ),
    "egress: {allow: ['http://a b']}": (
        "1:18: allow: expected a host such as api.example.com, **.example.com or https://localhost:8080, "
        "or 10.0.0.0/8, found 'http://a b'"
    ),
    # packs and tools
    "packs: [strip]": "1:9: unknown pack 'strip'; did you mean 'stripe'?",
    "packs: [acme]": f"1:9: unknown pack 'acme'; expected one of {', '.join(pack_names())}",
    "packs: [3]": "1:9: packs: expected a mapping, found '3'",
    "packs: [stripe, stripe]": "1:17: pack 'stripe' is listed twice; give all its hosts in one entry",
    "packs: [webhooks]": "1:9: pack 'webhooks' needs its hosts: write {webhooks: {hosts: [hooks.example.com]}}",
    "packs: [{stripe: {host: [a.com]}}]": "1:19: unknown key 'host'; did you mean 'hosts'?",
    "packs: [{stripe: {hosts: ['a.com/v1']}}]": (
        "1:27: hosts: expected a host without a path, such as api.example.com or http://localhost:8080, "
        "found 'a.com/v1'"
    ),
    "tools: {send_sms: {maxx: 2}}": "1:20: unknown key 'maxx'; did you mean 'max'?",
    "tools: {send_sms: {on_unknown: resend}}": ("1:32: on_unknown: expected one of hold, retry, found 'resend'"),
}


@pytest.mark.parametrize("text", LINES)
def test_one_mistake_is_one_exact_line(text):
    with pytest.raises(RulesError) as caught:
        loads(text)
    assert str(caught.value) == f"ledger.yaml:{LINES[text]}"


URLS = {
    "hooks.example.com/x": "expected http:// or https://, a host and a path, such as https://api.example.com/orders/**",
    "ftp://x.com/": "expected http:// or https://, a host and a path, such as https://api.example.com/orders/**",
    "https://me@x.com/": "expected http:// or https://, a host and a path, such as https://api.example.com/orders/**",
    "https://x.com/a?b=c": "expected no '?' or '#': the pattern ignores the query, use match.query",
    "https://x.com/a/{id": f"expected no '{{': {WILDCARDS}",
    "https://x.com/a/x{id}": f"expected no '{{': {WILDCARDS}",
    "https://x.com/{id}/{id}": "expected every '{name}' once",
    "https://x.com" + "/a" * 101: "expected no more than 100 segments",
    "https://{id}.com/a": f"expected no '{{': {WILDCARDS}",
    "https://[x/**": "expected a host name, such as api.example.com",
    "https://x]/": "expected a host name, such as api.example.com",
    "https://[]/": "expected a host name, such as api.example.com",
    "https://[1.2.3.4]/": "expected a host name, such as api.example.com",
    "https://[::1]x/": "expected a host name, such as api.example.com",
    "https://x.com/a**": "expected '**' to be a whole path segment, such as /orders/**",
    "https://x.com/a/../b": "expected a path without '..'",
    "https://*/a": "expected a host name, in which '*' stands for one label, such as *.example.com",
    "https://**.x.com/a": "expected a host name, in which '*' stands for one label, such as *.example.com",
    "https:///a": "expected a host name, such as api.example.com",
    "https://x.com:0/a": "expected a port from 1 to 65535 after the host's ':'",
    "https://x.com:http/a": "expected a port from 1 to 65535 after the host's ':'",
}


@pytest.mark.parametrize("url", URLS)
def test_a_bad_pattern_says_what_a_good_one_is(url):
    with pytest.raises(RulesError) as caught:
        loads(f"rules:\n  - name: a\n    match:\n      url: '{url}'\n")
    assert str(caught.value) == f"ledger.yaml:4:12: url: {URLS[url]}, found '{url}'"


def test_a_mistyped_method_gets_a_suggestion():
    with pytest.raises(RulesError) as caught:
        loads("rules: [{name: a, match: {url: 'https://x.com/', method: [POST, PSOT]}}]")
    assert str(caught.value) == (
        "ledger.yaml:1:65: method: expected one of GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS, found 'PSOT'; "
        "did you mean 'POST'?"
    )


RESEND = RULE + "    on_unknown: resend\n    upstream_key: {header: Idempotency-Key, retention: 24h}\n"
EXCLUDE = "the provider would see another payload under one key; use on_unknown: hold"

CONTRADICTIONS = {
    RULE + "    on_unknown: resend": (
        "4:17: on_unknown: resend needs 'upstream_key', the place where the provider honours our key"
    ),
    "defaults: {on_unknown: resend}\n" + RULE: (
        "3:5: on_unknown: resend needs 'upstream_key', the place where the provider honours our key"
    ),
    RESEND + "    fingerprint: {body: {ignore: ['$.at']}}": (
        f"6:34: 'ignore' in the body and on_unknown: resend exclude each other: {EXCLUDE}"
    ),
    RESEND + "    fingerprint: {body: {only: ['$.id']}}": (
        f"6:32: 'only' in the body and on_unknown: resend exclude each other: {EXCLUDE}"
    ),
    RULE + "    on_unknown: verify": "4:17: on_unknown: verify needs 'verify': what to get, and what proves it",
    RULE + "    on_unknown: hold\n    verify: {get: /orders, done: $.id}": (
        "5:5: 'verify' and on_unknown: hold exclude each other; leave one of them out"
    ),
    RULE + "    verify: {get: 'https://y.com/orders', done: $.id}": (
        "4:19: get: expected the rule's own host, or a path alone such as /orders, found 'https://y.com/orders'"
    ),
    RULE + "    verify: {get: '/orders/{path.id}', done: $.id}": (
        "4:19: no segment of the path of match.url is named 'id'; write {id} for a whole segment there"
    ),
    RULE.replace("/a'", "/{order}'") + "    fingerprint: {path: {ignore: [oder]}}": (
        "4:35: no segment of the path of match.url is named 'oder'; did you mean 'order'?"
    ),
    RESEND + "    fingerprint: {query: {ignore: [ts]}}": (
        f"6:35: 'ignore' in the query and on_unknown: resend exclude each other: {EXCLUDE}"
    ),
    RULE + "  - name: a\n    match: {url: 'https://x.com/b'}": (
        "4:11: name: 'a' is already the name of the rule on line 2; rename one"
    ),
    RULE + "  - name: b\n    match: {url: 'https://X.com:443/a', method: POST, query: {k: v}}": (
        "4:5: rule 'b' is never reached: 'a' on line 2 matches all it matches; put it first or delete it"
    ),
}


@pytest.mark.parametrize("text", CONTRADICTIONS)
def test_rules_that_contradict_each_other_are_refused(text):
    with pytest.raises(RulesError) as caught:
        loads(text)
    assert str(caught.value) == f"ledger.yaml:{CONTRADICTIONS[text]}"


@pytest.mark.parametrize(
    "later",
    [
        "match: {url: 'https://x.com/a', method: [GET, POST]}",
        "match: {url: ['https://x.com/a', 'https://x.com/b']}",
        "match: {url: 'https://x.com:444/a'}",
        "match: {url: 'https://x.com/*'}",
    ],
)
def test_a_rule_that_means_more_than_an_earlier_one_is_allowed(later):
    assert len(loads(f"{RULE}  - name: b\n    {later}").rules) == 2


def test_a_condition_on_the_earlier_rule_leaves_room_for_the_later():
    text = """
rules:
  - {name: a, match: {url: 'https://x.com/', query: {kind: order}}}
  - {name: b, match: {url: 'https://x.com/'}}
"""
    assert [rule.name for rule in loads(text).rules] == ["a", "b"]


def test_several_mistakes_are_several_lines_in_the_order_of_the_file():
    with pytest.raises(RulesError) as caught:
        loads("mode: x\nrules:\n  - name: a\n    match: {url: nope}\n    windw: 3\npackz: []\n")
    assert [line.split(": ")[0] for line in str(caught.value).splitlines()] == [
        "ledger.yaml:1:7",
        "ledger.yaml:4:18",
        "ledger.yaml:5:5",
        "ledger.yaml:6:1",
    ]


def test_a_bomb_of_aliases_is_refused_before_it_grows():
    levels = "".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]\n" for n in range(1, 10))
    with pytest.raises(RulesError, match=r"^ledger\.yaml:\d+:\d+: (too many|more than)"):
        loads(f"l0: &l0 [x]\n{levels}rules: []\n")


def test_many_plain_aliases_are_refused_with_their_position():
    text = "a: &a [x]\nb: [" + "*a, " * 101 + "]\nrules: []"
    with pytest.raises(RulesError) as caught:
        loads(text)
    assert str(caught.value) == "ledger.yaml:2:405: more than 100 aliases; write the values out"


def test_deep_nesting_is_refused():
    with pytest.raises(RulesError, match=r"^ledger\.yaml:\d+:\d+: (nested too deeply|too many or too deeply)"):
        loads("rules: " + "[" * 3000 + "]" * 3000)


def test_a_few_aliases_are_fine():
    text = """
rules:
  - {name: a, match: {url: 'https://x.com/a'}, account: &who [X-Tenant]}
  - {name: b, match: {url: 'https://x.com/b'}, account: *who}
"""
    assert [rule.account for rule in loads(text).rules] == [("X-Tenant",), ("X-Tenant",)]


class TestFiles:
    def test_a_missing_file_is_named(self, tmp_path: Path):
        with pytest.raises(RulesError) as caught:
            load(tmp_path / "rules.yaml")
        assert str(caught.value) == (
            f"{tmp_path}/rules.yaml: no such rules file; create it, or name none to use the default packs"
        )

    def test_a_directory_is_no_rules_file(self, tmp_path: Path):
        with pytest.raises(RulesError) as caught:
            load(tmp_path)
        assert str(caught.value) == f"{tmp_path}: the rules file cannot be read: Is a directory"

    def test_bytes_that_are_no_text_are_located(self, tmp_path: Path):
        file = tmp_path / "rules.yaml"
        file.write_bytes(b"rules: []\n# \xff\n")
        with pytest.raises(RulesError) as caught:
            load(file)
        assert str(caught.value) == f"{file}:2:3: not UTF-8 text; save the file as UTF-8"

    def test_a_file_of_the_wrong_kind_is_not_read_for_minutes(self, tmp_path: Path):
        file = tmp_path / "ledger.db"
        file.write_bytes(b"\0" * (1 << 21))
        with pytest.raises(RulesError) as caught:
            load(file)
        assert str(caught.value) == f"{file}: larger than 1024 KiB; expected a rules file"

    def test_a_good_file_with_a_byte_order_mark_loads(self, tmp_path: Path):
        file = tmp_path / "rules.yaml"
        file.write_bytes(b"\xef\xbb\xbf" + RULE.encode())
        assert [rule.source for rule in load(file).rules] == [f"{file}:2"]
