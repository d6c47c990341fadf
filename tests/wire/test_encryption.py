"""Secrets that an agent sends and receives are nowhere that Ledger writes; a lost key sends nothing twice."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import httpx

from tests.upstream import Upstream
from tests.wire.sidecars import Sidecar, ledger, start

KEY, OTHER = "11" * 32, "22" * 32
RULES = """
version: 1
redact: {query: [secret]}
rules:
  - name: charges
    match: {method: POST, url: "https://api.stripe.com/**/charges"}
"""
SENT = ("canary-in-authorization", "canary-in-a-header", "canary-in-the-query", "canary-in-the-body")


def charge(sidecar: Sidecar, path: str = "/v1/charges", **body: object) -> httpx.Response:
    return sidecar.post(
        f"{path}?secret={SENT[2]}",
        {"card": SENT[3], **body},
        Authorization=f"Bearer {SENT[0]}",
        X_Session=SENT[1],
    )


def received(answer: httpx.Response) -> tuple[str, ...]:
    """What the upstream made up for this answer alone: the id in its body, and a header."""
    return answer.json()["id"], answer.headers["Request-Id"]


def test_no_canary_is_found_on_disk_in_logs_or_on_screens(tmp_path: Path, upstream: Upstream) -> None:
    env = {"LEDGER_ENCRYPTION_KEY": KEY}
    log = tmp_path / "log"
    sidecar = start(tmp_path / "s", upstream, RULES, env, "--log", "json")
    answers = [charge(sidecar), charge(sidecar), charge(sidecar, "/status/503/v1/charges")]
    assert [a.status_code for a in answers] == [200, 200, 503]
    assert received(answers[1]) == received(answers[0])
    files = list((tmp_path / "s").rglob("*"))
    assert any(file.name == "ledger.db-wal" for file in files)
    written = b"".join(file.read_bytes() for file in files if file.is_file())
    shown = "".join(
        ledger(*words, "--db", sidecar.db, env=env).stdout
        for words in (("show",), ("show", "--json"), ("tail", "--no-follow"), ("tail", "--no-follow", "--json"))
    )
    sidecar.process.terminate()
    _, said = sidecar.process.communicate(timeout=30)
    log.write_text(said)
    for canary in (*SENT, *received(answers[0]), *received(answers[2])):
        assert canary.encode() not in written, canary
        assert canary not in shown, canary
        assert canary not in said, canary
    assert "charges" in shown
    assert "charges" in said


def test_a_replay_outlives_a_restart_with_the_key_and_is_refused_without_it(tmp_path: Path, upstream: Upstream) -> None:
    for env, status in (
        ({"LEDGER_ENCRYPTION_KEY": KEY}, 200),
        ({}, 503),
        ({"LEDGER_ENCRYPTION_KEY": OTHER}, 503),
        ({"LEDGER_ENCRYPTION_KEY": f"{OTHER} {KEY}"}, 200),
    ):
        sidecar = start(tmp_path / "s", upstream, RULES, env)
        answer = charge(sidecar)
        assert sidecar.stop() == 0
        assert answer.status_code == status, answer.text
        if status == 503:
            assert answer.headers["Ledger-Outcome"] == "refused"
            assert "LEDGER_ENCRYPTION_KEY" in answer.text or "another key" in answer.text
            assert re.fullmatch(r"Cause: [^.]*\. This attempt had no effect; .*\.", answer.json()["detail"])
        assert len(upstream.effects()) == 1


def test_an_operator_changes_the_key(tmp_path: Path, upstream: Upstream) -> None:
    sidecar = start(tmp_path / "s", upstream, RULES, {"LEDGER_ENCRYPTION_KEY": KEY})
    first = charge(sidecar)
    done = ledger("encrypt", "--db", sidecar.db, env={"LEDGER_ENCRYPTION_KEY": f"{OTHER},{KEY}"})
    assert (done.returncode, done.stdout.split(": ")[1][:1]) == (0, "1"), done.stderr
    sidecar.stop()
    sidecar = start(tmp_path / "s", upstream, RULES, {"LEDGER_ENCRYPTION_KEY": OTHER})
    assert received(charge(sidecar)) == received(first)
    sidecar.stop()
    assert len(upstream.effects()) == 1


def test_a_bad_key_stops_the_start_in_one_line(tmp_path: Path) -> None:
    said = ledger("proxy", "--listen", "127.0.0.1:0", "--db", tmp_path / "l.db", env={"LEDGER_ENCRYPTION_KEY": "hush"})
    assert said.returncode == 1
    assert said.stderr.count("\n") == 1
    assert said.stderr.startswith("ledger: LEDGER_ENCRYPTION_KEY: key 1 is not 32 random bytes")
    assert "hush" not in said.stderr
    assert not os.path.exists(tmp_path / "l.db")


def test_guard_keeps_results_encrypted_and_runs_nothing_twice_without_the_key(tmp_path: Path) -> None:
    script = tmp_path / "agent.py"
    script.write_text(
        "from ledger import guard\n"
        "def pay(order):\n"
        "    open('ran', 'a').write('x')\n"
        "    return {'token': 'canary-' + 'returned'}\n"
        "guard.policy('pay', replay=True)\n"
        "print(guard(pay, order=1))\n"
    )

    def run(**env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, script], cwd=tmp_path, env={**os.environ, "LEDGER_DB": "./g.db", **env},
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip

    for _ in range(2):
        said = run(LEDGER_ENCRYPTION_KEY=KEY)
        assert "canary-returned" in said.stdout, said.stderr
    lost = run()
    assert "ResultSealed" in lost.stderr
    assert (tmp_path / "ran").read_text() == "x"
    assert b"canary-returned" not in b"".join(file.read_bytes() for file in tmp_path.glob("g.db*"))
