"""`ledger run --transparent`: a command that has no other way out, on a real host among hosts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.wire.namespaces import OTHER, RULED, Network, network
from tests.wire.sidecars import command
from tests.wire.test_transparent import PYTHON

CURL = 'curl -sS -m 20 -o /dev/null -w "%{http_code} %header{ledger-outcome}\\n"'


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    with network(tmp_path_factory.mktemp("net")) as made:
        yield made


def words(net: Network, folder: Path, options: list[str], *child: str) -> list[str]:
    """The command line; it runs on the gateway, whose resolver is on loopback."""
    asked = command("run", "--transparent", *net.options(folder), *options, "--", *child)
    return net.gateway.words(*asked)


def run(
    net: Network, folder: Path, *child: str, options: tuple[str, ...] = (), env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, **(env or {})}
    asked = words(net, folder, list(options), *child)
    return subprocess.run(asked, capture_output=True, text=True, timeout=120, check=False, env=env)


def left_behind(net: Network) -> list[str]:
    """What a run could leave on its host: interfaces, rules, names of namespaces."""
    said = net.gateway.run("sh", "-c", "ls /sys/class/net; nft list ruleset; ip netns list | wc -l; ls /run/netns")
    return said.stdout.splitlines()


def test_clients_without_a_proxy_make_one_effect(net: Network, tmp_path: Path) -> None:
    """curl and Python by name, over both families; proxies that the environment might name are not there."""
    before = left_behind(net)
    script = f"""
    env | grep -iE '^(https?|all)_proxy=' && exit 9
    for family in -4 -6; do
        url=https://api.stripe.com/ok/run$family/charges
        {CURL} $family -d amount=7 $url; {CURL} $family -d amount=7 $url
        {CURL} $family -d x=1 http://hooks.example.com/ok/run$family
    done
    {sys.executable} {tmp_path}/agent.py https://api.stripe.com/ok/run-python/charges
    """
    (tmp_path / "agent.py").write_text(PYTHON)
    ended = run(net, tmp_path, "sh", "-c", script, env={"HTTP_PROXY": "http://10.0.0.9:3128", "NO_PROXY": "*"})
    family = ["200 executed", "200 replayed", "200 executed"]
    assert ended.stdout.splitlines() == [*family, *family, "executed", "replayed"], ended.stderr
    for path in ("/ok/run-4/charges", "/ok/run-6/charges", "/ok/run-python/charges", "/ok/run-4", "/ok/run-6"):
        assert net.effects(path) == 1
    assert "3 duplicates prevented" in ended.stderr
    assert left_behind(net) == before


def test_what_no_rule_names_is_the_origins_own(net: Network, tmp_path: Path) -> None:
    script = f"{CURL} --cacert {net.other.ca_file} -d a=1 https://other.example/ok/run-other"
    ended = run(net, tmp_path, "sh", "-c", script)
    assert ended.stdout.split() == ["200"], ended.stderr
    assert net.effects("/ok/run-other") == 1


WAYS_OUT = f"""
import socket
def tried(kind, family, to, data):
    with socket.socket(family, kind) as one:
        one.settimeout(10)
        try:
            one.connect(to)
            one.send(data)
            return one.recv(100)
        except OSError as error:
            return type(error).__name__
for to in {RULED!r}:
    family = socket.AF_INET6 if ":" in to else socket.AF_INET
    print(tried(socket.SOCK_DGRAM, family, (to, 443), b"quic"))
    print(tried(socket.SOCK_DGRAM, family, (to, 9), b"udp"))
    print(tried(socket.SOCK_STREAM, family, (to, 3128), b"CONNECT api.stripe.com:443 HTTP/1.1\\r\\n\\r\\n"))
