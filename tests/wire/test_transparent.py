"""Agents that know of no proxy, on a host of their own: their gateway redirects them into a transparent sidecar."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.wire.bad_certificates import open_club
from tests.wire.namespaces import CLUB, OTHER, RULED, Network, network, redirect, redirect_own, transparent
from tests.wire.sidecars import Sidecar, command

TIMED_OUT = 28
"""What curl ends with."""
HELD = 1
"""Of the five requests, those that are not sent again: a plain one to a ruled host, whose first is unknown."""
PYTHON = """
import sys, urllib.request
for _ in range(2):
    asked = urllib.request.Request(sys.argv[1], b'{"amount": 5}', {"Content-Type": "application/json"})
    with urllib.request.urlopen(asked, timeout=20) as answer:
        print(answer.headers["Ledger-Outcome"])
"""


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    with network(tmp_path_factory.mktemp("net")) as made:
        yield made


@pytest.fixture(scope="module")
def sidecar(net: Network, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    with transparent(net, tmp_path_factory.mktemp("sidecar")) as made:
        redirect(net, made.port)
        yield made


@pytest.mark.parametrize("family", ["-4", "-6"])
def test_a_charge_made_twice_is_one_effect(net: Network, sidecar: Sidecar, family: str) -> None:
    path = f"/ok/{family[1]}/charges"
    words = [family, "-d", "amount=7", f"https://api.stripe.com{path}"]
    assert [net.curl(sidecar.ca / "bundle.pem", *words) for _ in range(2)] == ["200 executed", "200 replayed"]
    assert net.effects(path) == 1
    assert net.ruled.effects(path=path)


def test_python_without_a_proxy_too(net: Network, sidecar: Sidecar) -> None:
    url = "https://api.stripe.com/ok/python/charges"
    env = {"SSL_CERT_FILE": str(sidecar.ca / "bundle.pem")}
    ended = net.agent.run(sys.executable, "-c", PYTHON, url, env=env)
    assert ended.stdout.split() == ["executed", "replayed"], ended.stderr
    assert net.effects("/ok/python/charges") == 1


@pytest.mark.parametrize("family", ["-4", "-6"])
def test_plain_http_goes_by_its_host(net: Network, sidecar: Sidecar, family: str) -> None:
    path = f"/ok/plain{family}"
    words = [family, "-d", "x=1", f"http://hooks.example.com{path}"]
    assert [net.curl(sidecar.ca / "bundle.pem", *words) for _ in range(2)] == ["200 executed", "200 replayed"]
    assert net.curl(sidecar.ca / "bundle.pem", family, "-d", "x=1", f"http://other.example{path}") == "200"
    assert net.effects(path) == 2


@pytest.mark.parametrize("family", ["-4", "-6"])
def test_what_no_rule_names_shows_its_own_certificate(net: Network, sidecar: Sidecar, family: str) -> None:
    """Only the origin's own CA is trusted here, and Ledger's is not."""
    assert net.other.ca_file is not None
    path = f"/ok/other{family}/charges"
    words = [family, "-d", "amount=7", f"https://other.example{path}"]
    assert [net.curl(net.other.ca_file, *words) for _ in range(2)] == ["200", "200"]
    assert net.effects(path) == 2


@pytest.mark.parametrize("address", OTHER)
def test_a_ruled_name_goes_to_its_own_address_wherever_the_client_aimed(
    net: Network, sidecar: Sidecar, address: str
) -> None:
    path = f"/ok/aimed-{len(address)}/charges"
    aimed = f"[{address}]" if ":" in address else address
    words = ["--resolve", f"api.stripe.com:443:{aimed}", "-d", "amount=7", f"https://api.stripe.com{path}"]
    assert [net.curl(sidecar.ca / "bundle.pem", *words) for _ in range(2)] == ["200 executed", "200 replayed"]
    plain = ["--resolve", f"hooks.example.com:80:{aimed}", "-d", "x=1", f"http://hooks.example.com{path}"]
    assert net.curl(sidecar.ca / "bundle.pem", *plain) == "200 executed"
    assert net.other.effects(path=path) == []
    assert net.effects(path) == 2


@pytest.mark.parametrize("address", RULED)
def test_a_client_that_says_no_name_to_a_ruled_hosts_address_is_refused(
    net: Network, sidecar: Sidecar, address: str
) -> None:
    aimed = f"[{address}]" if ":" in address else address
    path = f"/ok/nameless-{len(address)}/charges"
    for url in (f"https://{aimed}{path}", f"http://{aimed}{path}"):
        assert net.curl(sidecar.ca / "bundle.pem", "-k", "-d", "amount=7", url).split()[0] in ("error", "502")
    # Neither does one whose TLS names nothing, whatever it says inside.
    words = ["-k", "-d", "amount=7", "-H", "Host: api.stripe.com", f"https://{aimed}{path}"]
    assert net.curl(sidecar.ca / "bundle.pem", *words).startswith("error")
    assert net.effects(path) == 0
    # An address that is no ruled host's needs no name.
    elsewhere = f"[{OTHER[1]}]" if ":" in address else OTHER[0]
    assert net.curl(sidecar.ca / "bundle.pem", "-k", "-d", "amount=7", f"https://{elsewhere}{path}") == "200"
    assert net.effects(path) == 1


def test_a_host_header_that_lies_is_refused(net: Network, sidecar: Sidecar) -> None:
    words = ["-d", "amount=7", "-H", "Host: other.example", "https://api.stripe.com/ok/lie/charges"]
    assert net.curl(sidecar.ca / "bundle.pem", *words) == "400 refused"
    assert net.effects("/ok/lie/charges") == 0


def test_nobody_is_served_who_was_not_redirected(net: Network, sidecar: Sidecar) -> None:
    """Not as a proxy, and not as an origin: it is listening on every address."""
    url = f"http://10.77.1.1:{sidecar.port}"
    ca = sidecar.ca / "bundle.pem"
    assert net.curl(ca, url).split()[0] in ("error", "508")
    asked = ["--proxy", url, "--noproxy", "", "-d", "amount=7", "https://api.stripe.com/ok/direct/charges"]
    assert net.curl(ca, *asked).startswith("error")
    assert net.effects("/ok/direct/charges") == 0


def test_when_it_is_killed_nothing_passes(net: Network, tmp_path: Path) -> None:
    with transparent(net, tmp_path / "s") as sidecar:
        redirect(net, sidecar.port)
        words = ["-d", "amount=7", "https://api.stripe.com/ok/killed/charges"]
        assert net.curl(sidecar.ca / "bundle.pem", *words) == "200 executed"
        sidecar.kill()
        assert net.curl(sidecar.ca / "bundle.pem", *words) == "error 7"
        assert net.curl(sidecar.ca / "bundle.pem", "-k", "https://other.example/ok/x") == "error 7"
    assert net.effects("/ok/killed/charges") == 1


@pytest.mark.parametrize("workers", [1, 3])
def test_a_redirect_that_catches_the_sidecar_itself_is_refused_at_the_first_turn(
    net: Network, tmp_path: Path, workers: int
) -> None:
    """An agent on the same host, and a rule that forgot to exempt the sidecar, whichever worker gets the connection."""
    with transparent(net, tmp_path / "s", "--workers", workers, listen="127.0.0.1:0") as sidecar:
        redirect_own(net, sidecar.port, exempt=None)
        # The last is a port that no rule names, where nothing is waited for.
        urls = ["https://other.example/ok/x", "https://api.stripe.com/ok/x/charges", "http://other.example/"]
        for url in [*urls, "http://hooks.example.com/ok/x", "http://other.example:8443/ok/x"] * workers:
            ended = net.gateway.run(
                "curl", "-sSk", "-m", "20", "-d", "x=1", "-o", "/dev/null", "-w", "%{http_code}", url
            )
            assert ended.returncode or ended.stdout.startswith(("409", "5")), (url, ended)
            assert ended.returncode != TIMED_OUT, url
        assert net.effects("/ok/x") == net.effects("/ok/x/charges") == 0
        sidecar.process.terminate()
        said = sidecar.process.communicate(timeout=30)[1].splitlines()
        loops = [line for line in said if "the redirect catches the sidecar's own connections" in line]
        assert len(loops) == 5 * workers - HELD * (workers - 1), said


def test_with_the_sidecars_user_exempted_an_agent_of_another_user_works(net: Network, tmp_path: Path) -> None:
    with transparent(net, tmp_path / "s", "--workers", 2, listen="127.0.0.1:0") as sidecar:
        redirect_own(net, sidecar.port, exempt="0")
        for family in ("-4", "-6"):
            path = f"/ok/same{family}/charges"
            words = ["setpriv", "--reuid=65534", "--clear-groups", "curl", "-sSk", family, "-d", "amount=7", "-m", "20"]
            words += ["-o", "/dev/null", "-w", "%header{ledger-outcome}", f"https://api.stripe.com{path}"]
            assert [net.gateway.run(*words).stdout for _ in range(2)] == ["executed", "replayed"]
            assert net.effects(path) == 1


def test_an_agent_of_the_sidecars_own_user_is_no_loop(net: Network, tmp_path: Path) -> None:
    """Where a redirect tells them apart by something else: here, by the ports that the agent goes out from."""
    with transparent(net, tmp_path / "s", "--workers", 2, listen="127.0.0.1:0") as sidecar:
        redirect_own(net, sidecar.port, exempt=None, only="tcp sport 20000-20100")
        words = ["curl", "-sSk", "-4", "--local-port", "20000-20100", "-d", "amount=7", "-m", "20", "-o", "/dev/null"]
        words += ["-w", "%header{ledger-outcome}", "https://api.stripe.com/ok/own/charges"]
        assert [net.gateway.run(*words).stdout for _ in range(2)] == ["executed", "replayed"]
        assert net.effects("/ok/own/charges") == 1


def test_lists_of_names_hold_for_addresses(net: Network, tmp_path: Path) -> None:
    rules = tmp_path / "ledger.yaml"
    rules.write_text(net.rules.read_text() + "\negress: {allow: [api.stripe.com, hooks.example.com]}\n")
    with transparent(net, tmp_path / "s", "--rules", rules) as sidecar:
        redirect(net, sidecar.port)
        ca = sidecar.ca / "bundle.pem"
        assert net.curl(ca, "-d", "a=1", "https://api.stripe.com/ok/listed/charges") == "200 executed"
        assert net.curl(ca, "-k", "https://other.example/ok/listed").startswith("error")
        assert net.curl(ca, "http://other.example/ok/listed") == "403 refused"
        # An address is in no list of names, and a name that is leads to its own address.
        assert net.curl(ca, "-k", f"https://{OTHER[0]}/ok/listed").startswith("error")


def test_a_secret_that_nobody_could_show_is_refused_at_the_start(net: Network, tmp_path: Path) -> None:
    words = ["--ca-dir", tmp_path / "ca", *net.options(tmp_path), "--auth", "correct-horse-9"]
    asked = command("proxy", "--mode", "transparent", *words)
    ended = net.gateway.run(*asked)
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1].startswith("ledger: clients of a transparent sidecar cannot show a secret")


def test_only_a_host_that_is_named_goes_unverified(net: Network, tmp_path: Path) -> None:
    """The sidecar trusts the CA of api.stripe.com alone: other.example shows one of a CA that nobody knows."""
    rules = tmp_path / "ledger.yaml"
    rules.write_text(
        f'{net.rules.read_text()}  - {{name: other, match: {{url: "https://other.example/**/charges"}}}}\n'
    )
    for options, wanted in (([], "502 failed"), (["--insecure-host", "other.example"], "200 executed")):
        with transparent(net, tmp_path / "s", "--rules", rules, *options) as sidecar:
            redirect(net, sidecar.port)
            ca = sidecar.ca / "bundle.pem"
            for family in ("-4", "-6"):
                path = f"/ok/insecure{family}/charges"
                assert net.curl(ca, family, "-d", "amount=7", f"https://other.example{path}") == wanted
                assert net.effects(path) == (wanted == "200 executed")
            assert net.curl(ca, "-d", f"o={wanted}", "https://api.stripe.com/ok/verified/charges") == "200 executed"


def test_a_certificate_is_shown_to_the_host_it_is_for(net: Network, tmp_path: Path) -> None:
    rules, trusted = tmp_path / "ledger.yaml", tmp_path / "trusted.pem"
    rules.write_text('rules: [{name: club, match: {method: POST, url: "https://club.test/orders"}}]')
    with open_club(tmp_path / "club", net.world.listening(CLUB[0], 443)) as club:
        trusted.write_bytes(club.ca_file.read_bytes())
        more = ("--rules", rules, "--upstream-ca", trusted)
        shown = ("--client-cert", f"club.test={club.ca_file.with_name('whole.pem')}")
        with transparent(net, tmp_path / "s", *more, *shown) as sidecar:
            redirect(net, sidecar.port)
            words = [sidecar.ca / "bundle.pem", "-4", "-d", "n=1", "https://club.test/orders"]
            assert [net.curl(*words) for _ in range(2)] == ["200 executed", "200 replayed"]
        assert club.asked == {"club.test": 1}
        with transparent(net, tmp_path / "other", *more) as sidecar:
            redirect(net, sidecar.port)
            told = net.curl(sidecar.ca / "bundle.pem", "-4", "-d", "n=2", "https://club.test/orders")
            # In TLS 1.3 the refusal comes after the handshake: a request may be on its way by then.
            assert told.split()[1] in ("failed", "unknown")
        assert club.asked == {"club.test": 1}
