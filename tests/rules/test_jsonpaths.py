"""JSONPaths of a rule on documents of strangers: conditions about a whole document, and none that takes for ever."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger_rules.jsonpaths import Condition, Path, Unwalkable

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=12,
)
CONDITIONS = ["$.a", "$.a == 'x'", "$.a[0]", "$..b", "!$.a", "$.a && $.b != null", "@.a == $.a", "$.a == $.b", "$ == 1",
              "count($.*) > 1", "length($.a) == 1", "$.a[?@.b == 1]"]  # fmt: skip


@pytest.mark.parametrize(
    ("condition", "document", "holds"),
    [
        ("$.ok == false", {"ok": False}, True),
        ("$.ok == false", {"ok": True, "other": False}, False),
        ("$.ok == false", {}, False),
        ("$.ok != false", {}, True),
        ("$.errors", {"errors": []}, True),
        ("$.errors[0]", {"errors": []}, False),
        ("!$.errors", {}, True),
        ("@.ok == false", {"ok": False}, True),
        ("$[0].id == 7", [{"id": 7}, {"id": 8}], True),
        ("$[0].id == 8", [{"id": 7}, {"id": 8}], False),
        ("$.kind == 'a..b..c..d'", {"kind": "a..b..c..d"}, True),
        ("$ == 7", 7, True),
        ("$.a", "a text", False),
        ("$.a == ''", '{"a": ""}', False),
    ],
)
def test_a_condition_is_about_the_whole_document(condition, document, holds):
    assert Condition.parse(condition).holds(document) == holds


@pytest.mark.parametrize(
    "text",
    [
        *("$.a], $[?$.b", "$.a][?$.b", "$.a, 'b'", "", "$.a ==", "kind", "$..a[?@..b[?@..c]]"),
        *("search($.a, '(a+)+$')", "match ($.a, 'x')"),
    ],
)
def test_what_is_not_one_condition_is_refused(text):
    with pytest.raises(ValueError, match=r"JSONPath|one condition|regular expression|no more than 2"):
        Condition.parse(text)


def test_a_word_in_quotes_is_no_function():
    assert Condition.parse("$.a == 'search (x)'").holds({"a": "search (x)"})
    assert Path.parse("$['match(']").values({"match(": 1}) == [1]


@given(st.sampled_from(CONDITIONS), JSON)
def test_a_condition_says_yes_or_no_of_any_document(text, document):
    assert Condition.parse(text).holds(document) in (True, False)


@given(st.sampled_from(["$..a", "$..*", "$..*..b", "$.*", "$[*]", "$[-1]", "$..[?@.a]", "$..[?@..a == 1]"][:-1]), JSON)
def test_what_a_path_finds_stands_where_it_says(text, document):
    path = Path.parse(text)
    try:
        found = list(zip(path.locations(document), path.values(document), strict=True))
    except Unwalkable:
        return
    for location, value in found:
        here = document
        for part in location:
            here = here[part]
        assert here is value


def test_a_condition_costs_the_same_however_many_children_the_root_has():
    condition, wide = Condition.parse("$[0].ok == true"), [{"ok": False}] * 200_000
    before = time.process_time()
    assert not condition.holds(wide)
    assert time.process_time() - before < 0.5  # tried on each child, it would take seconds
