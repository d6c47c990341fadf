"""The command of `ledger run` starts while the engine is still being loaded: what it sends meanwhile waits for it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.upstream import Upstream, start_upstream
from tests.wire.sidecars import command, ledger

RULES = 'version: 1\nrules: [{name: notes, match: {method: POST, url: "http://hooks.example.com/**"}}]\n'
# bash alone: it has said its piece within milliseconds, long before any engine is there.
POST = r"""
exec 3<>"/dev/tcp/127.0.0.1/${http_proxy##*:}"
printf 'POST http://hooks.example.com/ok/notes HTTP/1.1\r\nHost: hooks.example.com\r\nContent-Length: 2\r\n\r\n{}' >&3
"""

PATIENT = """
import dataclasses
from ledger_proxy import running

run = running.run_command
running.run_command = lambda settings, *rest: run(dataclasses.replace(settings, drain=600.0), *rest)
"""


@pytest.fixture
def plain(tmp_path: Path) -> Iterator[Upstream]:
    oracle = start_upstream(tmp_path / "oracle", tls=False)
    yield oracle
    oracle.stop()


@pytest.fixture
def options(tmp_path: Path, plain: Upstream) -> tuple[str, ...]:
    rules = tmp_path / "ledger.yaml"
    rules.write_text(RULES)
    resolve = plain.resolve("hooks.example.com", 80)
    return ("--rules", str(rules), "--db", str(tmp_path / "ledger.db"), "--resolve", resolve)


def test_what_is_sent_at_once_waits_for_the_engine(options: tuple[str, ...], plain: Upstream) -> None:
    ended = ledger("run", *options, "--", "bash", "-c", POST + "read -r first <&3; echo $first")
    assert ended.stdout.strip() == "HTTP/1.1 200 OK"
    assert len(plain.effects()) == 1
    assert "1 operation, 1 executed" in ended.stderr


def test_who_sends_at_once_and_leaves_is_not_forgotten(options: tuple[str, ...], plain: Upstream) -> None:
    """It was in the queue of the port when the command ended: the engine is started for it all the same."""
    ended = ledger("run", *options, "--", "bash", "-c", POST)
    assert "1 operation, 1 executed" in ended.stderr
    assert len(plain.effects()) == 1


def test_who_sends_later_and_leaves_is_not_forgotten(options: tuple[str, ...], plain: Upstream) -> None:
    """The engine is there by then, and its end begins while the claim is still being written."""
    ended = ledger("run", *options, "--", "bash", "-c", "sleep 4;" + POST)
    assert "1 operation, 1 executed" in ended.stderr
    assert len(plain.effects()) == 1


def test_a_signal_after_the_command_waits_for_what_is_being_sent(options: tuple[str, ...], plain: Upstream) -> None:
    """Whoever ends us then would leave a claim without its outcome, and the key of a CA on the disk."""
    slow = POST.replace("/ok/notes", "/slow/2/notes")
    words = command("run", *options, "--", "bash", "-c", slow)
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        plain.wait_for(lambda oracle: oracle.effects(), timeout=30)
        child.send_signal(signal.SIGTERM)
        _, said = child.communicate(timeout=30)
    assert child.returncode == 0
    assert "1 operation, 1 executed" in said


def test_a_signal_that_the_command_lived_through_is_not_the_first(options: tuple[str, ...], plain: Upstream) -> None:
    """An agent's Ctrl-C that ends one turn of it, long ago, does not make haste of the end."""
    lives = 'trap lived=1 INT; echo ready; while [ -z "$lived" ]; do sleep 0.1; done;'
    words = command("run", *options, "--", "bash", "-c", lives + POST.replace("/ok/notes", "/slow/2/notes"))
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        child.send_signal(signal.SIGINT)
        plain.wait_for(lambda oracle: oracle.effects(), timeout=30)
        child.send_signal(signal.SIGTERM)
        _, said = child.communicate(timeout=30)
    assert child.returncode == 0
    assert "1 operation, 1 executed" in said


