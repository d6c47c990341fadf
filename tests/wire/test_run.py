"""`ledger run` around a child: its exit code, its signals, its environment, and what is said at the end."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.upstream import Upstream
from tests.wire.sidecars import RULES, command, ledger


def run(
    folder: Path, *words: str, env: dict[str, str] | None = None, options: tuple[str, ...] = ()
) -> subprocess.CompletedProcess[str]:
    return ledger("run", "--db", folder / "ledger.db", *options, "--", *words, env=env)


@pytest.mark.parametrize("code", [0, 3, 255])
def test_the_childs_exit_code_passes_through(tmp_path: Path, code: int) -> None:
    assert run(tmp_path, "sh", "-c", f"exit {code}").returncode == code


def test_a_child_ended_by_a_signal_is_128_and_the_signal(tmp_path: Path) -> None:
    assert run(tmp_path, "sh", "-c", "kill -TERM $$").returncode == 128 + signal.SIGTERM


def test_a_command_that_is_not_there_is_127(tmp_path: Path) -> None:
    ended = run(tmp_path, "no-such-command-here")
    assert ended.returncode == 127
    assert ended.stderr.strip() == "ledger run: no-such-command-here: command not found"


def test_a_command_in_quotes_and_a_script_without_its_interpreter_are_named(tmp_path: Path) -> None:
    ended = run(tmp_path, "python agent.py")
    told = "ledger run: python agent.py: command not found; leave the quotes out: ledger run -- python agent.py"
    assert (ended.returncode, ended.stderr.strip()) == (127, told)
    script = tmp_path / "agent.py"
    script.touch()
    ended = run(tmp_path, str(script), "--fast")
    assert ended.stderr.strip().endswith(f"; did you mean: ledger run -- python {script} --fast")


def test_a_signal_reaches_the_child(tmp_path: Path) -> None:
    script = "trap 'echo got it; exit 7' TERM; echo ready; while :; do sleep 0.05; done"
    words = command("run", "--db", tmp_path / "ledger.db", "--", "sh", "-c", script)
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        child.send_signal(signal.SIGTERM)
        out, _ = child.communicate(timeout=20)
    assert out == "got it\n"
    assert child.returncode == 7


def test_a_command_may_open_as_many_files_as_without_ledger(tmp_path: Path) -> None:
    asked = command("run", "--db", tmp_path / "ledger.db", "--", "sh", "-c", "ulimit -Sn")
    limited = ["sh", "-c", 'ulimit -Sn 300; exec "$@"', "sh", *asked]
    ended = subprocess.run(limited, capture_output=True, text=True, timeout=60, check=True)
    assert ended.stdout == "300\n"


def test_a_run_that_no_request_came_through_says_so(tmp_path: Path) -> None:
    assert "no request came through" in run(tmp_path, "true").stderr


@pytest.mark.parametrize(
    ("url", "hosts"),
    [
        ("https://hooks.example.com/ok/charges", " (no rule names hooks.example.com)"),
        ("https://api.stripe.com/ok/elsewhere", ""),
    ],
    ids=["another-host", "another-path"],
)
def test_a_run_whose_rules_mean_nothing_of_it_says_so(tmp_path: Path, upstream: Upstream, url: str, hosts: str) -> None:
    """A rule with a slip in its host or path must not look like one that had nothing to do."""
    rules = tmp_path / "ledger.yaml"
    rules.write_text("rules: [{name: charge, match: {url: 'https://api.stripe.com/ok/charges'}}]")
    options = ["--rules", str(rules), "--upstream-ca", str(upstream.ca_file)]
    for host in ("hooks.example.com", "api.stripe.com"):
        options += ["--resolve", upstream.resolve(host)]
    script = (
        "import ssl, sys, urllib.request as u; context = ssl.create_default_context(cafile=sys.argv[2]); "
        "context.load_default_certs(); u.urlopen(u.Request(sys.argv[1], b'{}'), context=context)"
    )
    ended = run(tmp_path, sys.executable, "-c", script, url, str(upstream.ca_file), options=tuple(options))
    assert (ended.returncode, len(upstream.effects())) == (0, 1), ended.stderr
    assert ended.stderr.splitlines()[-1] == (
        f"ledger: what came through was no operation of any rule{hosts}; `ledger rules explain -- POST URL` says why"
    )
    observing = ("--observe-host", url.split("/")[2], *options)
    ended = run(tmp_path, sys.executable, "-c", script, url, str(upstream.ca_file), options=observing)
    assert "no operation of any rule" not in ended.stderr, ended.stderr


ASKS_BY_ADDRESS = """
import os, socket, ssl, sys, urllib.parse
proxy = urllib.parse.urlsplit(os.environ["HTTPS_PROXY"])
with socket.create_connection((proxy.hostname, proxy.port), 20) as raw:
    raw.sendall(b"CONNECT 192.0.2.7:443 HTTP/1.1\\r\\nHost: 192.0.2.7:443\\r\\n\\r\\n")
    assert b" 200 " in raw.recv(4096)
    trusted = ssl.create_default_context(cafile=sys.argv[1])
    with trusted.wrap_socket(raw, server_hostname="hooks.example.com") as tunnel:
        tunnel.sendall(b"POST /ok/x HTTP/1.1\\r\\nHost: hooks.example.com\\r\\nContent-Length: 0\\r\\n\\r\\n")
        assert b" 200 " in tunnel.recv(4096)
