"""Handles to upstreams in processes of their own: start one, read the effects it counted, stop it by its pid.

The counting itself is in `effects.py`, which shares no code with Ledger nor with this package.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import trustme

SCRIPT = Path(__file__).with_name("effects.py")
HOSTS = ("api.stripe.com", "hooks.example.com", "localhost", "127.0.0.1")

Line = dict[str, Any]


@dataclass(frozen=True)
class Upstream:
    """A running oracle. `ca_file` is what `--upstream-ca` takes (None without TLS)."""

    process: subprocess.Popen[str]
    port: int
    file: Path
    ca_file: Path | None

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """Base URL without a trailing slash, straight to the oracle."""
        return f"{'https' if self.ca_file else 'http'}://localhost:{self.port}"

    def resolve(self, host: str, port: int = 443) -> str:
        """The value for `--resolve` that serves `host:port` from here."""
        return f"{host}:{port}:{self.address}"

    def lines(self, **wanted: object) -> list[Line]:
        """Every arrival that was noted, effects or not, whose fields equal what is wanted, in order."""
        if not self.file.exists():
            return []
        every = [json.loads(line) for line in self.file.read_text().splitlines()]
        return [line for line in every if all(line[name] == value for name, value in wanted.items())]

    def effects(self, **wanted: object) -> list[Line]:
        """What really happened, e.g. `effects(path="/ok/charges")` or `effects(key="k-1")`."""
        return self.lines(effect=True, **wanted)

    def count_by(self, name: str) -> Counter[Any]:
        """Effects per value of one field, e.g. `count_by("sha256")`."""
        return Counter(line[name] for line in self.effects())

    def doubles(self, name: str = "sha256") -> dict[Any, int]:
        """Values of a field under which something happened more than once; empty is what we want."""
        return {value: count for value, count in self.count_by(name).items() if count > 1}

    def wait_for(self, condition: Callable[[Upstream], object], timeout: float = 10) -> None:
        """Wait until a condition on this oracle holds. Raises AssertionError with what was seen after `timeout` s."""
        deadline = time.monotonic() + timeout
        while not condition(self):
            assert time.monotonic() < deadline, f"not seen within {timeout} s; noted so far: {self.lines()}"
            time.sleep(0.01)

    def stop(self) -> None:
        """End the process; harmless when it is gone."""
        self.process.terminate()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()


def make_certificate(directory: Path, hosts: tuple[str, ...] = HOSTS) -> tuple[Path, Path, Path]:
    """Write ca.pem, cert.pem and key.pem of a throwaway CA for these hosts; returns their paths."""
    directory.mkdir(parents=True, exist_ok=True)
    ca, cert, key = (directory / name for name in ("ca.pem", "cert.pem", "key.pem"))
    authority = trustme.CA()
    leaf = authority.issue_cert(*hosts)
    authority.cert_pem.write_to_path(str(ca))
    leaf.private_key_pem.write_to_path(str(key))
    cert.write_bytes(b"".join(blob.bytes() for blob in leaf.cert_chain_pems))
    return ca, cert, key


def start_upstream(
    directory: Path,
    *,
    tls: bool = True,
    port: int = 0,
    hosts: tuple[str, ...] = HOSTS,
    answers: list[dict[str, Any]] | None = None,
    within: Sequence[str] = (),
    listen: Sequence[str] = (),
) -> Upstream:
    """Start an oracle with its state in `directory` and wait until it listens; the caller stops it.

    answers: what providers answer, see `providers.py`. within: words before its command. listen: its addresses.
    """
    directory.mkdir(parents=True, exist_ok=True)
    file = directory / "effects.jsonl"
    command = [
        *within,
        sys.executable,
        str(SCRIPT),
        *(f"--host={one}" for one in listen),
        "--port",
        str(port),
        "--file",
        str(file),
    ]
    if answers is not None:
        (directory / "answers.json").write_text(json.dumps(answers))
        command += ["--answers", str(directory / "answers.json")]
    ca_file = None
    if tls:
        ca_file, cert, key = make_certificate(directory, hosts)
        command += ["--tls", str(cert), str(key)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    ready = process.stdout.readline()
    assert ready.startswith("listening on "), f"the oracle did not start, it said {ready!r}"
    return Upstream(process, int(ready.rsplit(":", 1)[1]), file, ca_file)


@contextlib.contextmanager
def running_upstream(directory: Path, **options: Any) -> Iterator[Upstream]:
    """An oracle for the length of a `with` block; options as for `start_upstream`."""
    upstream = start_upstream(directory, **options)
    try:
        yield upstream
    finally:
        upstream.stop()
