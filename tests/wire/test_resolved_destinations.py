"""What a name resolves to, asked of a real name server: a sidecar that others can reach carries nobody to what only its
own machine may reach, though the name says nothing of it. Every address is there, with an origin that would be reached.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.wire.namespaces import Host, require_namespaces
from tests.wire.raw import Origin, recorder, require_recorded
from tests.wire.sidecars import Sidecar, command

TOKEN = "correct-horse-9"
FORBIDDEN = {
    "link-local": ["169.254.169.254"],
    "alibaba": ["100.100.100.200"],
    "azure": ["168.63.129.16"],
    "aws-six": ["fd00:ec2::254"],
    "near": ["127.0.0.1"],
    "near-six": ["::1"],
    "one-of-two": ["203.0.113.7", "169.254.169.254"],
}
NAMES = {**FORBIDDEN, "public": ["203.0.113.7"], "public-six": ["2001:db8::7"]}


@dataclass(frozen=True)
class Machine:
    """A host of its own, and what listens at all of its addresses, in either family."""

    host: Host
    four: Origin
    six: Origin
    folder: Path

    def origin(self, name: str) -> Origin:
        return self.six if ":" in NAMES[name][0] else self.four

    @contextlib.contextmanager
    def sidecar(self, *more: str, lists: str = "") -> Iterator[Sidecar]:
        folder = self.folder / f"s{len(list(self.folder.iterdir()))}"
        folder.mkdir()
        urls = [f"http://*.test:{one.port}/ruled/**" for one in (self.four, self.six)]
        (folder / "ledger.yaml").write_text(f"rules: [{{name: ruled, match: {{method: POST, url: {urls}}}}}]\n{lists}")
        words = ["--rules", folder / "ledger.yaml", "--db", folder / "l.db", "--ca-dir", folder / "ca", *more]
        asked = self.host.words(*command("proxy", *words))
        with subprocess.Popen(asked, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line.startswith("listening on "), line
            try:
                yield Sidecar(process, int(line.rsplit(":", 1)[1]), folder / "ca", folder / "l.db")
            finally:
                process.terminate()

    def post(self, sidecar: Sidecar, name: str, path: str, *words: str) -> str:
        """What curl was told by the sidecar: of its CONNECT, of the request, and the outcome."""
        said = ["curl", "-sS", "--noproxy", "", "-m", "30", "-o", "/dev/null", "-d", "x=1", *words]
        said += ["-w", "%{http_connect} %{http_code} %header{ledger-outcome}"]
        proxy = f"http://order-1:{TOKEN}@127.0.0.1:{sidecar.port}"
        url = f"http://{name}.test:{self.origin(name).port}{path}"
        return self.host.run(*said, "--proxy", proxy, url).stdout.strip()

    def requests(self, path: str) -> int:
        return sum(len(one.requests(path.encode())) for one in (self.four, self.six))


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    require_namespaces()
    name, folder = f"ledger-{os.getpid()}-wide", tmp_path_factory.mktemp("wide")
    host, known = Host(name), Path("/etc/netns", name)
    known.mkdir(parents=True)
    (known / "resolv.conf").write_text("nameserver 127.0.0.53\n")
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, known)
        subprocess.run(["ip", "netns", "add", name], check=True)
        stack.callback(subprocess.run, ["ip", "netns", "delete", name], check=False)
        subprocess.run(["ip", "-n", name, "link", "set", "lo", "up"], check=True)
        for address in {one for both in NAMES.values() for one in both} - {"127.0.0.1", "::1"}:
            subprocess.run(["ip", "-n", name, "address", "add", address, "dev", "lo"], check=True)
        pairs = [f"{one}.test={address}" for one, both in NAMES.items() for address in both]
        script = Path(__file__).with_name("names.py")
        stack.enter_context(host.serving(sys.executable, script, "127.0.0.53", *pairs))
        four, six = (
            stack.enter_context(recorder(folder / one, tls=False, address=address, within=host.words()))
            for one, address in (("four", "0.0.0.0"), ("six", "::"))
        )
        (folder / "sidecars").mkdir()
        yield Machine(host, four, six, folder / "sidecars")


@pytest.fixture(scope="module")
def wide(machine: Machine) -> Iterator[Sidecar]:
    with machine.sidecar("--listen", "0.0.0.0:0", "--auth", TOKEN) as made:
        yield made


@pytest.mark.parametrize("name", FORBIDDEN)
def test_others_are_not_carried_to_what_a_name_leads_to(machine: Machine, wide: Sidecar, name: str) -> None:
    ruled, free, tunnel = (f"/{word}/{name}" for word in ("ruled", "free", "tunnel"))
    assert machine.post(wide, name, ruled) == "000 502 failed"
    assert machine.post(wide, name, free).split()[1] == "502"
    assert machine.post(wide, name, tunnel, "--proxytunnel").split()[:1] == ["403"]
    assert machine.requests(f"/{name}") == 0
    (record,) = [one for one in wide.records() if f"//{name}.test" in one["url"]]
    assert (record["status"], record["runs"]) == ("failed", 0)
    assert "which a sidecar that others can reach does not carry to" in record["error"]


@pytest.mark.parametrize("name", ["public", "public-six"])
def test_others_are_carried_elsewhere(machine: Machine, wide: Sidecar, name: str) -> None:
    told = [machine.post(wide, name, f"/ruled/{name}") for _ in range(2)]
    assert told == ["000 200 executed", "000 200 replayed"]
    assert machine.requests(f"/ruled/{name}") == 1
    require_recorded(wide, f"//{name}.test", ("success", 2, 1))


def test_who_is_on_this_machine_is_carried_where_he_could_go_himself(machine: Machine) -> None:
    with machine.sidecar("--listen", "127.0.0.1:0") as sidecar:
        for name in FORBIDDEN:
            assert machine.post(sidecar, name, f"/ruled/here-{name}") == "000 200 executed"
            assert machine.requests(f"/here-{name}") == 1
        assert {(one["status"], one["runs"]) for one in sidecar.records()} == {("success", 1)}
        assert len(sidecar.records()) == len(FORBIDDEN)


def test_a_denied_network_is_denied_by_what_a_name_leads_to_also_here(machine: Machine) -> None:
    with machine.sidecar("--listen", "127.0.0.1:0", lists="egress: {deny: [169.254.0.0/16]}") as sidecar:
        for name in ("link-local", "one-of-two"):
            assert machine.post(sidecar, name, f"/ruled/listed-{name}") == "000 502 failed"
            assert machine.requests(f"/listed-{name}") == 0
        assert machine.post(sidecar, "near", "/ruled/listed-near") == "000 200 executed"
        assert sorted(one["status"] for one in sidecar.records()) == ["failed", "failed", "success"]
