"""What a hardened container gives a sidecar: nobody's user, a read-only root, no capability, one writable folder.

The shell text is that of the Compose example; bubblewrap makes the namespace. The host's loopback stands for the pod's.
"""

from __future__ import annotations

import contextlib
import socket
import sqlite3
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import yaml

from tests.deploy.test_examples import PROBES, pod
from tests.privileges import bubblewrap
from tests.upstream import Upstream
from tests.upstream.fixtures import upstream

__all__ = ["upstream"]

ROOT = Path(__file__).parents[2]


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextlib.contextmanager
def sandboxed(folder: Path, upstream: Upstream, port: int, admin: int) -> Iterator[str]:
    """The Compose example's sidecar in its sandbox; what the shell and the sidecar say comes as one text at the end."""
    script = yaml.safe_load((ROOT / "examples" / "docker-compose.yml").read_text())["services"]["ledger"]["command"][0]
    script = script.replace("127.0.0.1:8080", f"127.0.0.1:{port}").replace("127.0.0.1:9090", f"127.0.0.1:{admin}")
    # Only the upstream is the test's own.
    assert upstream.ca_file is not None
    script = f"{script.rstrip()} --resolve {upstream.resolve('api.stripe.com')} --upstream-ca /upstream/ca.pem\n"
    probe = "id -u; touch /usr/there 2>/dev/null && echo writable; grep CapEff /proc/self/status\n"
    for name in ("state", "trust"):
        (folder / name).mkdir()
    words = [
        bubblewrap(), "--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--die-with-parent",
        "--uid", "65534", "--gid", "65534", "--cap-drop", "ALL",
        "--tmpfs", "/", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp",
    ]  # fmt: skip
    for part in ("/usr", "/bin", "/lib", "/lib64", "/etc", str(ROOT), sys.base_prefix, sys.prefix):
        if Path(part).exists():
            words += ["--ro-bind", part, part]
    words += ["--bind", str(folder / "state"), "/var/lib/ledger", "--bind", str(folder / "trust"), "/trust"]
    words += ["--ro-bind", str(upstream.ca_file), "/upstream/ca.pem", "--remount-ro", "/"]
    words += ["--chdir", "/var/lib/ledger", "sh", "-ec", probe + script]
    bare = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "LEDGER_DB": "/var/lib/ledger/ledger.db"}
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=bare)
    assert process.stdout is not None
    said = ""
    try:
        while not said.endswith(f"listening on 127.0.0.1:{port}\n"):
            line = process.stdout.readline()
            assert line, process.communicate(timeout=20)[1]
            said += line
        yield said
    finally:
        process.terminate()
        process.communicate(timeout=30)


def test_a_confined_sidecar_starts_and_charges_once(tmp_path: Path, upstream: Upstream) -> None:
    port, admin = free_port(), free_port()
    with sandboxed(tmp_path, upstream, port, admin) as said:
        assert said.splitlines()[:2] == ["65534", "CapEff:\t0000000000000000"]
        assert [probed(probe, admin) for probe in PROBES] == [True, True, True]
        assert {file.name for file in (tmp_path / "trust").iterdir()} == {"ca-cert.pem", "bundle.pem"}
        trust = ssl.create_default_context(cafile=str(tmp_path / "trust" / "ca-cert.pem"))
        with httpx.Client(proxy=f"http://127.0.0.1:{port}", verify=trust, timeout=30, trust_env=False) as agent:
            # Under the pack for Stripe, as there is no rules file.
            answers = [agent.post("https://api.stripe.com/v1/refunds", data={"charge": "ch_1"}) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200] * 3
        assert [a.headers["Ledger-Outcome"] for a in answers] == ["executed", "replayed", "replayed"]
        with contextlib.closing(sqlite3.connect(tmp_path / "state" / "ledger.db", isolation_level=None)) as ledger:
            assert ledger.execute("SELECT status, runs FROM records").fetchall() == [("success", 1)]
            ledger.execute("BEGIN IMMEDIATE")
            assert {probe: probed(probe, admin) for probe in PROBES} == {
                "startupProbe": True,
                "readinessProbe": False,
                "livenessProbe": True,
            }
    assert len(upstream.effects()) == 1


def probed(probe: str, admin: int) -> bool:
    """What a probe of the Kubernetes example finds."""
    command = pod()["initContainers"][0][probe]["exec"]["command"]
    words = [word.replace(":9090", f":{admin}") for word in command]
    said = subprocess.run([sys.executable, *words[1:]], timeout=30, check=False, capture_output=True, text=True)
    assert said.returncode == 0 or "503" in said.stderr, said.stderr
    return said.returncode == 0
