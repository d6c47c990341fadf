"""When the upstream cannot be reached, or the ledger cannot be written: nothing is sent, and that is said."""

from __future__ import annotations

import resource
import shutil
import socket
import ssl
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from ledger.stores.sqlite import SqliteStore
from tests.privileges import without_roots_privileges
from tests.upstream import Upstream, running_upstream
from tests.wire.raw import require_recorded
from tests.wire.sidecars import RULES, Sidecar, admin_of, command, ledger, running, start
from tests.wire.test_operations import until

WAL_PAGE = 24 + 2048
"""What one page of a new ledger takes in its log; a claim changes several."""


def test_an_upstream_that_refuses_is_a_failure_and_a_retry_executes(tmp_path: Path) -> None:
    with running_upstream(tmp_path / "u") as upstream:
        port = upstream.port
    with running(tmp_path / "s", upstream) as sidecar:
        refused = sidecar.post("/ok/charges")
        assert (refused.status_code, refused.headers["ledger-outcome"]) == (502, "failed")
        assert "did not happen" in refused.json()["detail"]
        with running_upstream(tmp_path / "u2", port=port) as back:
            shutil.copy(back.ca_file, upstream.ca_file)  # type: ignore[arg-type]
            assert [r["status"] for r in sidecar.records()] == ["failed"]
    with running_upstream(tmp_path / "u3", port=port) as back, running(tmp_path / "s", back) as sidecar:
        answer = sidecar.post("/ok/charges")
        assert (answer.status_code, answer.headers["ledger-outcome"]) == (200, "executed")
        require_recorded(sidecar, "/ok/charges", ("success", 2, 1))
        assert len(back.effects()) == 1


def test_a_bad_certificate_is_a_failure_with_no_request_sent(tmp_path: Path, upstream: Upstream) -> None:
    with running_upstream(tmp_path / "other", hosts=("elsewhere.example",)) as wrong_name:
        with running(tmp_path / "s", wrong_name) as sidecar:
            answer = sidecar.post("/ok/charges")
            (record,) = sidecar.records()
        assert (answer.status_code, answer.headers["ledger-outcome"]) == (502, "failed")
        assert (record["status"], record["runs"]) == ("failed", 0)
        assert wrong_name.lines() == []


def test_the_host_of_a_pinned_client_is_named_once_and_nothing_was_sent(tmp_path: Path, upstream: Upstream) -> None:
    pinned = ssl.create_default_context(cafile=str(upstream.ca_file))
    with running(tmp_path / "s", upstream) as sidecar:
        for _ in range(3):
            client = httpx.Client(proxy=sidecar.url, verify=pinned, trust_env=False)
            with client, pytest.raises(httpx.ConnectError):
                client.post("https://api.stripe.com/ok/charges", json={})
        sidecar.process.terminate()
        said = sidecar.process.communicate(timeout=30)[1]
    assert said.count("refused Ledger's certificate for api.stripe.com") == 1
    assert "Let it trust the CA that `--ca-dir` holds, or take api.stripe.com out of the rules" in said
    assert upstream.lines() == []
    assert sidecar.records() == []


