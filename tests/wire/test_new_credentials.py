"""The same request under another credential is another account's; that it may be a refreshed token is said, once."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from ledger_proxy import new_credentials
from ledger_proxy.new_credentials import NewCredentials
from ledger_rules import identify, loads
from ledger_rules.request import Request
from tests.upstream import Upstream
from tests.wire.sidecars import running

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


def test_it_is_printed_by_a_sidecar(tmp_path: Path, upstream: Upstream) -> None:
    with running(tmp_path / "s", upstream) as sidecar:
        for token in ("one-secret", "other-secret", "third-secret"):
            sidecar.post("/ok/charges", {"amount": 5}, Authorization=f"Bearer {token}")
        sidecar.process.terminate()
        said = sidecar.process.communicate(timeout=30)[1]
    assert said.count("came before under another credential") == 1
    assert "secret" not in said
    assert len(upstream.effects()) == 3
