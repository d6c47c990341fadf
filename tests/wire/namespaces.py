"""Real hosts on one machine: network namespaces joined by veth pairs. Three of them: agent, gateway, world.

The agent's only way leads through the gateway. In the world are two origins: api.stripe.com and hooks.example.com at
the first pair of addresses, other.example at the second.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.upstream import Upstream, running_upstream
from tests.wire.sidecars import Sidecar, command

ROOT = Path(__file__).parents[2]
RULED, OTHER = ("10.77.0.2", "fd77::2"), ("10.77.0.3", "fd77::3")
CLUB = ("10.77.0.4", "fd77::4")
"""Where nobody listens, until a test does: as club.test."""
NAMES = {"api.stripe.com": RULED, "hooks.example.com": RULED, "other.example": OTHER, "club.test": CLUB}
RULES = """
version: 1
rules:
  - name: charges
    match: {method: POST, url: "https://api.stripe.com/**/charges"}
  - name: hooks
    match: {method: POST, url: "http://hooks.example.com/**"}
"""
_LINKS = """
netns add {agent}
netns add {gateway}
netns add {world}
-n {agent} link set lo up
-n {gateway} link set lo up
-n {world} link set lo up
-n {gateway} link add inside type veth peer name eth0 netns {agent}
-n {gateway} link add outside type veth peer name eth0 netns {world}
-n {agent} address add 10.77.1.2/24 dev eth0
-n {agent} address add fd77:1::2/64 dev eth0 nodad
-n {gateway} address add 10.77.1.1/24 dev inside
-n {gateway} address add fd77:1::1/64 dev inside nodad
-n {gateway} address add 10.77.0.1/24 dev outside
-n {gateway} address add fd77::1/64 dev outside nodad
-n {world} address add 10.77.0.2/24 dev eth0
-n {world} address add 10.77.0.3/24 dev eth0
-n {world} address add 10.77.0.4/24 dev eth0
-n {world} address add fd77::2/64 dev eth0 nodad
-n {world} address add fd77::3/64 dev eth0 nodad
-n {world} address add fd77::4/64 dev eth0 nodad
-n {agent} link set eth0 up
-n {gateway} link set inside up
-n {gateway} link set outside up
-n {world} link set eth0 up
-n {agent} route add default via 10.77.1.1
-n {agent} route add default via fd77:1::1
-n {world} route add default via 10.77.0.1
-n {world} route add default via fd77::1
"""


@dataclass(frozen=True)
class Host:
    """A namespace."""

    name: str

    def words(self, *words: object) -> list[str]:
        """The command that runs one there."""
        return ["ip", "netns", "exec", self.name, *map(str, words)]

    def run(self, *words: object, timeout: float = 60, **more: Any) -> subprocess.CompletedProcess[str]:
        """Run one there to its end."""
        return subprocess.run(self.words(*words), capture_output=True, text=True, timeout=timeout, check=False, **more)

    def listening(self, address: str, port: int) -> socket.socket:
        """A socket of this process that listens there: a thread steps inside for as long as it takes to make it."""

        def made() -> socket.socket:
            with open(f"/run/netns/{self.name}") as inside:
                os.setns(inside.fileno(), os.CLONE_NEWNET)
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            return socket.create_server((address, port), family=family)

        with ThreadPoolExecutor(1) as stepping:
            return stepping.submit(made).result()

    @contextmanager
    def serving(self, *words: object) -> Iterator[subprocess.Popen[str]]:
        """One that runs there meanwhile; it has said a line when the block begins."""
        pipe = subprocess.PIPE
        with subprocess.Popen(self.words(*words), stdin=pipe, stdout=pipe, text=True) as process:
            try:
                assert process.stdout is not None
                assert process.stdout.readline()
                yield process
            finally:
                process.kill()


@dataclass(frozen=True)
class Network:
    """The three hosts and the two origins."""

    agent: Host
    gateway: Host
    world: Host
    ruled: Upstream
    plain: Upstream
    other: Upstream
    rules: Path

    def options(self, folder: Path) -> list[object]:
        """What a sidecar is started with."""
        return ["--rules", self.rules, "--db", folder / "ledger.db", "--upstream-ca", self.ruled.ca_file]

    def curl(self, ca: Path, *words: str) -> str:
        """What curl was told that knows no proxy: status and outcome, or the number of its error."""
        form = "%{http_code} %header{ledger-outcome}"
        asked = ["curl", "-sS", "--noproxy", "*", "--cacert", ca, "-m", "20", "-o", "/dev/null", "-w", form, *words]
        ended = self.agent.run(*asked, env={"PATH": os.environ["PATH"]})
        return f"error {ended.returncode}" if ended.returncode else ended.stdout.strip()

    def effects(self, path: str) -> int:
        """How often it really happened, wherever."""
        return sum(len(one.effects(path=path)) for one in (self.ruled, self.plain, self.other))


def require_namespaces() -> None:
    """Skip where a kernel forbids them; a tool that is missing fails under LEDGER_REQUIRE_REAL=1."""
    if sys.platform != "linux" or os.getuid() != 0:
        pytest.skip("only root on Linux can make hosts of network namespaces")
    missing = [name for name in ("ip", "nft", "curl") if shutil.which(name) is None]
    if missing:
        said = f"{', '.join(missing)} missing; install iproute2, nftables and curl"
        (pytest.fail if os.environ.get("LEDGER_REQUIRE_REAL") == "1" else pytest.skip)(said)
    tried = subprocess.run(["unshare", "--net", "nft", "list", "ruleset"], capture_output=True, text=True, check=False)
    if tried.returncode:
        pytest.skip(f"this kernel forbids network namespaces: {tried.stderr.strip()}")


@contextmanager
def network(folder: Path) -> Iterator[Network]:
    """The hosts for the length of a `with` block, with a name server on the gateway's loopback."""
    require_namespaces()
    names = {role: f"ledger-{os.getpid()}-{role}" for role in ("agent", "gateway", "world")}
    with ExitStack() as stack:
        _files(names, stack)
        for name in names.values():
            stack.callback(subprocess.run, ["ip", "netns", "delete", name], capture_output=True, check=False)
        for line in _LINKS.format(**names).strip().splitlines():
            subprocess.run(["ip", *line.split()], check=True)
        agent, gateway, world = (Host(name) for name in names.values())
        for key in ("ipv4.ip_forward", "ipv6.conf.all.forwarding"):
            assert gateway.run("sysctl", "-qw", f"net.{key}=1").returncode == 0
        more: dict[str, Any] = {"within": world.words(), "hosts": tuple(NAMES)}
        ruled = running_upstream(folder / "ruled", listen=RULED, port=443, **more)
        plain = running_upstream(folder / "plain", listen=(*RULED, *OTHER), port=80, tls=False, **more)
        other = running_upstream(folder / "other", listen=OTHER, port=443, **more)
        origins = [stack.enter_context(one) for one in (ruled, plain, other)]
        pairs = [f"{name}={address}" for name, both in NAMES.items() for address in both]
        script = Path(__file__).with_name("names.py")
        stack.enter_context(gateway.serving(sys.executable, script, "127.0.0.53", *pairs))
        (folder / "ledger.yaml").write_text(RULES)
        yield Network(agent, gateway, world, *origins, folder / "ledger.yaml")


