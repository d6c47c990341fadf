"""JSON that is read the fast way says what it says read exactly; nothing that gets lost there goes unseen."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger_rules import jsontext
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


WORDS = st.builds(escaped, st.text(':-"\\a0\n/\x7fé€', max_size=4), st.lists(st.booleans(), min_size=4, max_size=4))
NUMBERS = st.sampled_from(
    [
        *("0", "-0", "-1", "1.0", "-0.0", "1e5", "-1e-5", "10", "0.1", "1e16", "1e+16", "1e-05", "0.00001", "1e400"),
        *("18446744073709551616", "-9223372036854775809", "1" + "0" * 400, "1000000000000000.0", "123456789012345.6"),
    ]
)
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


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text()
        | st.text('a"\\/u\x7f\n\u2028éж€😀'),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=20,
    ),
    st.booleans(),
    st.sampled_from([None, 2]),
)
def test_the_one_spelling_is_the_json_modules_compact_one(document, ascii_only, indent):
    """Records made with it are to be found again, whatever writes it now."""
    text = json.dumps(document, ensure_ascii=ascii_only, indent=indent)
    assert jsontext.read(text).spelling == json.dumps(document, sort_keys=True, separators=(",", ":"))


@given(SPELLED, st.data())
def test_what_the_json_module_does_not_take_is_not_taken(text, data):
    """One character put into a text, or taken out of it: mostly it is no JSON any more."""
    at = data.draw(st.integers(0, len(text)))
    broken = text[:at] + data.draw(st.sampled_from([*'0-.eE+"\\/u{}[]:, \n\x00\x0b\x1f', ""])) + text[at + 1 :]
    try:
        exact_json(broken)
    except ValueError:
        assert read(broken).format == "raw"
    else:
        assert read(broken).format in ("json", "graphql")


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
        r'{"a": 1, "a": "\u002d"}',
        r'["\u002D", {"a": 1, "a": 2}]',
    ],
)
def test_an_escaped_mark_does_not_hide_that_a_key_is_there_twice(body):
    assert read(body).notes == ("compared byte by byte: a key is there twice in one object",)


@pytest.mark.parametrize("mark", ["-", ":"])
def test_an_escaped_mark_does_not_hide_a_negative_zero(mark):
    for escaped in (f"\\u{ord(mark):04x}", f"\\u{ord(mark):04X}"):
        assert said(f'["{escaped}", -0]') == said(f'["{mark}",-0]') != said(f'["{mark}", 0]')
