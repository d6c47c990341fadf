"""Lists of destinations: what a file allows and denies."""

from __future__ import annotations

import pytest

from ledger_rules import loads

LISTS = loads("""
egress:
  allow: [api.example.com, "**.internal", "https://*.example.org:8443", 10.0.0.0/8, "http://[::1]:9000"]
  deny: [secret.internal, 10.6.6.6, 169.254.169.254]
""").egress


@pytest.mark.parametrize(
    ("scheme", "host", "port"),
    [
        ("https", "api.example.com", 443),
        ("http", "API.example.com.", 8080),
        ("https", "a.b.internal", 443),
        ("https", "eu.example.org", 8443),
        ("http", "10.1.2.3", 80),
        ("http", "::ffff:10.1.2.3", 80),
        ("http", "::1", 9000),
    ],
)
def test_what_is_listed_may_be_reached(scheme, host, port):
    assert LISTS.allows(scheme, host, port)


@pytest.mark.parametrize(
    ("scheme", "host", "port"),
    [
        ("https", "example.com", 443),
        ("https", "x.api.example.com", 443),
        ("https", "secret.internal", 443),
        ("http", "eu.example.org", 8443),
        ("https", "eu.example.org", 443),
        ("https", "a.eu.example.org", 8443),
        ("http", "10.6.6.6", 80),
        ("http", "::ffff:10.6.6.6", 80),
        ("http", "11.0.0.1", 80),
        ("http", "10.evil.com", 80),
        ("http", "::1", 9001),
    ],
)
def test_what_is_denied_or_not_listed_may_not(scheme, host, port):
    assert not LISTS.allows(scheme, host, port)


def test_a_deny_list_alone_denies_only_what_it_lists():
    lists = loads("egress: {deny: [169.254.0.0/16]}").egress
    assert lists.allows("https", "anywhere.example", 443)
    assert not lists.allows("http", "169.254.169.254", 80)


def test_an_empty_allow_list_allows_nothing():
    assert not loads("egress: {allow: []}").egress.allows("https", "example.com", 443)


@pytest.mark.parametrize(
    "text", ["", "a b", "http://", "x.com/path", "x.com:99999", "a**.com", "10.0.0.1/8", "x..com", "ftp://x.com"]
)
def test_what_is_no_destination_is_refused(text):
    with pytest.raises(ValueError, match="expected a host"):
        loads(f"egress: {{deny: ['{text}']}}")
