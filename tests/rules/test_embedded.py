"""JSON as text in a field: what a rule ignores in it does not count, all the rest of it does."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger_rules import embedded
from ledger_rules.bodies import BodyView, Reading, read
from ledger_rules.jsonpaths import Path
from tests.rules.test_multipart import field, written

NOISE = ("$.message[*].nonce", "$.message[0].at")
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=4))
MESSAGES = st.dictionaries(st.text("abc", min_size=1, max_size=2), SCALARS, min_size=1, max_size=4)


def form(*pairs: tuple[str, str], ignore: tuple[str, ...] = NOISE) -> Reading:
    view = BodyView(ignore=tuple(map(Path.parse, ignore)))
    return read(urlencode(pairs).encode(), "application/x-www-form-urlencoded", None, view)


def multipart(*pairs: tuple[str, str], ignore: tuple[str, ...] = NOISE) -> Reading:
    view = BodyView(ignore=tuple(map(Path.parse, ignore)))
    return read(written(*(field(*pair) for pair in pairs)), "multipart/form-data; boundary=b-1", None, view)


@pytest.fixture(params=[form, multipart])
def sent(request: pytest.FixtureRequest) -> Any:
    return request.param


def test_what_is_ignored_in_it_does_not_count_and_all_else_does(sent):
    def said(message: dict[str, Any], note: str = "x") -> bytes:
        return sent(("message", json.dumps(message)), ("note", note)).meaning

    one = said({"text": "hi", "nonce": 1, "at": 5})
    assert one == said({"nonce": 2, "text": "hi", "at": 6})
    assert len({one, said({"text": "ho", "nonce": 1, "at": 5}), said({"text": "hi", "nonce": 1, "at": 5}, "y")}) == 3


@given(MESSAGES, MESSAGES)
def test_two_messages_that_differ_elsewhere_are_two(one, other):
    for sent in (form, multipart):
        said = [sent(("message", json.dumps({"kept": m, "nonce": n}))).meaning for m, n in ((one, 1), (other, 2))]
        assert (said[0] == said[1]) == (json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True))


def test_what_would_leave_nothing_of_it_ignores_none_of_it(sent):
    one, other = (sent(("message", f'{{"nonce": {n}}}'), ("note", "x")) for n in (1, 2))
    assert one.meaning != other.meaning
    assert "$.message[*].nonce, to be ignored, finds nothing" in one.notes


def test_what_is_left_of_one_text_is_no_other_text(sent):
    ignore = ("$.message[0][0]",)
    assert sent(("message", "[5,1]"), ignore=ignore).meaning != sent(("message", "[1]"), ignore=ignore).meaning


@pytest.mark.parametrize(
    "text", ['{"nonce": 1', '{"nonce": 1, "nonce": 1}', "[" * 200 + "]" * 200, '{"nonce": NaN}', "hi"]
)
def test_what_cannot_be_read_stays_text(sent, text):
    assert sent(("message", text)).meaning != sent(("message", f"{text} ")).meaning


def test_it_says_what_it_did(sent):
    found = sent(("message", '{"text": "hi", "nonce": 1}'))
    assert found.notes == ("ignored $.message[*].nonce", "$.message[0].at, to be ignored, finds nothing")


def test_a_field_may_go_as_a_whole_and_another_in_part(sent):
    ignore = ("$.trace", "$.message[*].nonce")

    def said(trace: str, nonce: int, text: str = "hi") -> bytes:
        message = json.dumps({"text": text, "nonce": nonce})
        return sent(("trace", trace), ("message", message), ignore=ignore).meaning

    assert said("1", 1) == said("2", 2) != said("1", 1, "ho")


def test_no_more_is_read_than_a_bound(sent, monkeypatch):
    monkeypatch.setattr(embedded, "MAX_READ", 30)
    one, other = (sent(("message", json.dumps({"text": "hi" * 20, "nonce": n}))).meaning for n in (1, 2))
    assert one != other
