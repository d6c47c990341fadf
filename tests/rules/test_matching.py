"""Which requests a rule means: one request, and what changes when one thing about it changes."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger_rules import Request, RulesError, loads
from ledger_rules.globs import TextGlob, segments_match
from ledger_rules.matching import Sighting
from tests.rules.helpers import request, ruleset

BASE = ruleset(
    match="{method: [POST, PUT], url: 'https://hooks.example.com/orders/*/items/**', "
    "query: {kind: 'or*'}, headers: {X-Env: live}}"
)
TARGET = "/orders/42/items/7?kind=order"


def variant(**changes) -> Request:
    return request(**{"target": TARGET, "headers": {"x-env": "live"}} | changes)


def matched(**changes) -> bool:
    return BASE.match(variant(**changes)) is not None


def test_the_request_the_rule_is_about_matches():
    assert matched()


@pytest.mark.parametrize(
    "same",
    [
        {"method": "PUT"},
        {"method": "post"},
        {"host": "HOOKS.Example.com"},
        {"host": "hooks.example.com."},
        {"target": "/orders/43/items?kind=order"},
        {"target": "/orders/43/items/7/8/9?kind=order"},
        {"target": TARGET + "&more=1"},
        {"target": "/orders/42/items/7?kind=x&kind=order"},
        {"target": "/orders/42/items/7?k%69nd=%6frder"},
        {"headers": {"X-ENV": "live", "Host": "elsewhere.example.com"}},
        {"body": b"anything"},
    ],
)
def test_differences_that_do_not_matter(same):
    assert matched(**same)


@pytest.mark.parametrize(
    "other",
    [
        {"method": "GET"},
        {"method": "PATCH"},
        {"scheme": "http"},
        {"port": 8443},
        {"host": "example.com"},
        {"host": "a.hooks.example.com"},
        {"host": "elsewhere.example.com", "headers": {"x-env": "live", "Host": "hooks.example.com"}},
        {"target": "/orders/items/7?kind=order"},
        {"target": "/orders/4/2/items/7?kind=order"},
        {"target": "/Orders/42/items/7?kind=order"},
        {"target": "/orders/42/items/7"},
        {"target": "/orders/42/items/7?kind=refund"},
        {"headers": {}},
        {"headers": {"x-env": "test"}},
    ],
)
def test_differences_that_matter(other):
    assert not matched(**other)


SLIPS = [
    "/v1/charges",
    "/v1/charges/",
    "/v1//charges",
    "//v1/charges",
    "/v1/./charges",
    "/v1/x/../charges",
    "/v1/../v1/charges",
    "/v1/%2e%2e/v1/charges",
    "/v1/.%2E/v1/charges",
    "/../v1/charges",
    "/v1//../charges",
    "/x//../../v1/charges",
    "/v1%2Fcharges",
    "/v1\\charges",
    "/v1%5ccharges",
    "/%761/c%68arges",
    "/v1/charges?x=/../..",
    "/v1/charges#x",
    "https://api.stripe.com/v1/charges",
]


@pytest.mark.parametrize("target", SLIPS)
def test_no_spelling_of_a_ruled_endpoint_slips_past(target):
    rules = loads("rules: [{name: charge, match: {url: 'https://api.stripe.com/v1/charges'}}]")
    assert rules.match(request(host="api.stripe.com", target=target)) is not None


@pytest.mark.parametrize(
    "target", ["/v1/charges/1", "/v1", "/", "/v1/charges/../refunds", "/v1/charge", "/?/v1/charges"]
)
def test_a_pattern_means_no_more_than_it_says(target):
    rules = loads("rules: [{name: charge, match: {url: 'https://api.stripe.com/v1/charges'}}]")
    assert rules.match(request(host="api.stripe.com", target=target)) is None


def test_an_escaped_star_in_a_pattern_is_a_character():
    rules = loads("rules: [{name: a, match: {url: 'https://x.com/a%2Ab'}}]")
    assert rules.match(request(host="x.com", target="/a*b"))
    assert not rules.match(request(host="x.com", target="/aXb"))


def test_without_methods_a_rule_means_those_that_change_something():
    rules = ruleset()
    found = {m for m in ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE") if rules.match(request(method=m))}
    assert found == {"POST", "PUT", "PATCH", "DELETE"}


class TestHosts:
    RULES = loads("""
rules:
  - {name: plain, match: {url: "http://localhost:8080/**"}}
  - {name: tenant, match: {url: "https://*.example.com/orders"}}
  - {name: special, match: {url: "https://eu.example.com/**"}}
  - {name: partial, match: {url: "https://api-*.example.org/**"}}
  - {name: six, match: {url: "http://[::1]:9000/**"}}
  - {name: umlaut, match: {url: "https://müller.example/**"}}
