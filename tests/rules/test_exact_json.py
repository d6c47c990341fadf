"""JSON that is read the fast way says what it says read exactly; nothing that gets lost there goes unseen."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger_rules.bodies import Reading, exact_json
from ledger_rules.bodies import read as read_body


def read(text: str) -> Reading:
    return read_body(text.encode(), "application/json")


def said(text: str) -> bytes:
    return read(text).meaning


def escaped(text: str, data: list[bool]) -> str:
    """A JSON text, some of whose characters are written as escapes."""
    plain = (json.dumps(c)[1:-1] for c in text)
    hidden = (f"\\u{ord(c):04x}" for c in text)
    return '"' + "".join(h if hide else p for p, h, hide in zip(plain, hidden, data, strict=False)) + '"'


WORDS = st.builds(escaped, st.text(':-"\\a0', max_size=4), st.lists(st.booleans(), min_size=4, max_size=4))
NUMBERS = st.sampled_from(["0", "-0", "-1", "1.0", "-0.0", "1e5", "-1e-5", "10"])
SPELLED = st.recursive(
    WORDS | NUMBERS,
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda items: f"[{','.join(items)}]")
        | st.lists(st.tuples(WORDS, inner), max_size=3).map(
            lambda pairs: f"{{{','.join(f'{k}:{v}' for k, v in pairs)}}}"
        )
    ),
    max_leaves=8,
)
"""JSON texts, written in many ways, some of them with a key there twice."""


def written(value) -> str:
    """What was read exactly, indented, every number as it was."""
    if isinstance(value, dict):
        return "{" + " , ".join(f"{json.dumps(key)} : {written(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[ " + " , ".join(map(written, value)) + " ]"
    return getattr(value, "text", None) or json.dumps(value)


@given(SPELLED)
def test_read_the_fast_way_or_not_a_text_says_the_same(text):
    try:
        exact = exact_json(text)
    except ValueError:
        assert read(text).format == "raw"
    else:
        assert said(text) == said(written(exact))


@pytest.mark.parametrize(
    "body",
    [
        r'{"a": 1, "a": "\u003a"}',
        r'{"a:b": 1, "a:b": "\u003A\u003A"}',
        r'["\u003a", {"a": 1, "a": 2}]',
    ],
)
def test_an_escaped_colon_does_not_hide_that_a_key_is_there_twice(body):
    assert read(body).notes == ("compared byte by byte: a key is there twice in one object",)


def test_an_escaped_hyphen_does_not_hide_a_negative_zero():
    assert said(r'["\u002d", -0]') == said('["-",-0]') != said('["-", 0]')
