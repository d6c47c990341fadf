"""The child's environment: through Ledger whatever the parent had set, and otherwise the parent's own."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest

from ledger_proxy.ca import CA
from ledger_proxy.child_env import BUNDLES, PROXIES, ProxyError, child_environment, upstream_proxy
from ledger_proxy.no_proxy import covers
from tests.clients import node

URL = "http://127.0.0.1:4040"
OURS = CA(Path("/ca"), Path("/ca/ca-cert.pem"), Path("/ca/bundle.pem"))
SHIMS = Path("/opt/ledger/shims")


def child(*ruled: str, **parent: str) -> dict[str, str]:
    return child_environment(parent, URL, OURS, SHIMS, ruled_hosts=ruled)


def test_the_parents_own_variables_stay() -> None:
    assert child(HOME="/home/me", STRIPE_API_KEY="sk")["HOME"] == "/home/me"


def test_the_parents_mapping_is_not_changed() -> None:
    parent = {"HTTPS_PROXY": "http://old"}
    child_environment(parent, URL, OURS, SHIMS)
    assert parent == {"HTTPS_PROXY": "http://old"}


class TestProxies:
    @pytest.mark.parametrize("name", PROXIES)
    def test_every_spelling_leads_to_ledger_and_stale_ones_are_overwritten(self, name: str) -> None:
        assert child()[name] == URL
        assert child(**{name: "http://corp:3128"})[name] == URL

    @pytest.mark.parametrize("name", ["grpc_proxy", "npm_config_https_proxy", "PIP_PROXY", "ALL_PROXY", "all_proxy"])
    def test_a_stronger_variable_leads_to_ledger_if_it_was_set(self, name: str) -> None:
        assert name not in child()
        assert child(**{name: "http://corp:3128"})[name] == URL

    def test_a_socks_proxy_stays_for_what_is_not_http(self) -> None:
        assert child(ALL_PROXY="socks5h://corp:1080")["ALL_PROXY"] == "socks5h://corp:1080"

    def test_node_is_told_to_look_at_them(self) -> None:
        assert child()["NODE_USE_ENV_PROXY"] == "1"


class TestDirect:
    """What NO_PROXY lets pass."""

    def test_both_spellings_agree(self) -> None:
        env = child("api.stripe.com", NO_PROXY="a.test", no_proxy="b.test")
        assert env["NO_PROXY"] == env["no_proxy"] == "a.test,b.test,localhost,127.0.0.1,::1"

    def test_loopback_goes_through_ledger_once_a_rule_names_it(self) -> None:
        assert child("127.0.0.1", NO_PROXY="localhost,127.0.0.1,corp.test")["NO_PROXY"] == "localhost,corp.test"
        assert child("*", NO_PROXY="localhost,corp.test")["NO_PROXY"] == ""

    @pytest.mark.parametrize(
        "entry",
        [
            "*",
            "api.stripe.com",
            "API.Stripe.Com",
            "api.stripe.com:443",
            "stripe.com",
            ".stripe.com",
            "*.stripe.com",
            "com",
        ],
    )
    def test_an_entry_never_lets_a_ruled_host_pass(self, entry: str) -> None:
        assert covers(entry, "api.stripe.com")
        assert child("api.stripe.com", NO_PROXY=f"corp.test, {entry}")["NO_PROXY"].startswith("corp.test,localhost")

    @pytest.mark.parametrize("entry", ["ripe.com", "stripe.com.evil.test", "files.stripe.com", "10.0.0.0/8", "::1"])
    def test_an_entry_for_other_hosts_stays(self, entry: str) -> None:
        assert not covers(entry, "api.stripe.com")

    @pytest.mark.parametrize(
        ("entry", "host", "covered"),
        [
            ("10.0.0.0/8", "10.1.2.3", True),
            ("10.0.0.0/8", "11.1.2.3", False),
            ("10.1.2.3:8080", "10.1.2.3", True),
            ("[::1]:8080", "::1", True),
            ("fd00::/8", "[fd00::7]", True),
            ("hooks.example.com", "*.example.com", True),
            ("example.com", "*.example.com", True),
            ("com", "*.example.com", True),
            ("example.org", "*.example.com", False),
            ("corp.test", "api.*", True),
            ("corp.test", "*", True),
        ],
    )
    def test_ranges_and_patterns(self, entry: str, host: str, covered: bool) -> None:
        assert covers(entry, host) is covered


class TestRoots:
    @pytest.mark.parametrize("name", BUNDLES)
    def test_variables_that_replace_name_the_bundle(self, name: str) -> None:
        assert child()[name] == "/ca/bundle.pem"
        assert child(**{name: "/gone/stale.pem"})[name] == "/ca/bundle.pem"

    def test_node_appends_so_it_gets_the_certificate_alone(self) -> None:
        assert child()["NODE_EXTRA_CA_CERTS"] == "/ca/ca-cert.pem"

    def test_or_with_what_it_was_told_to_append_before(self) -> None:
        assert child(NODE_EXTRA_CA_CERTS="/etc/corp.pem")["NODE_EXTRA_CA_CERTS"] == "/ca/node-extra.pem"

    def test_npm_is_left_alone_unless_it_had_a_file(self) -> None:
        assert "npm_config_cafile" not in child()
        assert child(npm_config_cafile="/etc/corp.pem")["npm_config_cafile"] == "/ca/bundle.pem"


class TestShims:
    @pytest.mark.parametrize(
        ("before", "after"),
        [
            (None, "/opt/ledger/shims"),
            ("", "/opt/ledger/shims"),
            ("/mine:/yours", "/opt/ledger/shims:/mine:/yours"),
            ("/mine:", "/opt/ledger/shims:/mine:"),
            ("/mine:/opt/ledger/shims", "/opt/ledger/shims:/mine"),
        ],
    )
    def test_python_finds_ours_first_and_the_users_after_it(self, before: str | None, after: str) -> None:
        assert (child() if before is None else child(PYTHONPATH=before))["PYTHONPATH"] == after

    def test_node_options_are_added_to_once(self) -> None:
        once = child(NODE_OPTIONS="--max-old-space-size=99")["NODE_OPTIONS"]
        assert once == "--max-old-space-size=99 --require=/opt/ledger/shims/node-preload.cjs"
        assert child(NODE_OPTIONS=once)["NODE_OPTIONS"] == once

    def test_node_reads_a_path_with_odd_characters(self, tmp_path: Path) -> None:
        folder = tmp_path / 'my "odd" \\ folder'
        folder.mkdir()
        (folder / "node-preload.cjs").write_text("console.log('loaded')")
        env = child_environment({}, URL, OURS, folder)
        done = subprocess.run(
            [node(), "-e", "0"], env={"NODE_OPTIONS": env["NODE_OPTIONS"]}, capture_output=True, text=True, check=False
        )
        assert (done.stdout, done.stderr) == ("loaded\n", "")


class TestUpstreamProxy:
    @pytest.mark.parametrize(
        ("parent", "found"),
        [
            ("", None),
            ("HTTPS_PROXY=http://corp:3128", "http://corp:3128"),
            ("https_proxy=http://a:1 HTTPS_PROXY=http://b:2", "http://a:1"),
            ("HTTPS_PROXY=corp:3128", "http://corp:3128"),
            ("HTTPS_PROXY=http://me:secret@corp:3128", "http://me:secret@corp:3128"),
            ("HTTPS_PROXY= ALL_PROXY=http://corp:3128", "http://corp:3128"),
            ("HTTPS_PROXY=http://corp:3128 ALL_PROXY=socks5://corp:1080", "http://corp:3128"),
            ("HTTPS_PROXY=http://corp:3128 NO_PROXY=*", None),
            ("HTTP_PROXY=http://corp:3128", None),
        ],
    )
    def test_is_where_the_parent_sent_https(self, parent: str, found: str | None) -> None:
        environ = dict(word.split("=", 1) for word in shlex.split(parent))
        assert upstream_proxy(environ) == found

    @pytest.mark.parametrize("name", ["HTTPS_PROXY", "ALL_PROXY"])
    def test_socks_is_refused_in_one_line_without_the_password(self, name: str) -> None:
        with pytest.raises(ProxyError, match=r"corp:1080.* can be chained to; set HTTPS_PROXY") as caught:
            upstream_proxy({name: "socks5://me:secret@corp:1080"})
        assert "secret" not in str(caught.value)
        assert "\n" not in str(caught.value)