"""


def test_there_is_no_other_way_out(net: Network, tmp_path: Path) -> None:
    """Not by UDP, so not by QUIC, and not by a port that nobody chose: a listener out there never hears of it."""
    heard = "import socket,sys\nfor p in (443,9): s=socket.socket(2,2); s.bind(('10.77.0.2',p)); s.settimeout(25)\n"
    heard += "t=socket.create_server(('10.77.0.2',3128)); t.settimeout(0.1); print('up',flush=True)\n"
    heard += "sys.stdin.read()\nfor one in (s,t):\n    one.settimeout(0.5)\n"
    heard += "    try: print('heard', one.recv(9) if one is s else one.accept())\n    except OSError: pass"
    with net.world.serving(sys.executable, "-c", heard) as world:
        ended = run(net, tmp_path, sys.executable, "-c", WAYS_OUT)
        out, _ = world.communicate("done")
    said = ended.stdout.splitlines()
    assert len(said) == 6, ended.stderr
    assert all(one.endswith("Error") or one == "b''" for one in said), said
    assert out == ""
    assert "connections to port 3128 are refused" in ended.stderr


def test_a_chosen_port_passes_untouched_also_where_the_server_speaks_first(net: Network, tmp_path: Path) -> None:
    greeting = "import socket; s=socket.create_server(('10.77.0.3',5432)); print('up',flush=True)\n"
    greeting += "for _ in range(2):\n    c,_ = s.accept(); c.sendall(b'220 hello'); print(c.recv(9)); c.close()"
    child = f"import socket; c=socket.create_connection(('{OTHER[0]}',5432),20); print(c.recv(9)); c.sendall(b'EHLO')"
    with net.world.serving(sys.executable, "-c", greeting) as server:
        for ports in ("443,5432", "all"):
            ended = run(net, tmp_path, sys.executable, "-c", child, options=("--ports", ports))
            assert ended.stdout == "b'220 hello'\n", ended.stderr
        assert server.communicate(timeout=20)[0] == "b'EHLO'\n" * 2
    refused = run(net, tmp_path, sys.executable, "-c", child, options=("--ports", "all"))
    # Nobody listens any more: it is told so, not left to wait.
    assert "timeout" not in refused.stderr.lower()


def test_names_are_found_by_udp_and_tcp_and_loopback_is_its_own(net: Network, tmp_path: Path) -> None:
    script = """
import socket, struct
question = b"\\x12\\x34\\1\\0\\0\\1\\0\\0\\0\\0\\0\\0\\3api\\6stripe\\3com\\0\\0\\1\\0\\1"
with socket.create_connection(("127.0.0.53", 53), 20) as asked:
    asked.sendall(len(question).to_bytes(2) + question)
    print(socket.inet_ntoa(asked.recv(4096)[-4:]))
print(sorted({one[4][0] for one in socket.getaddrinfo("other.example", 443)}))
with socket.create_server(("127.0.0.1", 0)) as own:
    socket.create_connection(own.getsockname(), 5).close()
    print("own")
try:
    socket.getaddrinfo("nowhere.example", 443)
except socket.gaierror:
    print("no such name")