def _files(names: dict[str, str], stack: ExitStack) -> None:
    """What /etc holds there: `ip netns exec` puts it in place."""
    hosts = "".join(f"{address} {name}\n" for name, both in NAMES.items() for address in both)
    known = {"agent": ("hosts", hosts), "gateway": ("resolv.conf", "nameserver 127.0.0.53\n")}
    for role, (file, text) in known.items():
        place = Path("/etc/netns", names[role])
        place.mkdir(parents=True)
        stack.callback(shutil.rmtree, place)
        (place / file).write_text(text)


@contextmanager
def transparent(net: Network, folder: Path, *more: object, listen: str = "0.0.0.0:0") -> Iterator[Sidecar]:
    """A transparent sidecar on the gateway for the length of a `with` block. Nothing is redirected yet."""
    folder.mkdir(exist_ok=True)
    words = command(
        "proxy", "--mode", "transparent", "--listen", listen, "--ca-dir", folder / "ca", *net.options(folder)
    )
    started = [*net.gateway.words(*words), "--drain", "3", *map(str, more)]
    process = subprocess.Popen(started, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.startswith("listening on "), process.communicate(timeout=30)[1]
    sidecar = Sidecar(process, int(line.rsplit(":", 1)[1]), folder / "ca", folder / "ledger.db")
    try:
        yield sidecar
    finally:
        if process.poll() is None:
            process.terminate()
            _, said = process.communicate(timeout=30)
            assert "Traceback" not in said, said


def redirect(net: Network, port: int) -> None:
    """What docs/deployment.md has the gateway do."""
    page = (ROOT / "docs" / "deployment.md").read_text()
    (rules,) = re.findall(r"^```nft\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    apply(net, rules.replace('"eth1"', '"inside"'), port)


def redirect_own(net: Network, port: int, exempt: str | None, only: str = "") -> None:
    """What examples/kubernetes/transparent.yaml has a pod do. exempt: a user, None for nobody.

    only: what else to ask of a connection that is redirected.
    """
    text = (ROOT / "examples" / "kubernetes" / "transparent.yaml").read_text()
    *_, deployment = yaml.safe_load_all(text)
    (script,) = deployment["spec"]["template"]["spec"]["initContainers"][1]["args"]
    found = re.search(r"<<'EOF'\n(.*?)^EOF$", script, re.MULTILINE | re.DOTALL)
    assert found is not None
    rules = found[1].replace("10001", exempt or "4294967294").replace("80, 443", "80, 443, 8443")
    rules = rules.replace("tcp dport", f"{only} tcp dport")
    apply(net, rules, port)


def apply(net: Network, rules: str, port: int) -> None:
    """These rules on the gateway, in place of others of Ledger's, leading to this port."""
    assert rules.count(" redirect to :8080") == 1
    rules = rules.replace(":8080", f":{port}")
    rules = f"table inet ledger\ndelete table inet ledger\n{rules}"
    ended = net.gateway.run("nft", "-f", "-", input=rules)
    assert ended.returncode == 0, ended.stderr
