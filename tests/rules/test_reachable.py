"""A rule that can never be reached is a mistake, and is reported only where that is certain."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger_rules import RulesError, loads, pack_names
from ledger_rules.globs import TextGlob, segments_cover, segments_match
from ledger_rules.patterns import UrlPattern
from ledger_rules.shipped import needs_hosts
from ledger_rules.urls import readings

URL = "https://x.com/orders"


def loaded(*matches: str) -> list[str]:
    rules = "".join(f"  - {{name: rule-{n}, match: {match}}}\n" for n, match in enumerate(matches))
    return [rule.name for rule in loads(f"rules:\n{rules}").rules]


@pytest.mark.parametrize(
    "matches",
    [
        [f"{{url: '{URL}'}}", f"{{url: '{URL}'}}"],
        [f"{{url: '{URL}/**'}}", f"{{url: '{URL}/*/items'}}"],
        [f"{{url: '{URL}/**'}}", f"{{url: '{URL}'}}"],
        ["{url: 'https://*.com/**'}", f"{{url: '{URL}', query: {{kind: a}}}}"],
        [f"{{url: '{URL}/*'}}", f"{{url: '{URL}/{{id}}', method: POST}}"],
        [f"{{url: '{URL}', query: {{kind: 'a*'}}}}", f"{{url: '{URL}', query: {{kind: ab, more: x}}}}"],
        [f"{{url: '{URL}', headers: {{X-Env: '*'}}}}", f"{{url: '{URL}', headers: {{x-env: live}}}}"],
        [f"{{url: '{URL}', body: $.a}}", f"{{url: '{URL}', body: [$.b, $.a]}}"],
        [f"{{url: '{URL}', graphql: {{field: 'pay*'}}}}", f"{{url: '{URL}', graphql: {{field: [payOut, payIn]}}}}"],
        [f"{{url: '{URL}', method: POST}}", f"{{url: '{URL}', method: PUT}}", f"{{url: '{URL}', method: [PUT, POST]}}"],
        [f"{{url: '{URL}/a'}}", f"{{url: '{URL}/b'}}", f"{{url: ['{URL}/b', '{URL}/a']}}"],
    ],
)
def test_what_earlier_rules_take_whole_is_never_reached(matches):
    last = len(matches) - 1
    with pytest.raises(RulesError, match=rf"^ledger\.yaml:{len(matches) + 1}:5: rule 'rule-{last}' is never reached: "):
        loaded(*matches)


@pytest.mark.parametrize(
    "matches",
    [
        [f"{{url: '{URL}/*'}}", f"{{url: '{URL}/**'}}"],
        [f"{{url: '{URL}/*/items'}}", f"{{url: '{URL}/**'}}"],
        [f"{{url: '{URL}', method: POST}}", f"{{url: '{URL}'}}"],
        [f"{{url: '{URL}', query: {{kind: a}}}}", f"{{url: '{URL}', query: {{kind: 'a*'}}}}"],
        [f"{{url: '{URL}', query: {{kind: a}}}}", f"{{url: '{URL}', query: {{sort: a}}}}"],
        [f"{{url: '{URL}', headers: {{X-Env: live}}}}", f"{{url: '{URL}'}}"],
        [f"{{url: '{URL}', body: $.a}}", f"{{url: '{URL}', body: $.b}}"],
        [f"{{url: '{URL}', graphql: {{}}}}", f"{{url: '{URL}'}}"],
        [f"{{url: '{URL}', graphql: {{}}}}", f"{{url: '{URL}', graphql: {{type: query}}}}"],
        [f"{{url: '{URL}', graphql: {{name: A}}}}", f"{{url: '{URL}', graphql: {{field: a}}}}"],
        [f"{{url: '{URL}/a'}}", f"{{url: ['{URL}/b', '{URL}/a']}}"],
        ["{url: 'https://x.com/**'}", "{url: 'https://x.com:444/a'}", "{url: 'http://x.com/a'}"],
        ["{url: 'https://a*.com/**'}", "{url: 'https://*b.com/**'}"],
    ],
)
def test_what_is_left_something_is_allowed(matches):
    assert len(loaded(*matches)) == len(matches)


def test_a_pack_behind_one_that_takes_its_host_is_never_reached():
    with pytest.raises(RulesError) as caught:
        loads("packs: [{webhooks: {hosts: [api.stripe.com]}}, stripe]")
    assert "ledger.yaml:1:48: 'stripe/create' is never reached: 'webhooks/send' matches all" in str(caught.value)


def test_no_pack_hides_a_part_of_itself_or_of_another():
    named = [name for name in pack_names() if not needs_hosts(name)]
    packs = {rule.name.partition("/")[0] for rule in loads(f"packs: [{', '.join(named)}]").rules}
    assert packs == set(named)


GLOBS = st.text("ab*", max_size=6)
SEGMENTS = st.lists(st.sampled_from(["a", "b", "a*", "*", "**"]), max_size=4)


@given(GLOBS, GLOBS, st.text("ab", max_size=8))
def test_what_a_glob_covers_it_matches(wide, narrow, text):
    wider, narrower = TextGlob.parse(wide), TextGlob.parse(narrow)
    if wider.covers(narrower) and narrower.matches(text):
        assert wider.matches(text)


@given(GLOBS, GLOBS)
def test_every_glob_covers_itself_and_a_star_covers_all(one, other):
    assert TextGlob.parse(one).covers(TextGlob.parse(one))
    assert TextGlob.parse("*").covers(TextGlob.parse(other))


@given(SEGMENTS, SEGMENTS, st.lists(st.sampled_from(["a", "b", "ab", "c"]), max_size=6))
def test_what_a_path_pattern_covers_it_matches(wide, narrow, path):
    wider, narrower = ([None if part == "**" else TextGlob.parse(part) for part in parts] for parts in (wide, narrow))
    if segments_cover(wider, narrower) and segments_match(narrower, path):
        assert segments_match(wider, path)


@given(SEGMENTS, SEGMENTS, st.lists(st.sampled_from(["a", "b", "%61", ".", "..", ""]), max_size=6))
def test_what_a_url_covers_it_matches_in_every_reading(wide, narrow, path):
    wider, narrower = (UrlPattern.parse("https://x.com/" + "/".join(parts)) for parts in (wide, narrow))
    found = readings("/" + "/".join(path))
    if wider.covers(narrower) and any(segments_match(narrower.path, reading) for reading in found):
        assert any(segments_match(wider.path, reading) for reading in found)
