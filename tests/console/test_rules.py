"""`ledger rules`: what a person learns about a rules file before anything is sent."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.console.conftest import Ledger

RULES = """
packs: [stripe]
rules:
  - name: order
    match: {url: "https://x.com/orders/{id}", query: {kind: order}, body: "$.kind == 'pay'"}
    fingerprint: {body: {ignore: [$.at, $.nope]}, query: {ignore: [ts]}, headers: [X-Tenant]}
  - name: catch
    match: {url: "https://x.com/**"}
    idempotency_key: require
tests:
  - name: a retry at another time
    request: {url: "https://x.com/orders/1?kind=order", json: {kind: pay, id: 1, at: 5}}
    same: [{json: {at: 6}}, {json: {at: null}}, {query: {ts: 1}}, {headers: {User-Agent: x}}]
    different: [{json: {id: 2}}, {headers: {X-Tenant: b}}, {query: {shop: 2}}]
    rule: order
"""
ORDER = '{"kind": "pay", "at": 1, "price": 1.0, "who": "\u00e9"}'


@pytest.fixture(autouse=True)
def _file(tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(RULES)


class TestExplain:
    def test_a_request_that_is_meant(self, ledger: Ledger) -> None:
        said = ledger(
            *("rules", "explain", "rules.yaml", "--", "POST", "https://x.com/orders/7?ts=1&kind=order&token=secret"),
            *("-H", "Authorization: Bearer secret", "-H", "X-Trace: 1", "-d", ORDER),
        )
        assert said.code == 0
        assert "order (rules.yaml:4) means it" in said.out
        assert "URL https://x.com/orders/7?kind=order&token=***" in said.out
        for line in (
            "query parameter ts",
            "body: ignored $.at",
            "headers x-trace",
            "$.nope, to be ignored, finds nothing",
        ):
            assert line in said.out
        assert '{"kind":"pay","price":1.0,"who":"\\u00e9"}' in said.out
        assert "an unknown outcome is held for a person" in said.out
        assert "at most 1 effect in 24 h" in said.out
        assert "secret" not in said.out

    def test_why_the_others_were_passed_over(self, ledger: Ledger) -> None:
        said = ledger("rules", "explain", "rules.yaml", "--", "PUT", "https://x.com/orders/7", "-d", "{}")
        assert "order (rules.yaml:4) does not: the parameter kind is missing; $.kind == 'pay' does not hold" in said.out
        assert "refused: rule 'catch' requires the header Idempotency-Key" in said.out

    def test_a_request_that_no_rule_means(self, ledger: Ledger) -> None:
        other = ledger("rules", "explain", "rules.yaml", "--", "GET", "https://x.com/orders/7")
        assert "GET is not one of DELETE, PATCH, POST, PUT" in other.out
        assert "no rule means it: it passes through" in other.out
        assert "not looked into" in ledger("rules", "explain", "rules.yaml", "--", "POST", "https://y.com/").out

    def test_what_cannot_be_read_is_said(self, ledger: Ledger) -> None:
        url = "https://x.com/orders/7?kind=order"
        for body in ('{"kind": "pay"', '{"a": 1, "a": 2}', "[" * 10_000 + "]" * 10_000):
            said = ledger(
                *("rules", "explain", "rules.yaml", "--", "POST", url, "-d", body), *("-H", "Idempotency-Key: 1")
            )
            assert said.code == 0
            assert "compared byte by byte: " in said.out

    def test_a_pasted_curl_command(self, ledger: Ledger) -> None:
        pasted = (
            "curl 'https://api.stripe.com/v1/charges' \\\n  -u sk_test: --data-raw 'amount=1&currency=usd' --compressed"
        )
        whole = ledger("rules", "explain", "rules.yaml", "--", pasted)
        words = ["curl", "https://api.stripe.com/v1/charges", "-u", "sk_test:", "-d", "amount=1", "-d", "currency=usd"]
        assert ledger("rules", "explain", "rules.yaml", "--", *words).out == whole.out
        assert "stripe/create" in whole.out
        assert "account: the user in authorization" in whole.out

    def test_for_scripts(self, ledger: Ledger) -> None:
        url = "https://x.com/orders/7?kind=order"
        (said,) = ledger("rules", "explain", "--json", "rules.yaml", "--", "POST", url, "-d", ORDER).json
        assert (said["rule"], said["mode"], said["body"]["format"]) == ("order", "enforce", "json")
        assert said["tried"][0]["reasons"][0] == {"criterion": "method", "fits": True, "text": "POST is meant"}
        (again,) = ledger("rules", "explain", "rules.yaml", "--json", "--", "POST", url, "-d", ORDER + " ").json
        (other,) = ledger("rules", "explain", "rules.yaml", "--json", "--", "POST", url, "-d", '{"kind": "pay"}').json
        assert said["fingerprint"] == again["fingerprint"] != other["fingerprint"]

    def test_without_a_file_it_is_about_the_packs(self, ledger: Ledger) -> None:
        assert "stripe/create" in ledger("rules", "explain", "POST", "https://api.stripe.com/v1/charges").out

    @pytest.mark.parametrize(
        ("words", "line"),
        [
            ([], "explain needs a request"),
            (["POST"], "expected one URL, such as https://api.example.com/orders, found none"),
            (["curl", "-Q", "x", "https://x.com"], "'-Q' is not understood here"),
            (
                ["POST", "https://x.com", "https://y.com"],
                "orders, found https://x.com, https://y.com",
            ),
            (["POST", "https://x.com", "-H", "nope"], "expected a header as 'Name: value', found 'nope'"),
            (["POST", "https://x.com", "-d", "@missing.json"], "missing.json: No such file or directory"),
            (["POST", "https://x.com:99999/"], "expected a URL such as"),
            (["curl 'https://x.com"], "the command line cannot be read: no closing quotation"),
            (["curl https://x.com --data-raw $'a\\u0021'"], "$'...' is read by a shell only"),
        ],
    )
    def test_a_request_that_cannot_be_read_is_one_line(self, ledger: Ledger, words: list[str], line: str) -> None:
        said = ledger("rules", "explain", "rules.yaml", "--", *words)
        assert (said.code, said.out, said.err.count("\n")) == (2, "", 1)
        assert line in said.err


class TestTests:
    def test_every_line_is_said_with_its_place(self, ledger: Ledger) -> None:
        said = ledger("rules", "test", "rules.yaml")
        assert said.code == 0
        assert said.lines[0] == "ok      rules.yaml:15:11: a retry at another time: rule order"
        assert said.lines[-1] == "8 of 8 as the file says"

    def test_what_is_not_so_is_named_and_fails(self, ledger: Ledger, tmp_path: Path) -> None:
        (tmp_path / "rules.yaml").write_text(RULES.replace("same: [", "same: [{json: {id: 3}}, {method: GET}, "))
        said = ledger("rules", "test", "rules.yaml")
        assert said.code == 1
        assert (
            "FAILED  rules.yaml:13:12: a retry at another time: same: they are two operations: they differ in the body"
            in said.out
        )
        assert "FAILED  rules.yaml:13:29: a retry at another time: same: no rule means the changed request" in said.out
        assert said.lines[-1] == "8 of 10 as the file says"

    def test_for_scripts(self, ledger: Ledger) -> None:
        checks = ledger("rules", "test", "rules.yaml", "--json").json
        assert len(checks) == 8
        assert checks[0] == {"place": "rules.yaml:15:11", "test": "a retry at another time", "said": "rule order",
                             "passed": True, "why": ""}  # fmt: skip

    def test_a_file_without_tests_passes_nothing(self, ledger: Ledger, tmp_path: Path) -> None:
        (tmp_path / "rules.yaml").write_text("packs: [stripe]")
        assert (ledger("rules", "test", "rules.yaml").code, ledger("rules", "test").code) == (1, 2)


def test_a_file_that_is_nearly_called_so_is_not_passed_over(ledger: Ledger, tmp_path: Path) -> None:
    (tmp_path / "ledger.yml").write_text("packs: [stripe]")
    said = ledger("rules", "check")
    line = "ledger: ledger.yml is not read by itself; call it ledger.yaml, or give --rules ledger.yml\n"
    assert (said.code, said.err) == (2, line)
    assert ledger("rules", "check", "ledger.yml").code == 0
    (tmp_path / "ledger.yaml").write_text("packs: [stripe]")
    assert ledger("rules", "check").out.startswith("ledger.yaml: ")


def test_a_file_without_packs_is_told_that_none_applies(ledger: Ledger, tmp_path: Path) -> None:
    """Without a file Stripe is exactly-once; a file with a rule about something else must not end that unnoticed."""
    own = "rules: [{name: a, match: {url: 'https://x.com/a'}}]\n"
    (tmp_path / "own.yaml").write_text(own)
    said = ledger("rules", "check", "own.yaml")
    assert said.code == 0
    assert said.err.startswith("own.yaml lists no packs, and with a file the default ones do not apply")
    (tmp_path / "both.yaml").write_text(f"packs: [stripe]\n{own}")
    assert (ledger("rules", "check", "both.yaml").err, ledger("rules", "check").err) == ("", "")


def test_the_schema_is_printed(ledger: Ledger) -> None:
    said = ledger("rules", "schema")
    assert json.loads(said.out)["properties"]["rules"]["type"] == "array"


def test_check_takes_the_file_as_a_word(ledger: Ledger) -> None:
    assert ledger("rules", "check", "rules.yaml").out.startswith("rules.yaml: 4 rules for api.stripe.com, x.com; ")


def test_packs_say_what_they_do_about_an_unknown_outcome(ledger: Ledger) -> None:
    rows = {line.split()[0]: line.split()[3] for line in ledger("rules", "packs").lines}
    assert (rows["adyen"], rows["slack"]) == ("resend", "hold")
    said = {one["pack"]: one for one in ledger("rules", "packs", "--json").json}
    assert said["stripe"]["default"] is True
    assert said["stripe"]["retention"] == "at least 24 h"
    assert said["stripe"]["rules"][0]["on_unknown"] == "resend"
    assert [one["pack"] for one in ledger("rules", "packs", "slack", "--json").json] == ["slack"]
