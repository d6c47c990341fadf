"""What a person is told of a body: what counts of it, what does not, and why it is compared byte by byte."""

from __future__ import annotations

import gzip

import pytest

from ledger_rules.bodies import BodyView, Reading, read
from ledger_rules.jsonpaths import Path
from ledger_rules.readout import FORMATS, lines, notes

JSON, FORM, XML = "application/json", "application/x-www-form-urlencoded", "text/xml"
MULTIPART = "multipart/form-data; boundary=b"
PARTS = (
    b'--b\r\nContent-Disposition: form-data; name="order"\r\n\r\n7\r\n'
    b'--b\r\nContent-Disposition: form-data; name="scan"; filename="x"\r\n\r\nabc\r\n--b--\r\n'
)
ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
SEVEN = "7902699be42c8a8e46fbbb4501726517e86b22c56a189f7625a6da49081b2451"


def reading(body: bytes, kind: str | None, encoding: str = "", **view: list[str]) -> Reading:
    return read(body, kind, encoding, BodyView(**{name: tuple(map(Path.parse, paths)) for name, paths in view.items()}))


@pytest.mark.parametrize(
    ("body", "kind", "view", "shown"),
    [
        (b'{"b": 1.0, "a": "\xc3\xa9"}', JSON, {}, ['{"a":"\\u00e9","b":1.0}']),
        (b'{"b": 1, "a": 2}', JSON, {"ignore": ["$.a"]}, ['{"b":1}']),
        (b'{"b": 1, "a": 2}', JSON, {"only": ["$.b"]}, ["[[1]]"]),
        (b'{"a": 2}', JSON, {"ignore": ["$.a"]}, ['{"a":2}']),
        (b'{"query": "mutation { pay }"}', JSON, {}, ['{"query":"mutation{pay}"}']),
        (b"b=%201&a&b=2", FORM, {}, ["a", "b= 1", "b=2"]),
        (b"b=1&a=2&b=3", FORM, {"only": ["$.b", "$.a"]}, ['[["1", "3"]]', '[["2"]]']),
        (b"<a  b='1'/>", XML, {}, ['<a b="1"></a>']),
        (b"abc", "text/plain", {}, [f"sha256 {ABC}"]),
        (b"abc", JSON, {}, [f"sha256 {ABC}"]),
        (
            PARTS,
            MULTIPART,
            {},
            [
                f'content-disposition: form-data; name="order"; size 1; sha256 {SEVEN}',
                f'content-disposition: form-data; name="scan"; filename="x"; size 3; sha256 {ABC}',
            ],
        ),
        (PARTS, MULTIPART, {"only": ["$.order[0]"]}, ['["7"]']),
    ],
)
def test_what_counts(body, kind, view, shown):
    assert lines(reading(body, kind, **view)) == shown


def test_what_does_not_and_why():
    sent = gzip.compress(b'{"a": 1, "b": 2}')
    assert notes(reading(sent, JSON, "gzip", ignore=["$.a", "$.c"])) == [
        FORMATS["json"],
        f"gzip decoded: {len(sent)} bytes became 16",
        "ignored $.a",
        "$.c, to be ignored, finds nothing",
    ]
    assert notes(reading(b"{", XML)) == [
        "compared byte by byte: not well-formed XML: not well-formed (invalid token): line 1, column 0"
    ]
    assert notes(reading(b"<a/>", XML, ignore=["$.a"]))[1:] == [
        "the paths of the rule say nothing about this format: all of it counts"
    ]


@pytest.mark.parametrize("kind", [JSON, FORM, XML, MULTIPART, "application/graphql", None])
@pytest.mark.parametrize("body", [b"", b"{}", b"a", b"<a/>", PARTS, b"mutation { a }", b"\xff"])
def test_any_body_can_be_shown(body, kind):
    found = reading(body, kind, only=["$.order"])
    assert all(isinstance(line, str) for line in lines(found) + notes(found))
