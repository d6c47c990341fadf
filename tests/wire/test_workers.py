"""Several processes on one ledger and one port: exact together, none missed, replaced while requests come."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest

from tests.upstream import Upstream
from tests.wire.sidecars import RULES, Sidecar, admin_of, ledger, running, start
from tests.wire.test_operations import MORE_RULES, until

pytestmark = pytest.mark.slow


class Crew(Sidecar):
    """A parent with two workers, and its admin pages."""

    pages: httpx.Client

    def pids(self) -> set[int]:
        return {child.pid for child in psutil.Process(self.process.pid).children()}

    def number(self, name: str) -> float:
        """One line of /metrics."""
        lines = self.pages.get("/metrics").text.splitlines()
        return next((float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"{name} ")), 0.0)


@pytest.fixture
def crew(tmp_path: Path, upstream: Upstream) -> Iterator[Crew]:
    more = ("--workers", "2", "--admin", "127.0.0.1:0")
    made = Crew(**vars(start(tmp_path / "s", upstream, RULES, None, *more)))
    with httpx.Client(base_url=f"http://{admin_of(made)}", trust_env=False, timeout=20) as made.pages:
        try:
            yield made
        finally:
            assert made.stop() in (0, -signal.SIGKILL)


def test_they_start_as_one(crew: Crew) -> None:
    assert len(crew.pids()) == 2
    assert crew.pages.get("/healthz").json() == {"status": "ok"}
    assert crew.pages.get("/readyz").json() == {"ready": True}
    assert crew.number("ledger_workers") == 2


def test_two_hundred_duplicates_at_once_have_one_effect_and_exact_numbers(crew: Crew, upstream: Upstream) -> None:
    shared: list[bool] = []
    gate = threading.Barrier(200, lambda: shared.extend(_serves(pid, crew.port) for pid in crew.pids()))

    def ask(client: httpx.Client) -> httpx.Response:
        client.get("https://api.stripe.com/ok/warm")
        gate.wait(120)
        return client.post("https://api.stripe.com/slow/300/charges", json={"n": 1})

    with ThreadPoolExecutor(200) as agents:
        answers = list(agents.map(ask, [crew.client(120) for _ in range(200)]))
    assert shared == [True, True], "one of them took every connection"
    outcomes = Counter(answer.headers["Ledger-Outcome"] for answer in answers)
    assert (outcomes, len({answer.content for answer in answers})) == ({"executed": 1, "replayed": 199}, 1)
    assert len(upstream.effects()) == 1
    (record,) = crew.records()
    assert (record["attempts"], record["runs"], record["blocked"]) == (200, 1, 199)
    assert len(crew.events("replayed")) == 199
    assert crew.number('ledger_attempts_total{outcome="replayed",rule="charges"}') == 199
    stats = ledger("stats", "--db", crew.db, "--json").stdout
    assert '"attempts": 200' in stats


def test_a_killed_one_harms_nobody(crew: Crew, upstream: Upstream) -> None:
    for n in range(4):
        crew.post("/ok/charges", {"n": n})
    counted = crew.number('ledger_attempts_total{outcome="executed",rule="charges"}')
    agent = threading.Thread(target=_lost, args=(crew, "/slow/3000/charges"))
    agent.start()
    upstream.wait_for(lambda u: u.effects(path="/slow/3000/charges"))
    victim = next(pid for pid in crew.pids() if _serves(pid, crew.port))
    os.kill(victim, signal.SIGKILL)
    agent.join()
    told = [crew.post("/slow/3000/charges", {"lost": True}) for _ in range(4)]
    assert {(a.status_code, a.headers["Ledger-Outcome"]) for a in told} == {(409, "held")}
    assert crew.post("/ok/charges", {"n": 99}).headers["Ledger-Outcome"] == "executed"
    until(lambda: crew.number("ledger_workers") == 2)
    assert victim not in crew.pids()
    assert crew.number("ledger_worker_restarts_total") == 1
    assert crew.number('ledger_attempts_total{outcome="executed",rule="charges"}') > counted
    assert crew.pages.get("/healthz").status_code == 200
    assert len(upstream.effects(path="/slow/3000/charges")) == 1


def test_they_are_replaced_while_requests_come(crew: Crew, upstream: Upstream) -> None:
    """One agent keeps its connection, others open one for each request: none is refused, lost or done twice."""
    before, done, failed, stop = crew.pids(), itertools.count(), [], threading.Event()

    def ask(agent: int, keep: bool) -> int:
        asked = 0
        with contextlib.ExitStack() as stack:
            client = stack.enter_context(crew.client())
            while not stop.is_set():
                body = {"agent": agent, "n": (asked := asked + 1)}
                headers = {} if keep else {"Connection": "close"}
                try:
                    answer = client.post("https://api.stripe.com/ok/charges", json=body, headers=headers)
                    answer.raise_for_status()
                    next(done)
                except httpx.HTTPError as error:
                    failed.append((keep, repr(error)))
                    client = stack.enter_context(crew.client())
        return asked

    with ThreadPoolExecutor(4) as agents:
        asking = [agents.submit(ask, number, number == 0) for number in range(4)]
        try:
            for _ in range(2):
                gone = crew.pids()
                crew.process.send_signal(signal.SIGUSR2)
                until(lambda gone=gone: len(crew.pids()) == 2 and not gone & crew.pids(), 60)
        finally:
            stop.set()
        asked = sum(one.result() for one in asking)
    assert not before & crew.pids()
    assert [error for keep, error in failed if not keep] == []
    assert len(failed) <= 2, "a kept connection closes with its worker, no oftener"
    assert asked == next(done) + len(failed)
    assert upstream.doubles("sha256") == {}
    records = crew.records()
    assert {record["status"] for record in records} == {"success"}
    assert len(upstream.effects()) == len(records)
    assert asked - len(failed) <= len(records) <= asked
    assert crew.number('ledger_attempts_total{outcome="executed",rule="charges"}') == len(records)


def test_where_a_new_one_does_not_start_the_old_ones_stay(crew: Crew, upstream: Upstream) -> None:
    assert crew.process.stderr is not None
    before, said, stderr = crew.pids(), "", crew.process.stderr.fileno()
    rules = crew.db.parent / "ledger.yaml"
    os.set_blocking(stderr, False)

    def told() -> bool:
        nonlocal said
        with contextlib.suppress(BlockingIOError):
            said += os.read(stderr, 1 << 16).decode()
        return "the workers that are there stay" in said

    rules.write_text("rules: [{name: broken, match: {ur: x}}]\n")
    crew.process.send_signal(signal.SIGUSR2)
    until(told, 60)
    assert f"{rules}:1:" in said
    assert crew.pids() == before
    assert crew.post("/ok/charges").headers["Ledger-Outcome"] == "executed"
    rules.write_text(RULES)
    crew.process.send_signal(signal.SIGUSR2)
    until(lambda: len(crew.pids()) == 2 and not before & crew.pids(), 60)
    assert crew.post("/ok/charges").headers["Ledger-Outcome"] == "replayed"
    assert len(upstream.effects()) == 1


def test_new_rules_reach_them_all(crew: Crew) -> None:
    (crew.db.parent / "ledger.yaml").write_text(MORE_RULES)
    crew.process.send_signal(signal.SIGHUP)

    def guarded() -> bool:
        return all("Ledger-Outcome" in crew.post("/v1/refunds", {"n": time.time()}).headers for _ in range(8))

    until(guarded)


@pytest.mark.parametrize("told", ["the parent", "all of them"])
def test_what_is_in_flight_ends_before_they_do(crew: Crew, upstream: Upstream, told: str) -> None:
    """A service manager tells all of a group, and the parent tells its workers once more."""
    with ThreadPoolExecutor(1) as agents:
        answer = agents.submit(crew.post, "/slow/1000/charges", {"n": 1})
        upstream.wait_for(lambda u: u.lines(path="/slow/1000/charges"))
        pids = crew.pids()
        for pid in pids if told == "all of them" else ():
            os.kill(pid, signal.SIGTERM)
        crew.process.send_signal(signal.SIGTERM)
        assert answer.result().status_code == 200
    assert crew.process.wait(30) == 0
    assert not any(psutil.pid_exists(pid) for pid in pids)


@contextmanager
def waiting(tmp_path: Path, upstream: Upstream, workers: int) -> Iterator[tuple[Sidecar, Future[httpx.Response]]]:
    """Workers with a drain longer than any test, and the answer that one of them waits for."""
    with (
        running(tmp_path / "s", upstream, RULES, "--workers", workers, "--drain", "600") as sidecar,
        ThreadPoolExecutor(1) as agents,
    ):
        answer = agents.submit(sidecar.post, "/hang/charges", {"n": 1})
        upstream.wait_for(lambda u: u.lines(path="/hang/charges"))
        yield sidecar, answer


def test_told_a_second_time_they_give_up_at_once(tmp_path: Path, upstream: Upstream) -> None:
    """The drain is longer than any test: only the second signal ends it."""
    with waiting(tmp_path, upstream, 2) as (sidecar, answer):
        sidecar.process.send_signal(signal.SIGTERM)
        until(lambda: _refuses(sidecar.port))
        assert sidecar.stop() == 0  # the second
        assert answer.result(30).headers["Ledger-Outcome"] == "unknown"
    assert [record["status"] for record in sidecar.records()] == ["unknown"]
    assert len(upstream.effects()) == 1


def test_one_that_finds_both_signals_waiting_gives_up_all_the_same(tmp_path: Path, upstream: Upstream) -> None:
    """Its parent told it to stop, and then to hurry, while it stood still: Linux hands over the lower number first."""
    with waiting(tmp_path, upstream, 1) as (sidecar, answer):
        (worker,) = psutil.Process(sidecar.process.pid).children()
        worker.suspend()
        try:
            # It stops when it has its turn, and what comes before that is heard at once.
            until(lambda: worker.status() == psutil.STATUS_STOPPED)
            for number in (signal.SIGTERM, signal.SIGINT):
                sidecar.process.send_signal(signal.SIGTERM)
                until(lambda number=number: number in _pending(worker.pid))
        finally:
            worker.resume()
        sidecar._gone()
        assert sidecar.process.returncode == 0
        assert answer.result(30).headers["Ledger-Outcome"] == "unknown"
    assert [record["status"] for record in sidecar.records()] == ["unknown"]
    assert len(upstream.effects()) == 1


def test_they_do_not_outlive_a_parent_that_is_killed(crew: Crew) -> None:
    workers = [psutil.Process(pid) for pid in crew.pids()]
    heard = os.dup(crew.process.stderr.fileno())
    crew.kill()
    ended, left = psutil.wait_procs(workers, timeout=30)
    assert (len(ended), left) == (2, [])
    with open(heard) as said:
        assert said.read() == ""


def test_what_is_wrong_is_said_once(tmp_path: Path) -> None:
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        common = ("--workers", "2", "--db", tmp_path / "l.db", "--ca-dir", tmp_path / "ca")
        used = ledger("proxy", "--listen", f"127.0.0.1:{port}", *common)
    assert used.returncode == 1
    assert used.stderr.count("cannot listen on") == 1
    (tmp_path / "ca").touch()
    broken = ledger("proxy", "--listen", "127.0.0.1:0", *common)
    assert broken.returncode == 1
    assert broken.stderr.count("Not a directory") == 1
    assert "Traceback" not in used.stderr + broken.stderr


def _serves(pid: int, port: int) -> bool:
    """Whether a client is connected to this process."""
    return any(c.laddr.port == port and c.raddr for c in psutil.Process(pid).net_connections("tcp4"))


def _pending(pid: int) -> set[int]:
    """The signals that wait for a process that is suspended."""
    status = Path(f"/proc/{pid}/status").read_text()
    masks = [int(line.split()[1], 16) for line in status.splitlines() if line.startswith(("SigPnd", "ShdPnd"))]
    return {number for number in range(1, 65) for mask in masks if mask >> (number - 1) & 1}


def _refuses(port: int) -> bool:
    with contextlib.suppress(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), 5).close()
        return False
    return True


def _lost(crew: Crew, path: str) -> None:
    with contextlib.suppress(httpx.HTTPError):
        crew.post(path, {"lost": True})