""")

    @pytest.mark.parametrize(
        ("host", "port"),
        [
            ("localhost", 8080),
            ("any.example.com", 443),
            ("EU.example.com.", 443),
            ("api-2.example.org", 443),
            ("::1", 9000),
            ("xn--mller-kva.example", 443),
        ],
    )
    def test_hosts_that_a_rule_names_are_intercepted(self, host, port):
        assert self.RULES.intercepts(host, port)

    @pytest.mark.parametrize(
        ("host", "port"),
        [
            ("localhost", 80),
            ("localhost", 443),
            ("example.com", 443),
            ("a.b.example.com", 443),
            ("any.example.com", 8443),
            ("api.example.org", 443),
            ("example.net", 443),
            ("", 443),
        ],
    )
    def test_all_others_are_not_touched(self, host, port):
        assert not self.RULES.intercepts(host, port)

    def test_the_first_rule_wins_also_across_literal_hosts_and_wildcards(self):
        names = [self.RULES.match(request(host="eu.example.com", target=t)) for t in ("/orders", "/x")]
        assert [rule and rule.name for rule in names] == ["tenant", "special"]

    def test_the_hosts_are_listed_for_whoever_needs_to_be_trusted_for_them(self):
        assert self.RULES.hosts() == {
            *("localhost", "*.example.com", "eu.example.com", "api-*.example.org", "::1", "xn--mller-kva.example"),
        }


def test_the_url_of_a_request_names_where_its_bytes_go():
    assert request(target="/a?b").url == "https://hooks.example.com/a?b"
    assert request(scheme="http", port=8080, host="::1", target="/").url == "http://[::1]:8080/"


def test_header_names_are_case_insensitive_and_values_joined():
    both = Request("GET", "https", "x", 443, "/", (("A", "1"), ("b", "2"), ("a", "3")), b"")
    assert (both.header("a"), both.header("B"), both.header("c")) == ("1, 3", "2", None)


class TestNames:
    RULES = loads("rules: [{name: a, match: {url: 'https://x.com/{shop}/**/orders/{order}'}}]")

    def named(self, target: str, name: str) -> str | None:
        (rule,) = self.RULES.rules
        return rule.urls[0].named(Sighting(request(host="x.com", target=target)).place, name)

    def test_a_name_is_one_segment(self):
        assert self.named("/berlin/orders/7", "order") == "7"
        assert self.named("/berlin/a/b/orders/7?x", "shop") == "berlin"
        assert self.named("/b%C3%A9rlin//orders/7%2F8", "shop") == "bérlin"

    def test_without_a_fit_it_has_no_value(self):
        assert self.named("/berlin/7", "order") is None
        assert self.named("/berlin/orders/7", "other") is None


@given(st.text("ab", max_size=12), st.text("ab*", max_size=6))
def test_a_star_means_what_a_naive_matcher_says(text, pattern):
    def naive(pattern: str, text: str) -> bool:
        if not pattern:
            return not text
        if pattern[0] == "*":
            return any(naive(pattern[1:], text[n:]) for n in range(len(text) + 1))
        return bool(text) and text[0] == pattern[0] and naive(pattern[1:], text[1:])

    assert TextGlob.parse(pattern).matches(text) == naive(pattern, text)


@given(st.lists(st.sampled_from("ab"), max_size=8), st.lists(st.sampled_from(["a", "b", "*", "**"]), max_size=6))
def test_two_stars_mean_what_a_naive_matcher_says(path, pattern):
    def naive(pattern: list[str], path: list[str]) -> bool:
        if not pattern:
            return not path
        if pattern[0] == "**":
            return any(naive(pattern[1:], path[n:]) for n in range(len(path) + 1))
        return bool(path) and pattern[0] in ("*", path[0]) and naive(pattern[1:], path[1:])

    compiled = [None if part == "**" else TextGlob.parse(part) for part in pattern]
    assert segments_match(compiled, path) == naive(pattern, path)


HOSTS = st.sampled_from(["x.com", "a.x.com", "b.x.com", "*.x.com", "a*.x.com", "*.*.com"])
PATHS = st.lists(st.sampled_from(["a", "b", "a*", "*", "{id}", "**"]), max_size=3).map("/".join)
URLS = st.builds("https://{}/{}".format, HOSTS, PATHS.filter(lambda path: path.count("{id}") < 2))


@given(
    st.lists(st.tuples(URLS, st.sampled_from(["POST", "PUT"])), min_size=1, max_size=6, unique=True),
    st.sampled_from(["x.com", "a.x.com", "ab.x.com", "c.x.com", "x.y.com"]),
    st.lists(st.sampled_from(["a", "b", "ab", "c", "", "%61"]), max_size=4).map("/".join),
)
def test_the_index_finds_what_a_naive_look_at_every_rule_finds(wanted, host, path):
    lines = (f"  - {{name: r{n}, match: {{url: '{url}', method: {method}}}}}" for n, (url, method) in enumerate(wanted))
    try:
        rules = loads("rules:\n" + "\n".join(lines))
    except RulesError:  # one of them is never reached
        return
    sent = request(host=host, target=f"/{path}")
    seen = Sighting(sent)
    naive = (r for r in rules.rules if "POST" in r.methods and any(url.matches(seen.place) for url in r.urls))
    assert rules.match(sent) is next(naive, None)


def test_a_thousand_rules_are_told_apart_also_on_one_host():
    for pattern in ("https://h{}.example.com/x", "https://example.com/x{}", "https://example.com/*/x{}/**"):
        urls = [pattern.format(number) for number in range(1000)]
        rules = loads(
            "rules:\n" + "".join(f"  - {{name: r{n}, match: {{url: '{url}'}}}}\n" for n, url in enumerate(urls))
        )
        for number in (0, 500, 999):
            host, _, path = urls[number].removeprefix("https://").partition("/")
            found = rules.match(request(host=host, target=f"/{path.replace('*', 'any')}"))
            assert found is rules.rules[number]


def test_a_hostile_pattern_and_path_stay_cheap():
    rules = loads(f"rules: [{{name: a, match: {{url: 'https://x.com/{'**/a*a*a*a*b/' * 20}**/end'}}}}]")
    hostile = request(host="x.com", target="/" + "a" * 50 + "/a" * 2000)
    before = time.process_time()
    assert rules.match(hostile) is None
    assert time.process_time() - before < 5  # a backtracking matcher would need years
