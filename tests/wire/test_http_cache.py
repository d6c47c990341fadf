"""The HTTP cache tests of cache-tests.fyi, direct and through a sidecar: a proxy that keeps nothing changes no result.

Their server and their client are the real ones, from npm; the host is intercepted, and no rule means a request of it.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients import HERE, cache_tests, node
from tests.upstream import make_certificate
from tests.wire.sidecars import command

UNFRAMED = {
    "304-etag-update-response-Content-Length",
    "headers-store-Content-Length",
    "headers-store-Transfer-Encoding",
}
"""Their origin says another length than it sends, or a coding that nobody knows: both fail, in words of their own."""

type Result = bool | list[str]


@contextlib.contextmanager
def origin(folder: Path) -> Iterator[tuple[str, Path]]:
    """Their server; its URL, and the CA of its certificate."""
    ca, cert, key = make_certificate(folder)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    told = {"protocol": "https", "port": str(port), "pidfile": str(folder / "pid")}
    told |= {"keyfile": str(key), "certfile": str(cert)}
    env = {**os.environ, **{f"npm_config_{name}": value for name, value in told.items()}}
    words = [node(), str(cache_tests() / "server" / "server.mjs")]
    log = folder / "server.log"
    with log.open("w") as out, subprocess.Popen(words, env=env, cwd=folder, stdout=out, stderr=out) as process:
        try:
            _await_listening(process, log)
            yield f"https://localhost:{port}", ca
        finally:
            process.terminate()


def _await_listening(process: subprocess.Popen[bytes], log: Path) -> None:
    while "Listening on" not in log.read_text():
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.05)
            pytest.fail(f"their server did not start: {log.read_text()}")


def asking(url: str, *before: str, **env: str) -> subprocess.Popen[str]:
    words = [*before, node(), str(HERE / "cache_tests.mjs"), url]
    return subprocess.Popen(words, env={**os.environ, **env}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def results(process: subprocess.Popen[str]) -> dict[str, Result]:
    out, said = process.communicate(timeout=180)
    assert process.returncode == 0, said
    return {name: _plain(result) for name, result in json.loads(out).items()}


def _plain(result: Result) -> Result:
    """Without what is new in every run: the ids and the times in a message."""
    return result if isinstance(result, bool) else [re.sub(r"[0-9a-f-]{36}|\d{10,}", "…", word) for word in result]


@pytest.mark.slow
def test_every_result_is_the_same_through_the_sidecar(tmp_path: Path) -> None:
    with origin(tmp_path) as (url, ca):
        rules = f'rules: [{{name: never, match: {{method: POST, url: "{url}/never/**"}}}}]'
        (tmp_path / "ledger.yaml").write_text(rules)
        options = ["--rules", tmp_path / "ledger.yaml", "--db", tmp_path / "ledger.db", "--upstream-ca", ca]
        asked = asking(url, NODE_EXTRA_CA_CERTS=str(ca)), asking(url, *command("run", *options, "--"))
        direct, through = map(results, asked)
    assert len(direct) > 300
    differ = {name: (direct[name], through[name]) for name in direct if direct[name] != through[name]}
    assert set(differ) <= UNFRAMED, differ
    assert not [name for name, both in differ.items() if True in both], "what passes direct passes through it"