"""
    ended = run(net, tmp_path, sys.executable, "-c", script)
    assert ended.stdout.splitlines() == [RULED[0], str(sorted(OTHER)), "own", "no such name"], ended.stderr


def test_a_name_that_is_led_elsewhere_still_needs_an_address(net: Network, tmp_path: Path) -> None:
    """Where it has one, that is not where its requests go (here to a server of another name, which is refused); where
    it has none, it is said what is missing, once.
    """
    led = (f"{name}:443:{OTHER[0]}:443" for name in ("api.stripe.com", "nowhere.example"))
    options = tuple(word for one in led for word in ("--resolve", one))
    script = f"{CURL} -d amount=7 https://api.stripe.com/ok/led/charges; {CURL} -k https://Nowhere.example/; exit 3"
    ended = run(net, tmp_path, "sh", "-c", script, options=options)
    assert (ended.returncode, ended.stdout.split()) == (3, ["502", "failed", "000"]), ended.stderr
    assert net.effects("/ok/led/charges") == 0
    assert ended.stderr.count("nowhere.example is in --resolve, but this machine's resolver knows no address") == 1
    assert "api.stripe.com is in" not in ended.stderr


def test_the_child_is_who_it_was_and_its_end_is_passed_on(net: Network, tmp_path: Path) -> None:
    script = "id -u; pwd; echo $HOME; grep -c '^SigIgn:.*1000$' /proc/self/status; exit 7"
    ended = run(net, tmp_path, "sh", "-c", script, env={"HOME": "/somewhere"})
    assert (ended.returncode, ended.stdout.splitlines()) == (7, ["0", os.getcwd(), "/somewhere", "0"])
    assert run(net, tmp_path, "sh", "-c", "kill -TERM $$").returncode == 128 + signal.SIGTERM
    assert run(net, tmp_path, "no-such-command-here").returncode == 127
    text = tmp_path / "no-program"
    text.write_text("")
    text.chmod(0o755)
    assert run(net, tmp_path, "/etc").returncode == 126


def test_signals_reach_the_child(net: Network, tmp_path: Path) -> None:
    script = "trap 'echo got it; exit 7' TERM; echo ready; while :; do sleep 0.05; done"
    asked = words(net, tmp_path, [], "sh", "-c", script)
    with subprocess.Popen(asked, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        child.send_signal(signal.SIGTERM)
        out, _ = child.communicate(timeout=30)
    assert (out, child.returncode) == ("got it\n", 7)


def test_two_runs_at_once_share_a_ledger_and_nothing_else(net: Network, tmp_path: Path) -> None:
    script = f"{CURL} -d amount=7 https://api.stripe.com/ok/two/charges"
    asked = words(net, tmp_path, [], "sh", "-c", script)
    both = [subprocess.Popen(asked, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    said = [one.communicate(timeout=120)[0].strip() for one in both]
    assert sorted(said) == ["200 executed", "200 replayed"]
    assert net.effects("/ok/two/charges") == 1


def test_killed_it_leaves_nothing_behind_and_nothing_passes(net: Network, tmp_path: Path) -> None:
    before = left_behind(net)
    go = tmp_path / "go"
    script = f"""
    echo $$; while ! test -e {go}; do sleep 0.05; done
    {CURL} -k -d amount=7 https://api.stripe.com/ok/gone/charges
    {CURL} -k -d amount=7 https://other.example/ok/gone
    echo over
    """
    asked = words(net, tmp_path, ["--ports", "all"], "sh", "-c", script)
    with subprocess.Popen(asked, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as sidecar:
        assert sidecar.stdout is not None
        child = int(sidecar.stdout.readline())
        sidecar.kill()
        sidecar.wait(30)
        go.touch()
        said = sidecar.stdout.read().splitlines()
    assert [line.strip() for line in said] == ["000", "000", "over"]
    assert net.effects("/ok/gone/charges") == net.effects("/ok/gone") == 0
    deadline = time.monotonic() + 30
    while Path(f"/proc/{child}").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert left_behind(net) == before


def test_without_the_privilege_it_makes_a_user_namespace_or_says_why(net: Network, tmp_path: Path) -> None:
    """Root that may not make one is nobody special; `max_user_namespaces` is how an administrator forbids the rest."""
    script = f"{CURL} -d amount=7 https://api.stripe.com/ok/user/charges; nft list ruleset 2>/dev/null | grep -c ledger"
    bare = ["setpriv", "--bounding-set=-sys_admin,-net_admin", "--inh-caps=-all"]
    ended = net.gateway.run(*bare, *words(net, tmp_path, [], "sh", "-c", script)[4:], env=dict(os.environ))
    if "only root" not in ended.stderr:
        # It has no power over its own cage either.
        assert ended.stdout.splitlines() == ["200 executed", "0"], ended.stderr
        assert net.effects("/ok/user/charges") == 1
    forbid = 'mount -t tmpfs none /usr/sbin && exec "$@"'
    gone = ["unshare", "--mount", "sh", "-c", forbid, "sh", *words(net, tmp_path, [], "true")[4:]]
    ended = net.gateway.run(*gone, env={**os.environ, "PATH": "/usr/bin"})
    assert ended.returncode == 125
    (line,) = [one for one in ended.stderr.splitlines() if "transparent" in one]
    assert "not installed; install " in line


@pytest.mark.parametrize(
    ("options", "env", "said"),
    [
        (("--ports", "0"), {}, "neither ports"),
        (("--ports", "all"), {"HTTPS_PROXY": "http://proxy.corp:3128"}, "cannot chain"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(
    net: Network, tmp_path: Path, options: tuple[str, ...], env: dict[str, str], said: str
) -> None:
    ended = run(net, tmp_path, "touch", str(tmp_path / "ran"), options=options, env=env)
    assert ended.returncode in (2, 125)
    assert said in ended.stderr.splitlines()[-1]
    assert not (tmp_path / "ran").exists()
