"""What an operator has of a running sidecar: whether it lives, its numbers, its log, new rules without a restart."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import re
import signal
import socket
import sqlite3
import ssl
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from ledger.errors import StoreUnavailable
from ledger_proxy.failing import Failing
from ledger_proxy.logs import Apart, Plain
from ledger_proxy.measures import NAMED
from ledger_rules.ruleset import Ruleset
from tests.upstream import Upstream
from tests.wire.sidecars import RULES, Sidecar, admin_of, command, ledger, start

MORE_RULES = (
    RULES
    + """
  - name: refunds
    match: {method: POST, url: "https://api.stripe.com/v1/refunds"}
"""
)


@pytest.fixture
def operated(tmp_path: Path, upstream: Upstream) -> Iterator[tuple[Sidecar, httpx.Client]]:
    """A sidecar with an admin server and a JSON log, and a client for the pages."""
    sidecar = start(tmp_path / "s", upstream, RULES, None, "--admin", "127.0.0.1:0", "--log", "json")
    with httpx.Client(base_url=f"http://{admin_of(sidecar)}", trust_env=False) as pages:
        yield sidecar, pages
    sidecar.stop()


def until(holds: Callable[[], bool], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_it_says_that_it_lives_and_what_it_is(operated: tuple[Sidecar, httpx.Client]) -> None:
    _, pages = operated
    assert pages.get("/healthz").json() == {"status": "ok"}
    assert pages.get("/readyz").json() == {"ready": True}
    assert set(pages.get("/version").json()) == {"ledger", "mitmproxy"}
    assert pages.get("/").status_code == 404


def test_a_ledger_that_takes_no_write_is_not_healthy(operated: tuple[Sidecar, httpx.Client]) -> None:
    sidecar, pages = operated
    for file in sidecar.db.parent.glob("ledger.db*"):
        file.rename(file.with_name(f"moved-{file.name}"))
    sick = pages.get("/healthz")
    assert sick.status_code == 503
    assert sick.json()["status"] == "failing"
    assert "ledger.db" in sick.json()["why"]


def test_its_numbers_are_those_of_the_ledger(operated: tuple[Sidecar, httpx.Client], upstream: Upstream) -> None:
    sidecar, pages = operated
    for amount in (1, 1, 1, 2):
        assert sidecar.post("/v1/charges", {"amount": amount}).status_code == 200
    found = pages.get("/metrics")
    assert found.headers["Content-Type"].startswith("text/plain; version=")
    lines = found.text.splitlines()
    assert 'ledger_attempts_total{outcome="executed",rule="charges"} 2.0' in lines
    assert 'ledger_attempts_total{outcome="replayed",rule="charges"} 2.0' in lines
    assert 'ledger_answer_seconds_count{rule="charges"} 4.0' in lines
    assert 'ledger_open_operations{status="unknown"} 0.0' in lines
    assert len(upstream.effects()) == 2


def test_whatever_is_asked_for_its_numbers_stay_few(tmp_path: Path, upstream: Upstream) -> None:
    """More rules than get numbers of their own, hundreds of paths and workflows, and hosts that no rule names."""
    rules = [f'{{name: r{n}, match: {{method: POST, url: "https://api.stripe.com/{n}/**"}}}}' for n in range(300)]
    sidecar = start(tmp_path / "s", upstream, f"rules: [{', '.join(rules)}]", None, "--admin", "127.0.0.1:0")
    admin = admin_of(sidecar)
    with sidecar.client() as client, httpx.Client(trust_env=False) as pages:
        for n in range(400):
            named = {"Ledger-Workflow": f"w{n}", "Ledger-Caller": f"c{n}"}
            answer = client.post(f"https://api.stripe.com/{n % 300}/{n}", json={}, headers=named)
            assert answer.headers["Ledger-Outcome"] == "executed"
        for n in range(100):
            assert client.get(f"http://127.0.0.{2 + n}:{upstream.port}/{n}").status_code == 502
        text = pages.get(f"http://{admin}/metrics").text
    sidecar.stop()
    counts = [line for line in text.splitlines() if line.startswith("ledger_attempts_total")]
    assert len(counts) == NAMED + 1
    assert sum(float(line.rpartition(" ")[2]) for line in counts) == 400
    assert len({line.partition(" ")[0] for line in text.splitlines()}) < 25 * NAMED
    assert not any(word in text for word in ("w399", "c399", "127.0.0", "stripe"))


def test_a_page_of_another_name_gets_nothing(operated: tuple[Sidecar, httpx.Client]) -> None:
    _, pages = operated
    assert pages.get("/metrics", headers={"Host": "evil.example:80"}).status_code == 421


def test_the_log_has_a_line_for_each_operation_and_no_secret(tmp_path: Path, upstream: Upstream) -> None:
    sidecar = start(tmp_path / "s", upstream, RULES, None, "--log", "json")
    for _ in range(2):
        sidecar.post("/v1/charges?token=sesame", {"card": "4242"}, Authorization="Bearer sk_live_secret")
    sidecar.process.send_signal(signal.SIGTERM)
    _, said = sidecar.process.communicate(timeout=30)
    sidecar.stop()
    told = [json.loads(line) for line in said.splitlines()]
    operations = [line for line in told if "outcome" in line]
    assert [(line["rule"], line["outcome"]) for line in operations] == [
        ("charges", "executed"),
        ("charges", "replayed"),
    ]
    assert all(line["record"] and line["ms"] > 0 for line in operations)
    assert not any(secret in said for secret in ("sesame", "4242", "sk_live_secret"))


def test_the_log_says_why_a_tunnel_led_nowhere(tmp_path: Path, upstream: Upstream) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as closed:
        port = closed.getsockname()[1]
    sidecar = start(tmp_path / "s", upstream, RULES, None, "--log", "json")
    with sidecar.client() as client:
        for host in ("nowhere.invalid", f"127.0.0.1:{port}"):
            with pytest.raises(httpx.HTTPError):
                client.get(f"https://{host}/secret?token=sesame")
    records = sidecar.records()
    sidecar.process.terminate()
    _, said = sidecar.process.communicate(timeout=30)
    told = {line["message"].partition(" could not be reached: ")[::2] for line in map(json.loads, said.splitlines())}
    assert {place for place, why in told if why} == {"nowhere.invalid:443", f"127.0.0.1:{port}"}
    assert ("sesame" in said, records, upstream.lines()) == (False, [], [])


@pytest.mark.parametrize("form", ["text", "json"])
def test_what_an_agent_calls_itself_stays_one_harmless_line(tmp_path: Path, upstream: Upstream, form: str) -> None:
    """A proxy URL's user can hold any character, percent-encoded."""
    sidecar = start(tmp_path / "s", upstream, RULES, None, "--log", form)
    user = "order%0a12:00:00%20%20failed%1b[2J%e2%80%ae"
    trust = ssl.create_default_context(cafile=str(sidecar.ca / "ca-cert.pem"))
    proxy = f"http://{user}@127.0.0.1:{sidecar.port}"
    with httpx.Client(proxy=proxy, verify=trust, trust_env=False, timeout=30) as client:
        assert client.post("https://api.stripe.com/v1/charges", json={}).headers["Ledger-Outcome"] == "executed"
    sidecar.process.send_signal(signal.SIGTERM)
    _, said = sidecar.process.communicate(timeout=30)
    sidecar.stop()
    assert [line for line in said.splitlines() if "executed" in line] == said.splitlines()
    assert said.removesuffix("\n").isprintable()


