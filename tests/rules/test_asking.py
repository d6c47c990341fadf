"""What headers make of a request tells it from others, and slips past no rule."""

from __future__ import annotations

import pytest

from ledger_rules import loads
from ledger_rules.explain import explain
from tests.rules.helpers import json_request, operation, request, ruleset


@pytest.mark.parametrize(
    ("header", "one", "other"),
    [
        ("X-Amz-Target", "DynamoDB_20120810.PutItem", "DynamoDB_20120810.DeleteItem"),
        ("SOAPAction", '"urn:charge"', '"urn:refund"'),
        ("Content-Range", "bytes 0-9/20", "bytes 10-19/20"),
        ("Upload-Offset", "0", "10"),
        ("Content-Disposition", "attachment; filename=a.pdf", "attachment; filename=b.pdf"),
        ("Dropbox-API-Arg", '{"path": "/a"}', '{"path": "/b"}'),
        ("Destination", "https://hooks.example.com/a", "https://hooks.example.com/b"),
        ("x-amz-copy-source", "/bucket/a", "/bucket/b"),
    ],
)
def test_what_a_protocol_says_in_a_header_tells_two_requests_apart(header, one, other):
    first, again, second = (operation(**json_request("{}", headers={header: v})) for v in (one, one, other))
    assert first.id == again.id
    assert len({found.id for found in (first, second, operation(**json_request("{}")))}) == 3
    assert first.content_id != second.content_id
    assert first.payload_id != second.payload_id


def test_starting_two_kinds_of_execution_with_one_input_is_two_operations():
    rules = loads("packs: [aws]")
    ids = set()
    for target in ("StartExecution", "StartSyncExecution"):
        headers = {"Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": f"AWSStepFunctions.{target}"}
        sent = request(target="/", host="states.eu-west-1.amazonaws.com", body=b'{"input": "{}"}', headers=headers)
        rule = rules.match(sent)
        assert rule is not None
        ids.add(operation(rule, target="/", host=sent.host, body=sent.body, headers=headers).id)
    assert len(ids) == 2


def test_a_deletion_in_the_clothes_of_another_method_is_meant_by_the_rule_about_deletions():
    rules = ruleset(match="{method: DELETE, url: 'https://hooks.example.com/**'}")
    assert rules.match(request("POST")) is None
    assert rules.match(request("POST", headers={"X-HTTP-Method-Override": " delete"})) is not None


def test_explain_names_what_counts_of_the_head():
    headers = {"X-HTTP-Method-Override": "PUT", "X-Amz-Target": "A.B", "X-Other": "1"}
    said = explain(ruleset(), request("POST", headers=headers))
    assert {"method POST, also as PUT", "header x-amz-target"} <= set(said.counted)
    assert "headers x-other" in said.ignored


def test_another_boundary_makes_other_parts_of_bytes_that_are_not_understood():
    body = b"--a\r\n\r\n1\r\n--a--\r\n--b\r\n\r\n2\r\n--b--\r\n"
    kinds = [f"multipart/form-data; boundary={name}" for name in "ab"]
    one, other = (operation(body=body, headers={"Content-Type": kind}).id for kind in kinds)
    assert one != other
