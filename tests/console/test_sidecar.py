"""`ledger run`, `ledger proxy` and `ledger rules`: what the options become. The sidecar has tests of its own."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from ledger_console import sidecar
from ledger_proxy.settings import Settings
from tests.console.conftest import Ledger

RULES = """\
version: 1
rules:
  - name: orders
    match: {method: POST, url: "https://hooks.example.com/orders/**"}
"""


class Started:
    """What the sidecar would have been started with."""

    settings: Settings
    command: Sequence[str]
    enclosed: bool

    def run_command(self, settings: Settings, command: Sequence[str], enclosed: bool) -> int:
        self.settings, self.command, self.enclosed = settings, command, enclosed
        return 42

    def serve(self, settings: Settings, ready: Callable[[Any], None], log: str | None = None) -> int:
        self.settings, self.log = settings, log
        ready(SimpleNamespace(host="127.0.0.1", port=43121, admin=settings.admin))
        return 0


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Started:
    """Stands in for the sidecar's entry points only: everything before them is real."""
    one, running, serving = Started(), ModuleType("ledger_proxy.running"), ModuleType("ledger_proxy.serving")
    running.__dict__["run_command"], serving.__dict__["serve"] = one.run_command, one.serve
    monkeypatch.setitem(sys.modules, running.__name__, running)
    monkeypatch.setitem(sys.modules, serving.__name__, serving)
    return one


def test_the_command_is_passed_on_untouched_and_its_code_back(ledger: Ledger, started: Started) -> None:
    for words in (["--", "python", "agent.py"], ["python", "agent.py"]):
        assert ledger("run", *words, "--rules", "x", "--help", "--", "-n").code == 42
        assert list(started.command) == ["python", "agent.py", "--rules", "x", "--help", "--", "-n"]


def test_a_command_is_enclosed_only_where_it_is_asked_for(ledger: Ledger, started: Started) -> None:
    for options, enclosed in (([], False), (["--transparent"], True)):
        ledger("run", *options, "--", "true")
        assert started.enclosed is enclosed


def test_defaults(ledger: Ledger, started: Started) -> None:
    ledger("run", "true")
    s = started.settings
    assert (s.db, s.workflow, s.caller, s.observe, s.key, s.ca_dir) == ("ledger.db", "default", None, False, None, None)
    assert s.rules.intercepts("api.stripe.com", 443)


def test_options(ledger: Ledger, started: Started, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").touch()
    (tmp_path / "r.yaml").write_text(RULES)
    ledger(
        "run", "--rules", "r.yaml", "--db", "x/y.db", "--workflow", "order-42", "--caller", "A", "--observe",
        "--resolve", "api.stripe.com:443:127.0.0.1:8443", "--resolve", "b.test:443:[::1]:9", "--upstream-ca", "ca.pem",
        "--", "true",
    )  # fmt: skip
    s = started.settings
    assert (s.db, s.workflow, s.caller, s.observe, s.upstream_ca) == ("x/y.db", "order-42", "A", True, Path("ca.pem"))
    assert s.resolve == {("api.stripe.com", 443): ("127.0.0.1", 8443), ("b.test", 443): ("::1", 9)}
    assert s.rules.hosts() == {"hooks.example.com"}


def test_the_environment(ledger: Ledger, started: Started, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "r.yaml").write_text(RULES)
    monkeypatch.setenv("LEDGER_RULES", "r.yaml")
    monkeypatch.setenv("LEDGER_DB", "env.db")
    monkeypatch.setenv("LEDGER_WORKFLOW", "env-wf")
    monkeypatch.setenv("LEDGER_KEY", "schlüssel")
    ledger("run", "true")
    s = started.settings
    assert (s.db, s.workflow, s.key) == ("env.db", "env-wf", "schlüssel".encode())
    assert s.rules.hosts() == {"hooks.example.com"}
    ledger("run", "--workflow", "mine", "--db", "mine.db", "true")
    assert (started.settings.db, started.settings.workflow) == ("mine.db", "mine")


def test_rules_beside_the_agent_are_found(ledger: Ledger, started: Started, tmp_path: Path) -> None:
    (tmp_path / "ledger.yaml").write_text(RULES)
    ledger("run", "true")
    assert started.settings.rules.hosts() == {"hooks.example.com"}


def test_proxy_says_where_it_listens(ledger: Ledger, started: Started, tmp_path: Path) -> None:
    said = ledger("proxy", "--listen", "[::1]:0", "--ca-dir", tmp_path / "ca", "--drain", "3")
    assert said == (0, "listening on 127.0.0.1:43121\n", "")
    s = started.settings
    assert (s.listen, s.ca_dir, s.drain) == (("::1", 0), tmp_path / "ca", 3.0)


def test_proxy_keeps_its_ca_where_the_platform_keeps_data(
    ledger: Ledger, started: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    ledger("proxy")
    assert started.settings.listen == ("127.0.0.1", 8080)
    if sys.platform == "linux":
        assert started.settings.ca_dir == Path("/data/ledger/ca")


@pytest.mark.parametrize(
    ("said", "size"), [(None, 8 << 20), ("0", 0), ("1500", 1500), ("512KiB", 512 << 10), ("256 mib", 256 << 20)]
)
@pytest.mark.parametrize("command", ["run", "proxy"])
def test_how_much_of_an_answer_is_kept_can_be_said(
    ledger: Ledger, started: Started, command: str, said: str | None, size: int
) -> None:
    ledger(command, *(["--max-stored", said] if said else []), *(["true"] if command == "run" else []))
    assert started.settings.max_stored == size


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["run"], "needs a command"),
        (["run", "--"], "needs a command"),
        (["run", "--rules", "no.yaml", "true"], "no.yaml: no such rules file"),
        (["run", "--resolve", "nonsense", "true"], "HOST:PORT:ADDR:PORT"),
        (["run", "--upstream-ca", "no.pem", "true"], "no.pem"),
        (["run", "--db", "redis://h", "true"], "redis://"),
        (["run", "--frob", "true"], "--frob"),
        (["proxy", "--listen", "8080"], "HOST:PORT"),
        (["proxy", "--listen", "h:99999"], "HOST:PORT"),
        (["proxy", "--drain", "-1"], "--drain"),
        (["proxy", "--drain", "nan"], "--drain"),
        (["run", "--upstream-timeout", "nan", "true"], "--upstream-timeout"),
        (["run", "--max-stored", "8MB", "true"], "--max-stored '8MB' is no size that can be kept: write bytes, as in "),
        (["proxy", "--max-stored", "-1"], "--max-stored '-1'"),
        (["proxy", "--max-stored", "257MiB"], "256MiB at most"),
    ],
)
def test_what_cannot_start_is_one_line_and_exit_2(
    ledger: Ledger, started: Started, words: list[str], said: str
) -> None:
    answer = ledger(*words)
    assert (answer.code, answer.out, answer.err.count("\n")) == (2, "", 1)
    assert said in answer.err
    assert not hasattr(started, "settings")