@pytest.mark.parametrize(("more", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_on_a_terminal_the_outcome_has_a_colour(
    tmp_path: Path, upstream: Upstream, more: dict[str, str], coloured: bool
) -> None:
    screen, ours = os.openpty()
    more = {"TERM": "xterm", **more}
    sidecar = start(tmp_path / "s", upstream, RULES, more, "--log", "text", stderr=ours)
    os.close(ours)
    for _ in range(2):
        sidecar.post("/v1/charges", {"amount": 7})
    sidecar.stop()
    said = b""
    with contextlib.suppress(OSError):  # what Linux says when nobody holds the other end any more
        while data := os.read(screen, 4096):
            said += data
    os.close(screen)
    assert (b"\x1b[32mexecuted" in said, b"\x1b[36mreplayed" in said) == (coloured, coloured)
    assert (b"executed" in said, b"\x1b" in said) == (True, coloured)


def test_a_log_that_nobody_reads_stops_no_exchange(tmp_path: Path, upstream: Upstream) -> None:
    sidecar = start(tmp_path / "s", upstream, RULES, None, "--log", "json")
    with sidecar.client() as client:
        answers = [client.post("https://api.stripe.com/v1/charges", json={"n": n // 400}) for n in range(800)]
    sidecar.process.send_signal(signal.SIGTERM)
    assert sidecar.process.wait(30) == 0
    assert {answer.status_code for answer in answers} == {200}
    assert len(upstream.effects()) == 2
    assert sidecar.process.stderr is not None
    assert "executed" in sidecar.process.stderr.readline()
    sidecar.stop()


@pytest.mark.parametrize("blocking", [True, False])
def test_what_does_not_fit_into_the_log_is_counted_there(blocking: bool) -> None:
    """Whoever shares the pipe may have set it not to block."""
    room, (reading, writing) = 10, os.pipe()
    os.set_blocking(reading, False)
    os.set_blocking(writing, blocking)
    log = Apart(writing, room)
    log.setFormatter(Plain())
    long = "x" * 10_000
    for number in range(100):
        log.handle(logging.makeLogRecord({"msg": f"{number} {long}"}))
    said = ""

    def accounted() -> int:
        nonlocal said
        with contextlib.suppress(BlockingIOError):
            said += os.read(reading, 1 << 16).decode()
        lost = [int(line.split()[1]) for line in said.splitlines() if "did not fit" in line]
        return sum(lost) + said.count(f" {long}\n")

    until(lambda: accounted() == 100)
    log.close()
    os.close(reading)
    os.close(writing)
    assert said.startswith(f"ledger: 0 {long}\n")
    assert "did not fit" in said


def test_rules_change_while_it_runs_and_wrong_ones_change_nothing(
    operated: tuple[Sidecar, httpx.Client], upstream: Upstream
) -> None:
    sidecar, _ = operated
    rules = sidecar.db.parent / "ledger.yaml"

    def guarded() -> bool:
        return "Ledger-Outcome" in sidecar.post("/v1/refunds", {"n": time.time()}).headers

    assert not guarded()
    rules.write_text("version: 1\nrules: [{name: broken, match: {uri: x}}]\n")
    sidecar.process.send_signal(signal.SIGHUP)
    time.sleep(0.5)
    assert sidecar.post("/v1/charges", {"amount": 7}).headers["Ledger-Outcome"] == "executed"
    rules.write_text(MORE_RULES)
    sidecar.process.send_signal(signal.SIGHUP)
    until(guarded)
    sidecar.process.send_signal(signal.SIGTERM)
    _, said = sidecar.process.communicate(timeout=30)
    told = {(line["level"], line["message"]): line for line in map(json.loads, said.splitlines())}
    wrong, right = [key for key in told if "the rules were" in key[1] or "rules reloaded" in key[1]]
    assert (wrong[0], f"not changed: {rules}:2:" in wrong[1]) == ("error", True)
    assert right[0] == "warning"


def test_a_changed_file_needs_no_signal(operated: tuple[Sidecar, httpx.Client]) -> None:
    sidecar, _ = operated
    (sidecar.db.parent / "ledger.yaml").write_text(MORE_RULES)
    until(lambda: "Ledger-Outcome" in sidecar.post("/v1/refunds", {"n": time.time()}).headers)


def test_an_admin_port_in_use_is_one_line(tmp_path: Path) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        at = f"127.0.0.1:{taken.getsockname()[1]}"
        said = ledger(
            *("proxy", "--listen", "127.0.0.1:0", "--db", tmp_path / "l.db", "--ca-dir", tmp_path / "ca", "--admin", at)
        )
    assert said.returncode == 1
    assert len(said.stderr.strip().splitlines()) == 1
    assert said.stderr == f"ledger: --admin cannot listen on {at}: Address already in use; choose another\n"


def test_addresses_of_ipv6_are_told_as_options_take_them(tmp_path: Path) -> None:
    words = ("--db", tmp_path / "l.db", "--ca-dir", tmp_path / "ca", "--listen", "[::1]:0", "--admin", "[::1]:0")
    with subprocess.Popen(command("proxy", *words), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as made:
        assert made.stdout is not None
        at = made.stdout.readline().removeprefix("listening on ").strip()
        taken = ledger("proxy", "--db", tmp_path / "l.db", "--ca-dir", tmp_path / "ca", "--listen", at)
        made.terminate()
        _, said = made.communicate(timeout=30)
    assert re.fullmatch(r"\[::1\]:[0-9]+", at)
    assert re.fullmatch(r"ledger: admin on \[::1\]:[0-9]+\n", said)
    assert (taken.returncode, taken.stderr.startswith(f"ledger: cannot listen on {at}: Address already in use")) == (
        1,
        True,
    )


def test_an_admin_server_for_everybody_is_refused(tmp_path: Path) -> None:
    said = ledger("proxy", "--listen", "127.0.0.1:0", "--db", tmp_path / "l.db", "--admin", "0.0.0.0:0")
    assert said.returncode == 1
    assert "0.0.0.0 is not a loopback address" in said.stderr
    assert not (tmp_path / "l.db").exists()


def test_a_locked_ledger_is_reported_in_bounded_time(operated: tuple[Sidecar, httpx.Client]) -> None:
    sidecar, pages = operated
    with closing(sqlite3.connect(sidecar.db, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        sick = pages.get("/healthz", timeout=20)
        other.execute("ROLLBACK")
    assert (sick.status_code, sick.json()["why"]) == (503, "no write in time")
    until(lambda: pages.get("/healthz", timeout=20).status_code == 200)


def test_a_warning_quotes_nothing_of_what_failed() -> None:
    try:
        raise ValueError("sk_live_secret")
    except ValueError:
        record = logging.LogRecord("ledger", logging.ERROR, "", 0, "it failed", None, sys.exc_info())
    assert Plain().format(record) == "ledger: it failed (ValueError)"


def test_a_ledger_that_fails_is_told_at_once_and_then_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    failing, full = Failing(), StoreUnavailable("disk full")
    for second in (0, 1, 30, 59):
        failing.refused(full, second)
    failing.refused(ValueError("sk_live_secret"), 59)
    failing.refused(full, 61)
    told = [Plain().format(record) for record in caplog.records]
    refused = "ledger: a ruled request was refused, and nothing was sent"
    assert told == [
        f"{refused}: disk full",
        f"{refused} (ValueError)",
        f"{refused} (3 more since this was said): disk full",
    ]


def test_rules_that_are_being_written_are_not_read_yet(tmp_path: Path) -> None:
    with warnings.catch_warnings(action="ignore"):  # mitmproxy calls pyparsing by an old name
        from ledger_proxy.reloading import Reloader

    file = tmp_path / "ledger.yaml"
    file.write_text("a")
    reloader = Reloader(Ruleset, lambda rules: None, file)
    seen = []
    for text in (None, "ab", "abc", None, None):
        if text:
            file.write_text(text)
        seen.append(reloader._changed())
    assert seen == [False, False, False, True, False]


async def test_rules_that_a_signal_had_read_are_not_read_again_for_having_changed(tmp_path: Path) -> None:
    with warnings.catch_warnings(action="ignore"):  # mitmproxy calls pyparsing by an old name
        from ledger_proxy.reloading import Reloader

    (file := tmp_path / "ledger.yaml").write_text("a")
    taken = asyncio.Event()
    reloader = Reloader(Ruleset, lambda rules: taken.set(), file)
    running = asyncio.create_task(reloader.run())
    file.write_text("ab")
    reloader.ask()
    await asyncio.wait_for(taken.wait(), 20)
    running.cancel()
    assert [reloader._changed() for _ in range(3)] == [False] * 3
