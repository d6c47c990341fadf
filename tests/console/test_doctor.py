"""`ledger doctor`: what it finds is so, and its proof is a real one."""

from __future__ import annotations

import json
import socket
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ledger.records import Status
from ledger.stores import places
from ledger_console import doctor
from ledger_proxy import certificates
from tests.console.conftest import Agent, Ledger
from tests.privileges import without_roots_privileges
from tests.wire.sidecars import command


def found(ledger: Ledger, what: str, *more: str | Path) -> list[dict[str, Any]]:
    told = ledger("doctor", "--no-test", "--json", "--ca-dir", "ca", *more).json
    return [finding for finding in told if finding["what"] == what]


def test_every_client_here_asks_twice_and_python_has_one_effect() -> None:
    """In a process of its own, as every sidecar: its front keeps module globals."""
    asked = command("doctor", "--json", "--ca-dir", "ca")
    said = subprocess.run(asked, capture_output=True, text=True, check=True, timeout=120)
    told = [json.loads(line) for line in said.stdout.splitlines()]
    proofs = {finding["said"].split(" (")[0]: finding for finding in told if finding["what"] == "self-test"}
    assert proofs["Python"]["state"] == "ok"
    assert proofs["Python"]["said"] == f"Python ({sys.executable}): asked twice, one effect, certificate trusted"
    assert not any(finding["state"] == "failed" for finding in proofs.values()), proofs
    remedies = {"node": "Node before 22.21", "wget": "--ca-certificate=$SSL_CERT_FILE"}
    for name, finding in proofs.items():
        assert (finding["state"] == "ok") or remedies[name] in finding["todo"], finding


def test_a_ledger_is_counted_and_one_that_others_read_is_told(agent: Agent, ledger: Ledger, tmp_path: Path) -> None:
    agent.ask("a1", Status.UNKNOWN)
    (fine,) = found(ledger, "ledger file")
    assert fine["said"] == f"{tmp_path / 'ledger.db'}: 1 recorded, 1 unknown"
    (tmp_path / "ledger.db").chmod(0o644)
    warned, _ = found(ledger, "ledger file")
    assert (warned["state"], warned["todo"]) == ("warning", f"chmod 600 {tmp_path / 'ledger.db'}")


def test_what_is_broken_fails_with_one_line_each(ledger: Ledger, tmp_path: Path) -> None:
    (tmp_path / "ledger.db").write_text("my notes " * 1000)
    (tmp_path / "ledger.db").chmod(0o600)
    (tmp_path / "ledger.yaml").write_text("version: 1\nrulez: []\n")
    said = ledger("doctor", "--no-test", "--ca-dir", "ca")
    assert said.code == 1
    assert [line.split()[1] for line in said.lines if line.startswith("failed")] == ["ledger", "rules"]
    assert "rulez" in said.out
    assert "Traceback" not in said.out + said.err


def test_a_ledger_whose_index_misses_a_record_fails(agent: Agent, ledger: Ledger, tmp_path: Path) -> None:
    agent.ask("a1b2c3d4")
    agent.close()
    file = tmp_path / "ledger.db"
    with closing(sqlite3.connect(file)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    file.write_bytes(file.read_bytes().replace(b"a1b2c3d4", b"a1b2c3d5", 1))
    (told,) = found(ledger, "ledger file")
    assert told["state"] == "failed"
    assert "damaged" in told["said"]


def test_a_file_system_without_locks_is_no_place_for_a_ledger(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "REMOTE", frozenset([places.file_system(tmp_path)]))
    (told,) = found(ledger, "disk")
    assert told["state"] == "failed"
    assert told["todo"] == "put --db on a local disk"


def test_a_port_that_is_taken_is_a_warning(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        monkeypatch.setattr(doctor, "LISTEN", f"127.0.0.1:{taken.getsockname()[1]}")
        (told,) = found(ledger, "port")
    assert told["state"] == "warning"


@pytest.mark.parametrize(
    ("begun", "state", "said"),
    [
        (timedelta(days=0), "ok", "valid for 29 more days"),
        (timedelta(days=28), "warning", "valid for 1 more days"),
        (timedelta(days=31), "failed", "clients refuse it"),
        (timedelta(days=-2), "failed", "and here it is"),
        (None, "failed", "is no certificate"),
    ],
)
def test_a_ca_is_judged_by_its_times_and_one_that_is_none_is_named(
    ledger: Ledger, tmp_path: Path, begun: timedelta | None, state: str, said: str
) -> None:
    pem = b"my notes" if begun is None else certificates.make((), 30, datetime.now(UTC) - begun)
    (tmp_path / "ca").mkdir()
    (tmp_path / "ca" / "ca-cert.pem").write_bytes(pem)
    (told,) = found(ledger, "CA")
    assert (told["state"], said in told["said"]) == (state, True), told
    assert str(tmp_path / "ca") in told["said"] or told["said"].startswith("ca/")
    assert (told["todo"] == "") == (state == "ok")


def test_what_may_not_be_read_is_named_and_the_rest_is_looked_at_all_the_same(tmp_path: Path) -> None:
    for name in ("ca", "db"):
        (tmp_path / name).mkdir(mode=0o000)
    asked = command("doctor", "--no-test", "--json", "--ca-dir", tmp_path / "ca", "--db", tmp_path / "db" / "l.db")
    said = subprocess.run(
        asked, capture_output=True, text=True, check=False, timeout=60, preexec_fn=without_roots_privileges
    )
    told = [json.loads(line) for line in said.stdout.splitlines()]
    failed = {finding["what"]: finding["said"] for finding in told if finding["state"] == "failed"}
    assert (said.returncode, said.stderr) == (1, "")
    assert set(failed) == {"disk", "ledger file", "CA"}
    assert failed["ledger file"] == f"{tmp_path / 'db' / 'l.db'}: Permission denied"
    assert failed["CA"] == f"{tmp_path / 'ca' / 'ca-cert.pem'}: Permission denied"
    assert {"rules", "port"} <= {finding["what"] for finding in told}


def test_nothing_is_made(ledger: Ledger, tmp_path: Path) -> None:
    assert ledger("doctor", "--no-test", "--ca-dir", "ca").code == 0
    assert list(tmp_path.iterdir()) == []