@pytest.mark.parametrize("command", [["run", "true"], ["proxy"]])
def test_without_the_extra_it_says_what_to_install(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    monkeypatch.setitem(sys.modules, "mitmproxy", None)
    said = ledger(*command)
    line = f"ledger: ledger {command[0]} needs the proxy extra: pip install 'ledger-sidecar[proxy]'\n"
    assert said == (2, "", line)


def test_no_rules_file_is_needed_to_know_the_listen_default() -> None:
    assert sidecar.parse_listen(sidecar.LISTEN) == ("127.0.0.1", 8080)


def test_rules_check(ledger: Ledger, tmp_path: Path) -> None:
    (tmp_path / "ledger.yaml").write_text(RULES)
    packs = (
        "ledger.yaml lists no packs, and with a file the default ones do not apply by themselves: requests to Stripe, "
        "Slack and the like pass (`ledger rules packs` lists what `packs:` takes)\n"
    )
    assert ledger("rules", "check") == (0, "ledger.yaml: 1 rule for hooks.example.com; mode enforce\n", packs)


def test_rules_check_says_that_tools_alone_guard_no_request(ledger: Ledger, tmp_path: Path) -> None:
    (tmp_path / "ledger.yaml").write_text("tools: {send_sms: {max: 2}}\n")
    said = ledger("rules", "check")
    assert (said.code, said.out) == (
        0,
        "ledger.yaml: no rules and no packs, so no HTTP request is exactly-once; add packs: or rules: for that\n",
    )


def test_rules_check_names_file_line_and_column(ledger: Ledger, tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text(RULES.replace("match:", "macht:"))
    said = ledger("rules", "check", "--rules", "r.yaml")
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith("r.yaml:4:5: ")
    assert "match" in said.err


def test_rules_check_without_a_file_is_about_the_packs(ledger: Ledger) -> None:
    said = ledger("rules", "check")
    assert said.code == 0
    assert "api.stripe.com" in said.out


def test_rules_packs(ledger: Ledger) -> None:
    said = ledger("rules", "packs")
    rows = {line.split()[0]: line.split()[1:] for line in said.lines}
    assert rows["stripe"][0] == "yes"
    assert rows["webhooks"][0] == "no"
    assert rows["webhooks"][-1] == "yours"


def test_rules_packs_of_one_says_what_its_provider_honours(ledger: Ledger) -> None:
    said = ledger("rules", "packs", "gocardless")
    assert said.code == 0
    assert "409 idempotent_creation_conflict" in said.out
    assert "https://gocardless.com/blog/idempotency-keys/" in said.out
    assert "gocardless/create" in said.out
    unknown = ledger("rules", "packs", "gocarless")
    assert unknown.code == 2
    assert "no pack 'gocarless'; did you mean 'gocardless'? There are adyen," in unknown.err


def test_an_admin_server_is_told_of_beside_the_one_line(ledger: Ledger, started: Started) -> None:
    said = ledger("proxy", "--admin", "127.0.0.1:9090", "--log", "json")
    assert (said.out, said.err) == ("listening on 127.0.0.1:43121\n", "ledger: admin on 127.0.0.1:9090\n")
    assert (started.settings.admin, started.log) == (("127.0.0.1", 9090), "json")
    assert ledger("proxy", "--admin", "9090").err.startswith("ledger: --admin '9090' is not HOST:PORT")
