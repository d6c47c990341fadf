"""Real sidecars in processes of their own, and a client that goes through them."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from tests.upstream import Upstream

if TYPE_CHECKING:
    from tests.wire.raw import Origin

RULES = """
version: 1
rules:
  - name: charges
    match: {method: POST, url: "https://api.stripe.com/**/charges"}
    wait: 20s
  - name: keyed-charges
    match: {method: POST, url: "https://api.stripe.com/**/payments"}
    idempotency_key: ignore-generated
    upstream_key: {header: Idempotency-Key, retention: 24h}
    on_unknown: resend
"""


@dataclass
class Sidecar:
    """A running `ledger proxy`."""

    process: subprocess.Popen[str]
    port: int
    ca: Path
    db: Path
    clients: list[httpx.Client] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def client(self, timeout: float = 30) -> httpx.Client:
        """An ordinary client: trusts Ledger's CA, goes through the proxy, knows nothing else."""
        context = ssl.create_default_context(cafile=str(self.ca / "ca-cert.pem"))
        made = httpx.Client(proxy=self.url, verify=context, timeout=timeout, trust_env=False)
        self.clients.append(made)
        return made

    def post(
        self, path: str, body: dict[str, Any] | None = None, timeout: float = 30, **headers: str
    ) -> httpx.Response:
        """One POST on a connection of its own."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        with self.client(timeout) as client:
            return client.post(f"https://api.stripe.com{path}", json=body or {"amount": 1}, headers=sent)

    def try_post(self, path: str, body: dict[str, Any] | None = None, timeout: float = 30) -> None:
        """The same, for who does not wait for the answer, or not to its end.

        `kill` closes its clients, too, perhaps in the middle of a read: that raises more than an HTTPError.
        """
        with contextlib.suppress(httpx.HTTPError, OSError, RuntimeError, ValueError):
            self.post(path, body, timeout)

    def records(self) -> list[dict[str, Any]]:
        """What `ledger show --json` says."""
        return [json.loads(line) for line in ledger("show", "--db", self.db, "--json").stdout.splitlines()]

    def events(self, kind: str) -> list[dict[str, Any]]:
        """The journal's lines of one kind; what may be buffered for 100 ms is waited for."""
        time.sleep(0.3)
        told = ledger("tail", "--db", self.db, "--json", "--no-follow", "-n", "10000").stdout
        return [line for line in map(json.loads, told.splitlines()) if line["event"] == kind]

    def kill(self) -> None:
        """kill -9."""
        self.process.kill()
        self._gone()

    def stop(self) -> int:
        """SIGTERM, and its exit code."""
        self.process.send_signal(signal.SIGTERM)
        self._gone()
        return self.process.returncode

    def _gone(self) -> None:
        self.process.wait(30)
        for client in self.clients:
            client.close()
        for stream in (self.process.stdout, self.process.stderr):
            if stream:
                stream.close()


def command(*args: object) -> list[str]:
    return [sys.executable, "-m", "ledger_console", *map(str, args)]


def ledger(*args: object, env: dict[str, str] | None = None, **kw: Any) -> subprocess.CompletedProcess[str]:
    """Run the command line to its end."""
    return subprocess.run(
        command(*args),
        capture_output=True,
        text=True,
        timeout=180,
        env={**os.environ, **(env or {})},
        check=False,
        **kw,
    )


def start(
    folder: Path,
    upstream: Upstream,
    rules: str = RULES,
    env: dict[str, str] | None = None,
    *more: object,
    stderr: int = subprocess.PIPE,
) -> Sidecar:
    """Start a sidecar on a free port; its ledger and CA live in `folder`, so a second one shares them."""
    folder.mkdir(exist_ok=True)
    file = folder / "ledger.yaml"
    file.write_text(rules)
    arguments = ["--resolve", upstream.resolve("api.stripe.com")]
    if upstream.ca_file:
        arguments += ["--upstream-ca", str(upstream.ca_file)]
    return launch(folder, file, env, *arguments, *more, stderr=stderr)


def launch(
    folder: Path, rules: Path, env: dict[str, str] | None, *more: object, stderr: int = subprocess.PIPE
) -> Sidecar:
    """Start a sidecar with these arguments and wait until it listens."""
    arguments = ["proxy", "--listen", "127.0.0.1:0", "--rules", rules, "--db", folder / "ledger.db"]
    arguments += ["--ca-dir", folder / "ca", "--drain", "3"]
    process = subprocess.Popen(
        command(*arguments, *more),
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
        env={**os.environ, **(env or {})},
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line.startswith("listening on "):
        _, said = process.communicate(timeout=10)
        raise AssertionError(f"the sidecar did not start: {said}")
    return Sidecar(process, int(line.rsplit(":", 1)[1]), folder / "ca", folder / "ledger.db")


def admin_of(sidecar: Sidecar) -> str:
    """Where its admin server listens, which it says on stderr."""
    assert sidecar.process.stderr is not None
    return next(line.split()[-1] for line in sidecar.process.stderr if "admin on" in line)


@contextmanager
def running(folder: Path, upstream: Upstream, rules: str = RULES, *more: object, **env: str) -> Iterator[Sidecar]:
    """A sidecar for the length of a `with` block."""
    sidecar = start(folder, upstream, rules, env, *more)
    try:
        yield sidecar
    finally:
        if sidecar.process.poll() is None:
            sidecar.stop()


@contextmanager
def running_for(folder: Path, origin: Origin, rules: str, *more: object, **env: str) -> Iterator[Sidecar]:
    """A sidecar in front of a recorder for the length of a `with` block."""
    folder.mkdir(exist_ok=True)
    (folder / "ledger.yaml").write_text(rules)
    trust = ["--upstream-ca", str(origin.ca_file)] if origin.ca_file else []
    sidecar = launch(folder, folder / "ledger.yaml", env, "--resolve", origin.resolve(), *trust, *more)
    try:
        yield sidecar
    finally:
        if sidecar.process.poll() is None:
            sidecar.process.terminate()
            _, said = sidecar.process.communicate(timeout=30)
            assert "Traceback" not in said, said