"""


def test_a_host_without_a_rule_is_told_by_the_name_that_was_said_inside(tmp_path: Path, upstream: Upstream) -> None:
    rules = tmp_path / "ledger.yaml"
    rules.write_text("rules: [{name: charge, match: {url: 'https://api.stripe.com/ok/charges'}}]")
    options = ("--rules", str(rules), "--resolve", upstream.resolve("hooks.example.com"))
    ended = run(tmp_path, sys.executable, "-c", ASKS_BY_ADDRESS, str(upstream.ca_file), options=options)
    assert (ended.returncode, len(upstream.effects())) == (0, 1), ended.stderr
    assert "(no rule names hooks.example.com)" in ended.stderr.splitlines()[-1]


def test_an_unknown_is_named_with_the_command_that_settles_it(tmp_path: Path, upstream: Upstream) -> None:
    rules = tmp_path / "ledger.yaml"
    rules.write_text(RULES)
    options = ("--rules", str(rules), "--resolve", upstream.resolve("api.stripe.com"))
    options += ("--upstream-ca", str(upstream.ca_file))
    url = "https://api.stripe.com/lose-response/1/charges"
    if shutil.which("curl") is None:
        pytest.skip("curl is missing; install curl")
    ended = run(tmp_path, "curl", "-sS", "--max-time", "20", "-d", "{}", url, options=options)
    (line,) = [line for line in ended.stderr.splitlines() if "resolve" in line]
    typed = line[line.index("ledger resolve") :]
    shell = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    settled = subprocess.run(["sh", "-c", typed], env=shell, capture_output=True, text=True, timeout=60, check=False)
    assert "# or --not-done" in typed
    assert (settled.returncode, settled.stderr) == (0, ""), typed


IMPATIENT = """
import sys, threading, urllib.error, urllib.request as u
def ask(seconds):
    u.urlopen(u.Request(sys.argv[1], b"{}"), timeout=seconds).read()
first = threading.Thread(target=ask, args=(60,))
first.start()
while first.is_alive():
    try: ask(0.5)
    except (TimeoutError, urllib.error.URLError): pass
"""


def test_duplicates_that_left_before_their_answer_count_as_prevented(tmp_path: Path, upstream: Upstream) -> None:
    rules = tmp_path / "ledger.yaml"
    rules.write_text(RULES)
    options = ("--rules", str(rules), "--resolve", upstream.resolve("api.stripe.com"))
    options += ("--upstream-ca", str(upstream.ca_file))
    ended = run(tmp_path, sys.executable, "-c", IMPATIENT, "https://api.stripe.com/slow/4000/charges", options=options)
    (record,) = map(json.loads, ledger("show", "--db", tmp_path / "ledger.db", "--json").stdout.splitlines())
    assert "caller left" in ledger("tail", "--no-follow", "--db", tmp_path / "ledger.db").stdout
    assert (record["runs"], len(upstream.effects())) == (1, 1)
    assert f"1 operation, 1 executed, {record['blocked']} duplicates prevented" in ended.stderr


def test_the_users_own_sitecustomize_still_runs(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import os\nif 'LEDGER_CA_BUNDLE' in os.environ: print('mine ran')")
    env = {"PYTHONPATH": str(tmp_path)}
    ended = run(tmp_path, sys.executable, "-c", "print('then the agent')", env=env)
    assert ended.stdout == "mine ran\nthen the agent\n"


def test_a_node_that_ignores_proxy_variables_is_named(tmp_path: Path) -> None:
    node = shutil.which("node")
    if node is None or _version(node) >= (22, 21):
        pytest.skip("no Node older than 22.21 is installed")
    ended = run(tmp_path, "node", "-e", "0")
    assert "ignores proxy variables" in ended.stderr


def test_state_of_a_run_leaves_nothing_behind_but_the_ledger(tmp_path: Path) -> None:
    scratch = tmp_path / "tmp"
    scratch.mkdir()
    run(tmp_path, "true", env={"TMPDIR": str(scratch)})
    assert os.listdir(scratch) == []
    assert oct((tmp_path / "ledger.db").stat().st_mode & 0o777) == "0o600"


def test_tail_sees_an_event_soon_after_its_commit(tmp_path: Path, upstream: Upstream) -> None:
    rules = tmp_path / "ledger.yaml"
    rules.write_text(RULES)
    run(tmp_path, "true")
    words = command("tail", "--db", tmp_path / "ledger.db", "--json")
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as follower:
        time.sleep(0.5)
        options = ("--rules", str(rules), "--resolve", upstream.resolve("api.stripe.com"))
        options += ("--upstream-ca", str(upstream.ca_file))
        script = "import urllib.request as u; u.urlopen(u.Request('https://api.stripe.com/ok/charges', b'{}'))"
        run(tmp_path, sys.executable, "-c", script, options=options)
        assert follower.stdout is not None
        assert '"claimed"' in follower.stdout.readline()
        assert '"succeeded"' in follower.stdout.readline()
        follower.send_signal(signal.SIGINT)
        assert follower.wait(10) == 0


def _version(node: str) -> tuple[int, ...]:
    said = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout
    return tuple(int(part) for part in said.strip().lstrip("v").split("."))
