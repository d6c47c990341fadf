"""What a scenario stands on: the origin with its certificate, the two proxies, and the client that is sent to them.

Every process is started here and stopped by its own handle.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil
import trustme

from bench.client import Load, Result
from bench.route import HOST, Route, open_socket

READY_SECONDS = 30.0
RULED = 'version: 1\nrules:\n  - name: orders\n    match: {method: POST, url: "https://%s:%d/orders"}\n'
UNRULED = 'version: 1\nrules:\n  - name: orders\n    match: {method: POST, url: "https://api.example.com/orders"}\n'


class BenchError(Exception):
    """A measurement that cannot be trusted; str() is one line that says why."""


def _cpu(process: psutil.Process) -> float:
    """Exact where the kernel has a clock for it, which clock_getcpuclockid(3) names; elsewhere in hundredths."""
    if sys.platform == "linux":
        return time.clock_gettime(~process.pid << 3 | 2)
    times = process.cpu_times()
    return times.user + times.system


@dataclass(frozen=True, slots=True)
class Proxy:
    """A running proxy."""

    name: str
    process: psutil.Process
    route: Route

    def cpu(self) -> float:
        """CPU seconds it has used so far, its workers' included."""
        everyone = [self.process, *self.process.children(recursive=True)]
        return sum(_cpu(p) for p in everyone)

    def rss(self) -> float:
        """Resident MiB, children included."""
        everyone = [self.process, *self.process.children(recursive=True)]
        return sum(p.memory_info().rss for p in everyone) / 2**20


@dataclass(frozen=True, slots=True)
class Stage:
    """The origin and a parent directory for what the proxies keep."""

    folder: Path
    port: int
    ca: Path

    @property
    def direct(self) -> Route:
        """No proxy."""
        return Route(self.port, str(self.ca))

    def effects(self) -> int:
        """How many effects the origin has counted, asked of it directly."""
        sock = open_socket(self.direct)
        with sock:
            sock.sendall(self.direct.get("/effects"))
            return int(sock.recv(65536).rpartition(b"\r\n")[2])

    @contextmanager
    def ledger(self, *options: str, ruled: bool = True) -> Iterator[Proxy]:
        """A sidecar, or several under a parent, on a fresh ledger."""
        with self._folder("ledger") as folder:
            rules = folder / "ledger.yaml"
            rules.write_text(RULED % (HOST, self.port) if ruled else UNRULED)
            ca = folder / "ca"
            command = [sys.executable, "-m", "ledger_console", "proxy", "--listen", "127.0.0.1:0", "--ca-dir", str(ca)]
            command += ["--rules", str(rules), "--db", str(folder / "ledger.db"), "--upstream-ca", str(self.ca)]
            command += ["--resolve", f"{HOST}:{self.port}:127.0.0.1:{self.port}", *options]
            with spawn(command, folder) as child:
                line = first_line(child, folder)
                port = int(line.removeprefix("listening on ").rpartition(":")[2])
                trusted = ca / "ca-cert.pem" if ruled else self.ca
                yield Proxy("ledger", psutil.Process(child.pid), Route(self.port, str(trusted), port))

    @contextmanager
    def relay(self, processes: int) -> Iterator[Proxy]:
        """The barest tunnel, in so many processes on one port."""
        with self._folder("relay") as folder:
            command = [sys.executable, "-m", "bench.relay", str(processes)]
            with spawn(command, folder) as child:
                port = int(first_line(child, folder))
                yield Proxy("relay", psutil.Process(child.pid), Route(self.port, str(self.ca), port))

    @contextmanager
    def mitmdump(self, *options: str) -> Iterator[Proxy]:
        """Plain mitmdump with its default addons; `-q` spares it the printing, which would slow it down."""
        with self._folder("mitmdump") as folder:
            port = free_port()
            command = [str(Path(sys.executable).with_name("mitmdump")), "-q", "--listen-host", "127.0.0.1"]
            command += ["--listen-port", str(port), "--set", f"confdir={folder}"]
            command += ["--set", f"ssl_verify_upstream_trusted_ca={self.ca}", *options]
            with spawn(command, folder) as child:
                await_port(child, port, folder)
                ca = folder / "mitmproxy-ca-cert.pem"
                yield Proxy("mitmdump", psutil.Process(child.pid), Route(self.port, str(ca), port))

    @contextmanager
    def _folder(self, name: str) -> Iterator[Path]:
        with tempfile.TemporaryDirectory(dir=self.folder, prefix=f"{name}-") as folder:
            yield Path(folder)


@contextmanager
def staged(parent: Path) -> Iterator[Stage]:
    """Make a certificate, start the origin."""
    with tempfile.TemporaryDirectory(dir=parent, prefix="ledger-bench-") as name:
        folder = Path(name)
        authority = trustme.CA()
        ca, leaf = folder / "origin-ca.pem", folder / "origin.pem"
        authority.cert_pem.write_to_path(ca)
        authority.issue_cert(HOST, "127.0.0.1").private_key_and_cert_chain_pem.write_to_path(leaf)
        with spawn([sys.executable, "-m", "bench.upstream", str(leaf)], folder) as child:
            yield Stage(folder, int(first_line(child, folder)), ca)


def ask_client(kind: str, routes: list[Route], **job: Any) -> Any:
    """Run one job of the load client, in a process of its own."""
    text = json.dumps({"kind": kind, "routes": [asdict(route) for route in routes], **job})
    done = subprocess.run(
        [sys.executable, "-m", "bench.client"], input=text, capture_output=True, text=True, timeout=300, check=False
    )
    if done.returncode:
        raise BenchError(f"the client failed: {(done.stderr.strip().splitlines() or ['no message'])[-1]}")
    return json.loads(done.stdout)


def send(load: Load, route: Route) -> Result:
    """Send a load; raises BenchError unless every answer was right."""
    result = Result(**ask_client("load", [route], load=asdict(load)))
    if result.errors:
        raise BenchError(f"{load.name}: {result.errors} wrong answers, the first: {result.first_error!r}")
    return result


@contextmanager
def spawn(command: list[str], folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Run a process for the block. Its stderr goes to a file, so that no full pipe stops it."""
    # Variables of whoever runs the benchmark must not change what is measured.
    env = {k: v for k, v in os.environ.items() if not k.startswith("LEDGER_") and not k.lower().endswith("_proxy")}
    with (
        (folder / "stderr").open("w") as errors,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True, env=env) as child,
    ):
        try:
            yield child
        finally:
            child.terminate()
            try:
                child.wait(20)
            except subprocess.TimeoutExpired:
                child.kill()


def first_line(child: subprocess.Popen[str], folder: Path) -> str:
    """Return the first line on stdout: the process is ready."""
    assert child.stdout is not None
    line = child.stdout.readline().strip()
    if not line:
        raise BenchError(f"{child.args!r} did not start: {(folder / 'stderr').read_text().strip()[-500:]}")
    return line


def await_port(child: subprocess.Popen[str], port: int, folder: Path) -> None:
    """Wait until somebody listens."""
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline and child.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise BenchError(f"{child.args!r} did not listen: {(folder / 'stderr').read_text().strip()[-500:]}")


def free_port() -> int:
    """A port that was free a moment ago; mitmdump does not tell which one it took."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