def test_an_unruled_host_shows_its_own_certificate(sidecar: Sidecar, upstream: Upstream) -> None:
    with socket.create_connection(("127.0.0.1", sidecar.port)) as raw:
        raw.sendall(f"CONNECT localhost:{upstream.port} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        assert b" 200 " in raw.recv(4096)
        context = ssl.create_default_context(cafile=str(upstream.ca_file))
        with context.wrap_socket(raw, server_hostname="localhost") as tls:
            tls.sendall(b"POST /ok/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}")
            assert tls.recv(4096).startswith(b"HTTP/1.1 200")
    assert sidecar.records() == []


def test_a_host_header_that_names_another_host_is_refused(sidecar: Sidecar, upstream: Upstream) -> None:
    answer = sidecar.post("/ok/charges", Host="evil.example")
    assert (answer.status_code, answer.json()["type"]) == (400, "urn:ledger:problem:misdirected")
    assert upstream.lines() == []
    assert sidecar.records() == []


def test_a_full_disk_refuses_and_sends_nothing(tmp_path: Path, upstream: Upstream) -> None:
    """It has room for something, but not for a claim: probe and log say so, until there is room again."""
    folder = tmp_path / "s"
    sidecar = start(folder, upstream, RULES, None, "--admin", "127.0.0.1:0")
    with httpx.Client(base_url=f"http://{admin_of(sidecar)}", trust_env=False, timeout=20) as pages:
        assert sidecar.post("/ok/charges", {"n": 0}).status_code == 200
        assert pages.get("/healthz").status_code == 200
        _limit_files(sidecar, (folder / "ledger.db-wal").stat().st_size + 3 * WAL_PAGE)
        answers = [sidecar.post("/ok/charges", {"n": n}) for n in range(1, 4)]
        assert {(a.status_code, a.headers["ledger-outcome"]) for a in answers} == {(503, "refused")}
        assert len(upstream.effects()) == 1
        sick = pages.get("/healthz")
        assert (sick.status_code, sick.json()["status"]) == (503, "failing")
        assert "ledger_unavailable_total 3.0" in pages.get("/metrics").text.splitlines()
        passed = sidecar.post("/ok/refunds")
        assert passed.status_code == 200
        _limit_files(sidecar, resource.RLIM_INFINITY)
        assert pages.get("/healthz").status_code == 200
        assert sidecar.post("/ok/charges", {"n": 1}).status_code == 200
        assert [record["status"] for record in sidecar.records()] == ["success", "success"]
    sidecar.process.terminate()
    _, said = sidecar.process.communicate(timeout=30)
    (line,) = said.splitlines()
    assert line.startswith(f"ledger: a ruled request was refused, and nothing was sent: the ledger {sidecar.db} cannot")
    assert len(upstream.effects(path="/ok/charges")) == 2


def test_a_disk_that_fills_after_sending_takes_no_answer_away(tmp_path: Path, upstream: Upstream) -> None:
    folder = tmp_path / "s"
    with running(folder, upstream, RULES.replace("20s", "1s")) as sidecar, ThreadPoolExecutor(1) as agents:
        sidecar.post("/ok/charges", {"n": 0})
        first = agents.submit(sidecar.post, "/slow/1000/charges", {"n": 1})
        upstream.wait_for(lambda u: u.effects(path="/slow/1000/charges"))
        _limit_files(sidecar, (folder / "ledger.db-wal").stat().st_size)
        assert first.result().status_code == 200
        told = [sidecar.post("/slow/1000/charges", {"n": 1}) for _ in range(2)]
        assert {a.headers["ledger-outcome"] for a in told} <= {"replayed", "held", "in-flight", "refused"}
        _limit_files(sidecar, resource.RLIM_INFINITY)
        until(lambda: "running" not in [record["status"] for record in sidecar.records()], 60)
        again = sidecar.post("/slow/1000/charges", {"n": 1})
        newest = sidecar.records()[0]["status"]
        assert (newest, again.headers["ledger-outcome"]) in {("success", "replayed"), ("unknown", "held")}
        record = sidecar.records()[0]["id"]
        sidecar.process.terminate()
        _, said = sidecar.process.communicate(timeout=30)
        line = (
            f"ledger: charges: the outcome of record {record[:12]} is not recorded, for the ledger takes no write now"
        )
        assert said.count(line) == 1
    assert len(upstream.effects(path="/slow/1000/charges")) == 1


def test_a_ledger_that_was_deleted_refuses_and_sends_nothing(sidecar: Sidecar, upstream: Upstream) -> None:
    assert sidecar.post("/ok/charges", {"n": 0}).status_code == 200
    for file in sidecar.db.parent.glob("ledger.db*"):
        file.unlink()
    refused = sidecar.post("/ok/charges", {"n": 1})
    assert (refused.status_code, refused.headers["ledger-outcome"]) == (503, "refused")
    assert len(upstream.effects()) == 1


def test_a_ledger_that_cannot_be_made_or_written_is_one_line_with_what_to_do(tmp_path: Path) -> None:
    def told(db: Path) -> str:
        words = command("proxy", "--listen", "127.0.0.1:0", "--db", db, "--ca-dir", tmp_path / "ca")
        said = subprocess.run(
            words, capture_output=True, text=True, timeout=60, check=False, preexec_fn=without_roots_privileges
        )
        assert said.returncode == 1
        return said.stderr

    nowhere = tmp_path / "not" / "l.db"
    why = f"there is no folder {nowhere.parent}; make it, or name another ledger"
    assert told(nowhere) == f"ledger: the ledger {nowhere} cannot be used: {why}\n"
    held = tmp_path / "held" / "l.db"
    held.parent.mkdir()
    SqliteStore(held).close()
    held.chmod(0o400)
    held.parent.chmod(0o500)
    assert told(held).endswith("; who runs this may write neither the file nor its folder\n")


def test_a_listener_that_others_could_reach_is_refused(tmp_path: Path) -> None:
    ended = ledger("proxy", "--listen", "0.0.0.0:0", "--db", tmp_path / "l.db", "--ca-dir", tmp_path / "ca")
    assert ended.returncode == 1
    assert "loopback" in ended.stderr


def test_a_second_key_on_one_ledger_does_not_start(tmp_path: Path, upstream: Upstream) -> None:
    with running(tmp_path / "s", upstream, LEDGER_KEY="one"), pytest.raises(AssertionError, match="LEDGER_KEY"):
        start(tmp_path / "s", upstream, RULES, {"LEDGER_KEY": "two"})


def _limit_files(sidecar: Sidecar, size: int) -> None:
    """The disk is full for this process from here on; raised again it has room."""
    hard = resource.RLIM_INFINITY
    resource.prlimit(sidecar.process.pid, resource.RLIMIT_FSIZE, (size, hard))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "empty"),
        ("version: 1\nrules: [", ":2:"),
        ("version: 1\nruless: []\n", "did you mean 'rules'"),
        ("version: 1\nrules:\n  - {name: a, match: {url: 'no-scheme/**'}}\n", ":3:"),
    ],
)
def test_bad_rules_are_one_line_and_exit_2(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "ledger.yaml"
    file.write_text(text)
    ended = ledger("proxy", "--listen", "127.0.0.1:0", "--rules", file, "--db", tmp_path / "x.db")
    assert ended.returncode == 2
    assert len(ended.stderr.strip().splitlines()) == 1
    assert str(file) in ended.stderr
    assert said in ended.stderr


def test_missing_rules_are_one_line_and_exit_2(tmp_path: Path) -> None:
    ended = ledger("proxy", "--rules", tmp_path / "none.yaml", "--db", tmp_path / "x.db")
    assert ended.returncode == 2
    assert "none.yaml" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_file_that_is_no_ledger_is_refused_and_left_alone(tmp_path: Path) -> None:
    db = tmp_path / "notes.db"
    db.write_text("my notes, not a database, but long enough to be read as one " * 20)
    before = db.read_bytes()
    ended = ledger("proxy", "--listen", "127.0.0.1:0", "--db", db, "--ca-dir", tmp_path / "ca")
    assert ended.returncode == 1
    assert len(ended.stderr.strip().splitlines()) == 1
    assert "notes.db" in ended.stderr
    assert db.read_bytes() == before


def test_a_port_in_use_is_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = ledger("proxy", "--listen", f"127.0.0.1:{port}", "--db", tmp_path / "l.db", "--ca-dir", tmp_path / "ca")
    assert ended.returncode == 1
    assert len(ended.stderr.strip().splitlines()) == 1
    assert str(port) in ended.stderr


def test_no_permission_is_one_line(tmp_path: Path) -> None:
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o555)
    probe = subprocess.run(["test", "-w", str(folder)], check=False, preexec_fn=without_roots_privileges)
    assert probe.returncode == 1
    arguments = command("proxy", "--listen", "127.0.0.1:0", "--db", folder / "ledger.db", "--ca-dir", folder / "ca")
    ended = subprocess.run(
        arguments, capture_output=True, text=True, check=False, timeout=60, preexec_fn=without_roots_privileges
    )
    assert ended.returncode == 1
    assert len(ended.stderr.strip().splitlines()) == 1
    assert "ermission" in ended.stderr


def test_the_proxy_says_where_it_listens_and_stops_cleanly(tmp_path: Path, upstream: Upstream) -> None:
    sidecar = start(tmp_path / "s", upstream)
    assert httpx.get(f"http://127.0.0.1:{sidecar.port}/", trust_env=False).status_code >= 400
    assert sidecar.stop() == 0
