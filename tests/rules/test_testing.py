"""The tests that a rules file can hold: what a change means, and what is said when a test does not come true."""

from __future__ import annotations

import json

import pytest

from ledger_rules import Request, RulesError, loads
from ledger_rules.testcases import Change, RequestSpec, request_of
from ledger_rules.testing import run

BASE = {"url": "https://x.com/orders?a=1", "headers": {"X-A": "1", "X-B": "2"}, "query": {"ts": 1}}
RULE = "rules: [{name: order, match: {url: 'https://x.com/**'}, fingerprint: {body: {ignore: [$.at]}}}]\n"


def changed(change: dict[str, object], **base: object) -> Request:
    return request_of(RequestSpec.model_validate({**BASE, **base}), Change.model_validate(change))


def test_without_a_change_it_is_the_request():
    made = changed({}, json={"id": 7})
    assert (made.method, made.url, json.loads(made.body)) == ("POST", "https://x.com/orders?a=1&ts=1", {"id": 7})
    assert (made.header("X-A"), made.header("Content-Type")) == ("1", "application/json")


def test_names_are_replaced_added_and_taken_away():
    made = changed({"headers": {"X-A": "3", "X-B": None, "X-C": 4}, "query": {"ts": None, "q": "é &"}})
    assert [made.header(name) for name in ("X-A", "X-B", "X-C")] == ["3", None, "4"]
    assert made.target == "/orders?a=1&q=%C3%A9+%26"


@pytest.mark.parametrize(
    ("patch", "result"),
    [
        ({"b": {"c": None, "d": 5}}, {"a": 1, "b": {"d": 5}}),
        ({"a": None}, {"b": {"c": 2}}),
        ({"a": [1]}, {"a": [1], "b": {"c": 2}}),
        ([1], [1]),
    ],
)
def test_json_is_a_merge_patch(patch, result):
    assert json.loads(changed({"json": patch}, json={"a": 1, "b": {"c": 2}}).body) == result


def test_forms_are_merged_and_bodies_replaced():
    assert changed({"form": {"b": None, "c": 3}}, form={"a": 1, "b": 2}).body == b"a=1&c=3"
    assert changed({"body": "x"}, json={"a": 1}).body == b"x"
    assert changed({"form": {"a": 1}}, json={"a": 1}).body == b"a=1"
    assert changed({"method": "put", "url": "http://y.com:81"}).url == "http://y.com:81/?ts=1"


def test_a_test_that_does_not_come_true_says_why():
    text = (
        RULE
        + """
tests:
  - request: {url: "https://x.com/a", json: {id: 1, at: 1}}
    same: [{json: {id: 2}}, {url: "https://x.com/b"}, {method: PUT}, {url: "https://y.com/a"}]
    different: [{json: {at: 2}}, {url: "https://y.com/a"}]
    rule: other
  - {name: unruled, request: {url: "https://y.com/"}, same: [{}]}
"""
    )
    checks = run(text)
    assert [check.why for check in checks] == [
        "the rule 'order' means it",
        "they are two operations: they differ in the body or a listed header",
        "they are two operations: they differ in the URL",
        "they are two operations: they differ in the method",
        "no rule means the changed request",
        "they are one operation: what differs does not count",
        "",
        "no rule means it",
    ]
    assert checks[0].place == "ledger.yaml:7:11"
    assert checks[-1].test == "unruled"


WRONG = {
    "tests: [{request: {url: nope}, same: [{}]}]": (
        "1:25: url: expected a URL such as https://api.example.com/orders, found 'nope'"
    ),
    "tests: [{request: {}, same: [{}]}]": "1:19: missing key 'url' in 'request'",
    "tests: [{request: {url: 'https://x.com', jsn: 1}, same: [{}]}]": "1:42: unknown key 'jsn'; did you mean 'json'?",
    "tests: [{request: {url: 'https://x.com'}}]": "1:9: tests: expected 'same', 'different' or 'rule'",
    "tests: [{request: {url: 'https://x.com'}, rule: none, same: [{}]}]": (
        "1:9: tests: expected no 'same' or 'different' beside 'rule: none': what no rule means is no operation"
    ),
    "tests: [{request: {url: 'https://x.com', json: 1, body: x}, same: [{}]}]": (
        "1:19: request: expected one of 'json', 'form' and 'body'"
    ),
    "tests: [{request: {url: 'https://x.com', form: {a: 1.5}}, same: [{}]}]": (
        "1:52: a: expected text (in quotes if it looks like a number), found '1.5'"
    ),
}  # fmt: skip


@pytest.mark.parametrize("text", WRONG)
def test_a_mistake_in_a_test_is_one_exact_line(text):
    with pytest.raises(RulesError) as caught:
        loads(f"{text}\n{RULE}")
    assert str(caught.value) == f"ledger.yaml:{WRONG[text]}"
