"""The encoding under every identity: no two values share one, and the hash over it is an HMAC."""

from __future__ import annotations

import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger_rules.canonical import MAX_DEPTH, encode, keyed_hash

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text("as12:;l", max_size=4) | st.binary(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("as1", max_size=2), inner, max_size=3),
    max_leaves=8,
)


def told_apart(value):
    """Python takes True for 1."""
    if isinstance(value, list):
        return [told_apart(inner) for inner in value]
    if isinstance(value, dict):
        return {key: told_apart(inner) for key, inner in value.items()}
    return (type(value), value)


@given(st.lists(VALUES, max_size=4), st.lists(VALUES, max_size=4))
def test_other_values_are_encoded_otherwise(one, other):
    assert (encode(one) == encode(other)) == (told_apart(one) == told_apart(other))


def test_a_value_of_every_kind():
    values = ("é", b"\x00\xff", 7, None, True, [("a", ""), {"b": 1, "a": []}])
    assert encode(values) == "l6;s1:éb2:00ff7;None;True;l2;l2;s1:as0:d2;l4;s1:al0;s1:b1;".encode()


@given(st.binary(max_size=200), st.lists(VALUES, max_size=3))
def test_the_keyed_hash_is_the_librarys_hmac(secret, values):
    assert keyed_hash(secret, *values) == hmac.new(secret, encode(values), "sha256").hexdigest()


def test_values_nested_without_end_are_refused():
    deep: list[object] = []
    for _ in range(MAX_DEPTH - 2):
        deep = [deep]
    assert encode([deep]).startswith(b"l1;l1;")
    with pytest.raises(ValueError, match="nested too deeply"):
        encode([[deep]])
