"""The same request under another credential is another account's; that it may be a refreshed token is said, once."""

from __future__ import annotations

import base64
import json
import re
import sys
from pathlib import Path

import pytest

from ledger_proxy import new_credentials
from ledger_proxy.new_credentials import NewCredentials
from ledger_proxy.notices import MOST, Notices
from ledger_rules import identify, loads
from ledger_rules.request import Request
from tests.upstream import Upstream
from tests.wire.sidecars import RULES, ledger, running

RULE = "rules: [{{name: orders, match: {{url: 'https://api.example.com/**'}}{more}}}]"


class Heard:
    """What was said about requests, in order."""

    def __init__(self, more: str = "") -> None:
        self.rule = loads(RULE.format(more=more)).rules[0]
        self.said: list[str] = []
        self.noticer = NewCredentials(self.said.append)

    def sends(self, body: str = "5", **headers: str) -> None:
        told = tuple((name.replace("_", "-"), value) for name, value in headers.items())
        request = Request("POST", "https", "api.example.com", 443, "/orders", told, body.encode())
        self.noticer.arrived(self.rule, request, identify(self.rule, request, b"s" * 32))


def basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"Authorization": "Bearer one-secret"}, {"Authorization": "Bearer other-secret"}),
        ({"X_Shopify_Access_Token": "one-secret"}, {"X_Shopify_Access_Token": "other-secret"}),
        ({"Authorization": "Bearer one-secret", "Idempotency_Key": "order-7"},
         {"Authorization": "Bearer other-secret", "Idempotency_Key": "order-7"}),
    ],
)  # fmt: skip
def test_a_refreshed_token_is_said_once_with_the_line_to_add(one: dict[str, str], other: dict[str, str]) -> None:
    heard = Heard()
    for headers in (one, other, one, other):
        heard.sends(**headers)
    (said,) = heard.said
    assert "an equal POST to api.example.com came before under another credential" in said
    assert "add to rule 'orders': account: [" in said
    assert "secret" not in said


def test_one_credential_other_requests_and_known_users_are_nobodys_business() -> None:
    heard = Heard()
    for _ in range(3):
        heard.sends(Authorization="Bearer one")
    heard.sends("6", Authorization="Bearer other")
    heard.sends("7", Authorization=basic("ann:x"))
    heard.sends("7", Authorization=basic("bob:x"))
    assert heard.said == []


def test_what_the_rule_names_as_the_account_is_gone_by() -> None:
    heard = Heard(", account: [X-Tenant]")
    for token in ("one", "other"):
        heard.sends(Authorization=f"Bearer {token}", X_Tenant="acme")
    assert heard.said == []


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(new_credentials, "REQUESTS", 8)
    heard = Heard()
    for n in range(50):
        heard.sends(str(n), Authorization="Bearer one")
    assert len(heard.noticer._last) == 8


def test_a_sidecar_says_it_on_its_log_and_in_the_journal(tmp_path: Path, upstream: Upstream) -> None:
    with running(tmp_path / "s", upstream) as sidecar:
        for token in ("one-secret", "other-secret", "third-secret"):
            sidecar.post("/ok/charges", {"amount": 5}, Authorization=f"Bearer {token}")
        (warning,) = sidecar.events("warning")
        shown = ledger("show", warning["record"], "--db", sidecar.db).stdout
        sidecar.process.terminate()
        said = sidecar.process.communicate(timeout=30)[1]
    assert said.count("came before under another credential") == 1
    assert "came before under another credential" in warning["detail"]["remark"]
    assert re.search(r"A warning\b.*\n?.*came before under another credential", shown), shown
    assert "secret" not in said + shown
    assert len(upstream.effects()) == 3
    stats = json.loads(ledger("stats", "--db", sidecar.db, "--json").stdout)
    assert (stats["actions"], stats["attempts"], stats["executed"]) == (3, 3, 3)


def test_a_run_ends_with_it(tmp_path: Path, upstream: Upstream) -> None:
    (tmp_path / "ledger.yaml").write_text(RULES)
    send = """
import httpx
for token in ("one-secret", "other-secret"):
    httpx.post("https://api.stripe.com/ok/charges", json={}, headers={"Authorization": f"Bearer {token}"})
"""
    trust = ["--resolve", upstream.resolve("api.stripe.com"), "--upstream-ca", upstream.ca_file]
    where = ["--rules", tmp_path / "ledger.yaml", "--db", tmp_path / "ledger.db"]
    said = ledger("run", *where, *trust, "--", sys.executable, "-c", send).stderr
    (line,) = [line for line in said.splitlines() if line.startswith("ledger: warning, ")]
    record, _, text = line.removeprefix("ledger: warning, ").partition(": ")
    assert "came before under another credential" in text
    assert json.loads(ledger("show", record, "--db", tmp_path / "ledger.db", "--json").stdout)["attempts"] == 1


def test_who_has_not_heard_a_hundred_hears_no_more(caplog: pytest.LogCaptureFixture) -> None:
    rules = ", ".join(f"{{name: r{n}, match: {{url: 'https://api.example.com/{n}'}}}}" for n in range(MOST + 10))
    notices, said = Notices(b"s" * 32), []
    for n, rule in enumerate(loads(f"rules: [{rules}]").rules):
        for token in ("one", "other"):
            headers = (("Authorization", f"Bearer {token}"),)
            request = Request("POST", "https", "api.example.com", 443, f"/{n}", headers, b"5")
            said += notices.arrived(rule, request, identify(rule, request, b"s" * 32), 1_790_000_000.0)
    assert len(said) == len(caplog.records) == MOST