def test_a_second_one_ends_the_waiting(options: tuple[str, ...], plain: Upstream, tmp_path: Path) -> None:
    """What is still being sent then is an outcome that nobody knows, and is recorded as one."""
    (tmp_path / "sitecustomize.py").write_text(PATIENT)
    words = command("run", *options, "--", "bash", "-c", POST.replace("/ok/notes", "/hang/notes"))
    env = {**os.environ, "PYTHONPATH": str(tmp_path)}
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env) as child:
        plain.wait_for(lambda oracle: oracle.effects(), timeout=30)
        child.send_signal(signal.SIGTERM)
        with pytest.raises(subprocess.TimeoutExpired):
            child.communicate(timeout=2)
        child.send_signal(signal.SIGINT)
        _, said = child.communicate(timeout=30)
    assert child.returncode == 0
    assert "0 executed, 0 duplicates prevented, 1 unknown" in said
    assert len(plain.effects()) == 1


def test_an_engine_that_cannot_be_loaded_is_one_line_and_125(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['wsproto'] = None\n")
    ended = ledger("run", "--db", tmp_path / "ledger.db", "--", "sleep", "300", env={"PYTHONPATH": str(tmp_path)})
    assert ended.returncode == 125
    assert ended.stderr.startswith("ledger: the proxy cannot be loaded: ")
    assert len(ended.stderr.splitlines()) == 1


def test_what_was_only_observed_is_told_of_however_short_the_run_was(tmp_path: Path) -> None:
    for word in ("0", "4"):
        ended = ledger("run", "--observe", "--db", tmp_path / "ledger.db", "--", "sleep", word)
        assert "only observed: 0 operations" in ended.stderr


def test_a_command_without_its_sidecar_is_not_left_alone(tmp_path: Path) -> None:
    """The engine is of another make, which is seen when it is loaded: the command, which runs by then, is ended."""
    broken = "import mitmproxy.addonmanager as made\ndel made.AddonManager._iter_hooks\n"
    (tmp_path / "sitecustomize.py").write_text(broken)
    ended = ledger(
        "run",
        "--db",
        tmp_path / "ledger.db",
        "--",
        "sh",
        "-c",
        "echo $$; exec sleep 300",
        env={"PYTHONPATH": str(tmp_path)},
    )
    assert ended.returncode == 125
    assert ended.stderr == "ledger: this mitmproxy lacks _iter_hooks; install ledger-sidecar[proxy] again\n"
    with pytest.raises(ProcessLookupError):
        os.kill(int(ended.stdout), 0)


def test_a_signal_reaches_the_command_while_the_engine_is_loaded(tmp_path: Path) -> None:
    words = command("run", "--db", tmp_path / "ledger.db", "--", "sh", "-c", "echo ready; exec sleep 300")
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        child.send_signal(signal.SIGTERM)
        child.communicate(timeout=30)
    assert child.returncode == 128 + signal.SIGTERM


def test_the_command_does_not_wait_for_the_engine(tmp_path: Path) -> None:
    """Everything before it starts is done without aiohttp and mitmproxy, which take longer than all the rest.

    By then it is known, too, which requests would lead back to the sidecar: they may wait in its queue already.
    """
    asked = """
import asyncio, sys
from ledger_proxy import running
from ledger_proxy.settings import Settings
from ledger_rules import loader

async def main():
    settings = Settings(rules=loader.default(), db=sys.argv[1], listen=("127.0.0.1", 0))
    async with running.prepared(settings) as ready:
        host, _, port = ready.url.removeprefix("http://").partition(":")
        print(host, {"aiohttp", "mitmproxy"} & set(sys.modules), ready.destinations.is_own("localhost", int(port)))

asyncio.run(main())
"""
    words = [sys.executable, "-c", asked, str(tmp_path / "ledger.db")]
    told = subprocess.run(words, capture_output=True, text=True, timeout=60, check=True)
    assert told.stdout == "127.0.0.1 set() True\n"
