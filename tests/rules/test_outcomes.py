"""What a response says about the effect."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

import pytest

from ledger.policy import OnUnknown, Policy
from ledger_rules import RulesError, classify, load_tools, loads, settles
from tests.rules.helpers import one_rule

PLAIN = one_rule()
SLACK = one_rule(
    "outcomes: {503: failed, 4xx: unknown, 409: success, '200 $.ok == false': failed, '200 !$.ok': unknown}"
)


def outcome(status, body=b"", headers=(), rule=PLAIN) -> str:
    return classify(rule, status, headers, body)


@pytest.mark.parametrize(
    ("expected", "statuses"),
    [
        ("success", [200, 201, 202, 204, 206, 299, 301, 302, 303, 304]),
        ("failed", [307, 308, 400, 401, 402, 403, 404, 409, 410, 422, 425, 429, 451, 499]),
        ("unknown", [408, 500, 501, 502, 503, 504, 524, 599, 100, 101, 600, 999]),
    ],
)
def test_by_status_alone(expected, statuses):
    assert {status: outcome(status) for status in statuses} == dict.fromkeys(statuses, expected)


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (503, b"", "failed"),
        (502, b"", "unknown"),
        (404, b"", "unknown"),
        (409, b"", "success"),  # the exact status goes before its class
        (200, b'{"ok": false}', "failed"),
        (200, b'{"ok": true}', "success"),
        (200, b'{"error": 1}', "unknown"),
        (200, b"{}", "unknown"),
        (200, b"[]", "unknown"),
        (201, b'{"ok": false}', "success"),
    ],
)
def test_a_rule_says_otherwise(status, body, expected):
    assert outcome(status, body, rule=SLACK) == expected


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"ok": fal', b"\xff"])
def test_where_a_condition_cannot_be_checked_nobody_guesses(body):
    assert outcome(200, body, rule=SLACK) == "unknown"
    assert outcome(503, body, rule=SLACK) == "failed"


def test_compressed_answers_are_read():
    body = b'{"ok": false}'
    assert outcome(200, gzip.compress(body, mtime=0), [("content-encoding", "gzip")], SLACK) == "failed"
    assert outcome(200, zlib.compress(body), [("Content-Encoding", "deflate")], SLACK) == "failed"


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (gzip.compress(b'{"ok": true}', mtime=0)[:-5], "gzip"),
        (b'{"ok": true}', "br"),
        (gzip.compress(b" " * (9 << 20)), "gzip"),
    ],
)
def test_answers_that_cannot_be_decompressed_are_unknown(body, encoding):
    assert outcome(200, body, [("Content-Encoding", encoding)], SLACK) == "unknown"


def test_conditions_compare_numbers_texts_and_nested_values():
    rule = one_rule("outcomes: {'2xx $.code >= 10 && $.items[?@.state == \"no\"]': failed}")
    assert outcome(202, b'{"code": 10, "items": [{"state": "no"}]}', rule=rule) == "failed"
    assert outcome(202, b'{"code": 9, "items": [{"state": "no"}]}', rule=rule) == "success"
    assert outcome(202, b'{"code": 10, "items": [{"state": "yes"}]}', rule=rule) == "success"


def test_on_a_recovery_send_only_a_2xx_settles():
    settling = {status for status in range(100, 600) if settles(PLAIN, status, (), b'{"id": 1}')}
    assert settling == set(range(200, 300))


PROVED = "409 $.error.errors[?@.reason == 'idempotent_creation_conflict'].links.conflicting_resource_id"
CONFLICT = b'{"error": {"errors": [{"reason": "%s", "links": {%s}}]}}'


class TestAProvedReplay:
    rule = one_rule(f'outcomes: {{"{PROVED}": success}}')

    def test_settles_too(self):
        body = CONFLICT % (b"idempotent_creation_conflict", b'"conflicting_resource_id": "PM1"')
        assert settles(self.rule, 409, (), body)
        assert outcome(409, body, rule=self.rule) == "success"
        assert not settles(self.rule, 422, (), body)

    @pytest.mark.parametrize(
        "body",
        [
            CONFLICT % (b"idempotent_creation_conflict", b""),
            CONFLICT % (b"other", b'"conflicting_resource_id": "PM1"'),
            b"{}",
            b"",
            b"not JSON",
        ],
    )
    def test_needs_its_proof(self, body):
        assert not settles(self.rule, 409, (), body)

    def test_is_not_a_status_that_was_declared_a_success(self):
        assert not settles(one_rule("outcomes: {409: success}"), 409, (), b'{"id": 1}')

    def test_is_not_a_proof_of_failure(self):
        assert not settles(one_rule('outcomes: {"409 $.id": failed}'), 409, (), b'{"id": 1}')

    def test_is_not_a_2xx_that_says_no(self):
        """Where all is answered with 200, "in flight" and "come back later" are, too."""
        rule = one_rule("outcomes: {'200 $.ok == false': failed, '202': failed}")
        assert not settles(rule, 200, (), b'{"ok": false, "error": "request_in_progress"}')
        assert not settles(rule, 200, (), b"not JSON")
        assert not settles(rule, 202, (), b"")
        assert settles(rule, 200, (), b'{"ok": true}')


class TestPolicies:
    def test_defaults(self):
        assert PLAIN.policy == Policy(max=1, window=86400, replay=True, wait=30, timeout=None)

    def test_everything_given(self):
        rule = one_rule(
            "window: 7d, wait: 500ms, max: 2, on_unknown: resend, "
            "upstream_key: {header: Cko-Idempotency-Key, retention: 90}"
        )
        assert rule.policy == Policy(
            max=2, window=604800, replay=True, wait=0.5, on_unknown=OnUnknown.RESEND, key_retention=90
        )

    def test_the_files_defaults_apply_where_a_rule_says_nothing(self):
        top = "defaults: {window: 1h, wait: 2, on_unknown: hold}"
        assert one_rule(top=top).policy == Policy(window=3600, wait=2, replay=True)
        assert one_rule("wait: 5m", top=top).policy.wait == 300

    def test_tools_are_what_guard_policy_is_told_and_no_more(self, tmp_path: Path):
        file = tmp_path / "ledger.yaml"
        file.write_text("""
tools:
  send_sms: {max: 2, window: 1h}
  search: {unlimited: true}
  pay: {replay: true, timeout: never, on_unknown: retry, wait: 0}
""")
        assert load_tools(file) == {
            "send_sms": {"max": 2, "ttl": 3600},
            "search": {"unlimited": True},
            "pay": {"replay": True, "timeout": None, "on_unknown": "retry", "wait": 0},
        }

    def test_the_mode_is_kept(self):
        assert [loads(text + "rules: []").mode for text in ("", "mode: enforce\n", "mode: observe\n")] == [
            *("enforce", "enforce", "observe"),
        ]

    def test_one_status_cannot_mean_two_things(self):
        with pytest.raises(RulesError, match="duplicate key '503'"):
            one_rule("outcomes: {503: failed, 503: success}")
